package netpolicy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	nativecorev1 "k8s.io/api/core/v1"
	nativenetworkingv1 "k8s.io/api/networking/v1"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kansoku/kansoku/components/kube"
)

// denyAll names the policy of a namespace that closes what no other policy opens.
const denyAll = "default-deny"

func at(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }

// Policies renders the list: for each workload that can be selected, in the order of the list, a policy by its key that allows its
// declared calls and nothing else; then, for each namespace, one that denies everything to and from any pod in it. Kubernetes' own
// namespaces (default, kube-*) and those that are shared get none of the latter, for they hold pods of others.
func Policies(args Args) ([]Policy, error) {
	args = args.withDefaults()
	if err := args.validate(); err != nil {
		return nil, err
	}
	return args.render(), nil
}

func (a Args) render() []Policy {
	var policies []Policy
	closed := map[string]bool{}
	for _, w := range a.Workloads {
		if w.Foreign {
			continue
		}
		closed[w.Namespace] = w.Namespace != "default" && !strings.HasPrefix(w.Namespace, "kube-") &&
			!slices.Contains(a.SharedNamespaces, w.Namespace)
		if w.HostNetwork {
			continue
		}
		p := policy(w.Key, w.Namespace, w.Selector)
		for _, c := range a.Calls {
			if c.To == w.Key {
				p.Spec.Ingress = append(p.Spec.Ingress, nativenetworkingv1.NetworkPolicyIngressRule{
					From: a.peers(c.From), Ports: c.nativePorts(),
				})
			}
			if c.From == w.Key {
				p.Spec.Egress = append(p.Spec.Egress, nativenetworkingv1.NetworkPolicyEgressRule{
					To: a.peers(c.To), Ports: c.nativePorts(),
				})
			}
		}
		policies = append(policies, p)
	}
	for _, namespace := range slices.Sorted(maps.Keys(closed)) {
		if closed[namespace] {
			policies = append(policies, policy(denyAll, namespace, nil))
		}
	}
	return policies
}

// policy is one that allows nothing yet.
func policy(name, namespace string, selector map[string]string) Policy {
	return Policy{
		TypeMeta: nativemetav1.TypeMeta{APIVersion: nativenetworkingv1.SchemeGroupVersion.String(), Kind: "NetworkPolicy"},
		ObjectMeta: nativemetav1.ObjectMeta{
			Name: name, Namespace: namespace, Labels: map[string]string{"app.kubernetes.io/part-of": kube.PartOf},
		},
		Spec: nativenetworkingv1.NetworkPolicySpec{
			PodSelector: nativemetav1.LabelSelector{MatchLabels: selector},
			PolicyTypes: []nativenetworkingv1.PolicyType{nativenetworkingv1.PolicyTypeIngress, nativenetworkingv1.PolicyTypeEgress},
		},
	}
}

// peers is who stands behind a name in the list.
func (a Args) peers(key string) []nativenetworkingv1.NetworkPolicyPeer {
	const everywhere = "0.0.0.0/0"
	switch key {
	case DNS:
		return pods("kube-system", map[string]string{"k8s-app": "kube-dns"})
	case AWS:
		return []nativenetworkingv1.NetworkPolicyPeer{{IPBlock: &nativenetworkingv1.IPBlock{CIDR: everywhere, Except: a.VPCCIDRs}}}
	case Internet:
		return blocks(everywhere)
	case Anyone:
		return []nativenetworkingv1.NetworkPolicyPeer{{NamespaceSelector: &nativemetav1.LabelSelector{}}}
	case APIServer, ControlPlane, Nodes:
		return blocks(a.VPCCIDRs...)
	}
	w, _ := a.find(key)
	if w.HostNetwork {
		return blocks(a.VPCCIDRs...)
	}
	return pods(w.Namespace, w.Selector)
}

func pods(namespace string, selector map[string]string) []nativenetworkingv1.NetworkPolicyPeer {
	return []nativenetworkingv1.NetworkPolicyPeer{{
		NamespaceSelector: &nativemetav1.LabelSelector{MatchLabels: map[string]string{nativecorev1.LabelMetadataName: namespace}},
		PodSelector:       &nativemetav1.LabelSelector{MatchLabels: selector},
	}}
}

