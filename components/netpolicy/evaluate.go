package netpolicy

import (
	"maps"
	"net/netip"
	"slices"

	nativecorev1 "k8s.io/api/core/v1"
	nativenetworkingv1 "k8s.io/api/networking/v1"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Pod is one end of a connection. What is no pod, or a pod on its node's network, has an IP and nothing else.
type Pod struct {
	// Namespace of the pod; "" for what policies cannot select.
	Namespace string
	// Labels of the pod.
	Labels map[string]string
	// IP is its address. Default: none, and no address block matches it.
	IP string
	// NamespaceLabels are its namespace's labels. kubernetes.io/metadata.name need not be given: the API server sets it.
	NamespaceLabels map[string]string
}

// Allows says whether the policies let a pod open a connection to a port of another: what leaves the one and what enters the other
// must both be allowed. A pod that no policy of a direction selects is open in that direction; where several do, one rule is enough.
// Address blocks match pods too, as they do on EKS. Named ports match nothing. Not judged is what Kubernetes always lets through: a
// pod's calls to itself, and those between it and its own node.
func Allows(policies []Policy, from, to Pod, port Port) bool {
	return allowsEgress(policies, from, to, port) && allowsIngress(policies, from, to, port)
}

func allowsEgress(policies []Policy, from, to Pod, port Port) bool {
	open := true
	for _, p := range policies {
		if !affects(p, nativenetworkingv1.PolicyTypeEgress) || !from.in(p.Namespace, p.Spec.PodSelector) {
			continue
		}
		open = false
		for _, rule := range p.Spec.Egress {
			if matchesPeer(rule.To, p.Namespace, to) && matchesPort(rule.Ports, port) {
				return true
			}
		}
	}
	return open
}

func allowsIngress(policies []Policy, from, to Pod, port Port) bool {
	open := true
	for _, p := range policies {
		if !affects(p, nativenetworkingv1.PolicyTypeIngress) || !to.in(p.Namespace, p.Spec.PodSelector) {
			continue
		}
		open = false
		for _, rule := range p.Spec.Ingress {
			if matchesPeer(rule.From, p.Namespace, from) && matchesPort(rule.Ports, port) {
				return true
			}
		}
	}
	return open
}

// affects says whether a policy is about a direction. One that does not say is about ingress, and about egress if it has such rules.
func affects(p Policy, direction nativenetworkingv1.PolicyType) bool {
	if len(p.Spec.PolicyTypes) > 0 {
		return slices.Contains(p.Spec.PolicyTypes, direction)
	}
	return direction == nativenetworkingv1.PolicyTypeIngress || len(p.Spec.Egress) > 0
}

// in says whether the pod is one of those selected in a namespace.
func (p Pod) in(namespace string, selector nativemetav1.LabelSelector) bool {
	return p.Namespace != "" && p.Namespace == namespace && matches(&selector, p.Labels)
}

// matches treats a selector that the API server would refuse as one that finds nothing.
func matches(selector *nativemetav1.LabelSelector, set map[string]string) bool {
	s, err := nativemetav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(labels.Set(set))
}

// matchesPeer says whether one of the peers is the pod. No peers at all are everyone.
func matchesPeer(peers []nativenetworkingv1.NetworkPolicyPeer, namespace string, pod Pod) bool {
	if len(peers) == 0 {
		return true
	}
	return slices.ContainsFunc(peers, func(p nativenetworkingv1.NetworkPolicyPeer) bool {
		switch {
		case p.IPBlock != nil:
			return contains(p.IPBlock.CIDR, pod.IP) &&
				!slices.ContainsFunc(p.IPBlock.Except, func(cidr string) bool { return contains(cidr, pod.IP) })
		case pod.Namespace == "":
			return false
		case p.NamespaceSelector == nil:
			return p.PodSelector != nil && pod.in(namespace, *p.PodSelector)
		}
		own := map[string]string{}
		maps.Copy(own, pod.NamespaceLabels)
		own[nativecorev1.LabelMetadataName] = pod.Namespace
		return matches(p.NamespaceSelector, own) && (p.PodSelector == nil || matches(p.PodSelector, pod.Labels))
	})
}

func contains(cidr, ip string) bool {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(ip)
	return err == nil && prefix.Contains(address)
}

// matchesPort says whether one of the ports is the one called. No ports at all are every port.
func matchesPort(ports []nativenetworkingv1.NetworkPolicyPort, port Port) bool {
	if len(ports) == 0 {
		return true
	}
	protocol := nativecorev1.ProtocolTCP
	if port.Protocol != "" {
		protocol = nativecorev1.Protocol(port.Protocol)
	}
	return slices.ContainsFunc(ports, func(p nativenetworkingv1.NetworkPolicyPort) bool {
		allowed := nativecorev1.ProtocolTCP
		if p.Protocol != nil {
			allowed = *p.Protocol
		}
		switch {
		case allowed != protocol:
			return false
		case p.Port == nil:
			return true
		case p.Port.Type == intstr.String:
			return false
		case p.EndPort != nil:
			return port.Number >= p.Port.IntValue() && port.Number <= int(*p.EndPort)
		}
		return port.Number == p.Port.IntValue()
	})
}
