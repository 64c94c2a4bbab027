package netpolicy

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/internal/check"
)

// outside says what each peer that is no workload can do, and on which ports it is called where a call names none.
var outside = map[string]struct {
	calls, called bool
	ports         []Port
}{
	DNS:          {called: true, ports: []Port{{Number: 53, Protocol: "UDP"}, {Number: 53}}},
	APIServer:    {called: true, ports: []Port{{Number: 443}}},
	AWS:          {called: true, ports: []Port{{Number: 443}}},
	Internet:     {called: true, ports: []Port{{Number: 443}}},
	ControlPlane: {calls: true},
	Nodes:        {calls: true, called: true},
	Anyone:       {calls: true, called: true},
}

// find returns the workload with the key.
func (a Args) find(key string) (Workload, bool) {
	i := slices.IndexFunc(a.Workloads, func(w Workload) bool { return w.Key == key })
	if i < 0 {
		return Workload{}, false
	}
	return a.Workloads[i], true
}

// validate checks the list, defaults filled in.
func (a Args) validate() error {
	var errs check.Errors
	errs.Require(len(a.Workloads) > 0, "workloads", nil, "must not be empty")
	a.validateWorkloads(&errs)
	for i, c := range a.Calls {
		var e check.Errors
		a.validateCall(&e, c)
		errs.Under(at("calls", i), e.Err())
	}
	for i, cidr := range a.VPCCIDRs {
		prefix, err := netip.ParsePrefix(cidr)
		errs.Require(err == nil && prefix.Addr().Is4() && prefix.Masked() == prefix && prefix.Bits() > 0, at("vpcCidrs", i), cidr,
			`must be an IPv4 network such as "10.0.0.0/16"`)
	}
	if err := errs.Err(); err != nil {
		return err
	}
	a.validateCrossings(&errs)
	return errs.Err()
}

func (a Args) validateWorkloads(errs *check.Errors) {
	for i, w := range a.Workloads {
		var e check.Errors
		e.Require(kube.IsDNSLabel(w.Key), "key", w.Key, "must be at most 63 lower-case letters, digits and dashes")
		e.Require(!strings.HasPrefix(w.Key, denyAll), "key", w.Key, "must not begin with %s", denyAll)
		e.Require(kube.IsDNSLabel(w.Namespace), "namespace", w.Namespace, "must be at most 63 lower-case letters, digits and dashes")
		e.Require(len(w.Selector) > 0 || w.HostNetwork, "selector", w.Selector, "must not be empty")
		for j, other := range a.Workloads {
			e.Require(j >= i || other.Key != w.Key, "key", w.Key, "must be unique")
			e.Require(j == i || !w.selects(other), "selector", w.Selector, "must not select the pods of %s", other.Key)
		}
		errs.Under(at("workloads", i), e.Err())
	}
}

// selects says whether w's selector finds the pods of other, as far as other's selector tells.
func (w Workload) selects(other Workload) bool {
	if w.HostNetwork || other.HostNetwork || w.Namespace != other.Namespace || len(w.Selector) == 0 {
		return false
	}
	for key, value := range w.Selector {
		if got, ok := other.Selector[key]; !ok || got != value {
			return false
		}
	}
	return true
}

func (a Args) validateCall(e *check.Errors, c Call) {
	_, callerIsOurs := a.find(c.From)
	_, calledIsOurs := a.find(c.To)
	e.Require(callerIsOurs || outside[c.From].calls, "from", c.From, "must be a workload, %s, %s or %s", ControlPlane, Nodes, Anyone)
	e.Require(calledIsOurs || outside[c.To].called, "to", c.To,
		"must be a workload, %s, %s, %s, %s, %s or %s", DNS, APIServer, AWS, Internet, Nodes, Anyone)
	e.Require(callerIsOurs || calledIsOurs || !outside[c.From].calls || !outside[c.To].called, "from", c.From,
		"must be a workload where %s is none", c.To)
	e.Require(len(c.Ports) > 0, "ports", nil, "must not be empty")
	for i, p := range c.Ports {
		ok := p.Number >= 1 && p.Number <= 65535 || p.Number == AnyPort && c.To == Anyone
		e.Require(ok, at("ports", i)+".number", p.Number, "must be 1 to 65535")
		check.OneOf(e, at("ports", i)+".protocol", p.Protocol, "TCP", "UDP", "SCTP")
	}
	e.Require(strings.TrimSpace(c.Why) != "", "why", c.Why, "must not be empty")
}

// byAddress says whether key is opened to all of VPCCIDRs, and so to every pod: a pod's address is one of the VPC's.
func (a Args) byAddress(key string) bool {
	w, ours := a.find(key)
	return ours && w.HostNetwork || slices.Contains([]string{APIServer, ControlPlane, Nodes, Internet}, key)
}

// validateCrossings refuses what nobody has declared: where one workload may call addresses of the VPC on a port, and another may be
// called by such addresses on the same port, the one reaches the other.
func (a Args) validateCrossings(errs *check.Errors) {
	for i, out := range a.Calls {
		from, ours := a.find(out.From)
		if !ours || from.HostNetwork || !a.byAddress(out.To) {
			continue
		}
		for _, in := range a.Calls {
			to, ours := a.find(in.To)
			if !ours || to.HostNetwork || !a.byAddress(in.From) {
				continue
			}
			for _, p := range out.Ports {
				errs.Require(!slices.Contains(in.Ports, p) || a.declares(from.Key, to.Key, p), at("calls", i)+".ports", p.Number,
					"must not let %s reach %s, which %s calls on the same port: use another, or declare that call", from.Key, to.Key, in.From)
			}
		}
	}
}

// declares says whether the list has this call, be it that one of the two deals with Anyone.
func (a Args) declares(from, to string, port Port) bool {
	return slices.ContainsFunc(a.Calls, func(c Call) bool {
		return (c.From == from || c.From == Anyone) && (c.To == to || c.To == Anyone) &&
			slices.ContainsFunc(c.Ports, func(p Port) bool {
				return p == port || p.Number == AnyPort && p.Protocol == port.Protocol
			})
	})
}