func blocks(cidrs ...string) []nativenetworkingv1.NetworkPolicyPeer {
	peers := make([]nativenetworkingv1.NetworkPolicyPeer, len(cidrs))
	for i, cidr := range cidrs {
		peers[i].IPBlock = &nativenetworkingv1.IPBlock{CIDR: cidr}
	}
	return peers
}

func (c Call) nativePorts() []nativenetworkingv1.NetworkPolicyPort {
	ports := make([]nativenetworkingv1.NetworkPolicyPort, len(c.Ports))
	for i, p := range c.Ports {
		protocol := nativecorev1.Protocol(p.Protocol)
		ports[i].Protocol = &protocol
		if p.Number != AnyPort {
			number := intstr.FromInt32(int32(p.Number)) //nolint:gosec // validated: at most 65535
			ports[i].Port = &number
		}
	}
	return ports
}

// typed is the policy as Pulumi takes it. Only what render makes is carried over.
func typed(p Policy) *networkingv1.NetworkPolicyArgs {
	spec := &networkingv1.NetworkPolicySpecArgs{PodSelector: typedSelector(&p.Spec.PodSelector)}
	var types pulumi.StringArray
	for _, t := range p.Spec.PolicyTypes {
		types = append(types, pulumi.String(t))
	}
	spec.PolicyTypes = types
	var ingress networkingv1.NetworkPolicyIngressRuleArray
	for _, rule := range p.Spec.Ingress {
		ingress = append(ingress, &networkingv1.NetworkPolicyIngressRuleArgs{From: typedPeers(rule.From), Ports: typedPorts(rule.Ports)})
	}
	var egress networkingv1.NetworkPolicyEgressRuleArray
	for _, rule := range p.Spec.Egress {
		egress = append(egress, &networkingv1.NetworkPolicyEgressRuleArgs{To: typedPeers(rule.To), Ports: typedPorts(rule.Ports)})
	}
	if ingress != nil {
		spec.Ingress = ingress
	}
	if egress != nil {
		spec.Egress = egress
	}
	return &networkingv1.NetworkPolicyArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Name: pulumi.String(p.Name), Namespace: pulumi.String(p.Namespace), Labels: pulumi.ToStringMap(p.Labels),
		},
		Spec: spec,
	}
}

func typedSelector(s *nativemetav1.LabelSelector) *metav1.LabelSelectorArgs {
	args := &metav1.LabelSelectorArgs{}
	if s.MatchLabels != nil {
		args.MatchLabels = pulumi.ToStringMap(s.MatchLabels)
	}
	return args
}

func typedPeers(peers []nativenetworkingv1.NetworkPolicyPeer) networkingv1.NetworkPolicyPeerArray {
	var array networkingv1.NetworkPolicyPeerArray
	for _, p := range peers {
		args := &networkingv1.NetworkPolicyPeerArgs{}
		if p.NamespaceSelector != nil {
			args.NamespaceSelector = typedSelector(p.NamespaceSelector)
		}
		if p.PodSelector != nil {
			args.PodSelector = typedSelector(p.PodSelector)
		}
		if p.IPBlock != nil {
			block := &networkingv1.IPBlockArgs{Cidr: pulumi.String(p.IPBlock.CIDR)}
			if p.IPBlock.Except != nil {
				block.Except = pulumi.ToStringArray(p.IPBlock.Except)
			}
			args.IpBlock = block
		}
		array = append(array, args)
	}
	return array
}

func typedPorts(ports []nativenetworkingv1.NetworkPolicyPort) networkingv1.NetworkPolicyPortArray {
	var array networkingv1.NetworkPolicyPortArray
	for _, p := range ports {
		args := &networkingv1.NetworkPolicyPortArgs{Protocol: pulumi.String(string(*p.Protocol))}
		if p.Port != nil {
			args.Port = pulumi.Int(p.Port.IntValue())
		}
		array = append(array, args)
	}
	return array
}
