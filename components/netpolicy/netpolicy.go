// Package netpolicy derives NetworkPolicies, ingress and egress, from one list of who calls whom, and judges what a set of policies
// lets through. It owns the policies, not the workloads; whether they are enforced is up to the cluster's network plugin.
//
// The ports of a call are those of the pods, never those of a Service in front of them: a policy is applied to what reaches the pod.
// On EKS three things follow from the VPC CNI, which sees a packet before a Service's address is replaced by a pod's:
//   - a Service that is called through its cluster address should have the same port as its pods (AWS asks for it);
//   - a peer's selector must be part of its Service's selector, or the Service's address is not opened with the pods;
//   - the API server's Service has no selector, so its address must lie in Args.VPCCIDRs.
package netpolicy

import (
	"fmt"

	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	nativenetworkingv1 "k8s.io/api/networking/v1"
)

// The type token is part of every child's URN and must never change.
const token = "kansoku:netpolicy:Policies"

// Who is no workload of the list. All of these but DNS and Anyone have no pod that could be selected, only addresses. Addresses are
// IPv4.
const (
	// DNS is the cluster's: the pods k8s-app=kube-dns in kube-system. Called only; ports if none are given: 53, UDP and TCP.
	DNS = "@dns"
	// APIServer is an address in VPCCIDRs. Called only; port if none is given: 443, on which EKS serves (others often 6443).
	APIServer = "@api-server"
	// AWS is any address outside VPCCIDRs: interface endpoints in the VPC are not among them. Called only; port if none is given: 443.
	AWS = "@aws"
	// Internet is any address at all, for what may also be a proxy in the VPC. Called only; port if none is given: 443.
	Internet = "@internet"
	// ControlPlane is the API server as it calls in (aggregated APIs, webhooks): an address in VPCCIDRs. Calls only.
	ControlPlane = "@control-plane"
	// Nodes are what lives on the nodes' own network (kubelets), and load balancers in the VPC: addresses in VPCCIDRs.
	Nodes = "@nodes"
	// Anyone is every pod in the cluster, in every namespace, that is not on its node's network. It opens the one side only: pods
	// of the list whose own side is closed stay so.
	Anyone = "@anyone"
)

// AnyPort as a Port's number stands for all ports. Only for calls to Anyone: who scrapes other people's pods cannot know their ports.
const AnyPort = -1

// Policy is a NetworkPolicy as the API server takes it.
type Policy = nativenetworkingv1.NetworkPolicy

// Workload is a set of pods of the stack.
type Workload struct {
	// Key names it in calls and names its policy: lower-case letters, digits and dashes. Required.
	Key string `pulumi:"key"`
	// Namespace of its pods. Required.
	Namespace string `pulumi:"namespace"`
	// Selector finds its pods, and no other workload's. Required unless HostNetwork.
	Selector map[string]string `pulumi:"selector,optional"`
	// HostNetwork says that the pods use their node's address. No policy can select them: who calls them, or is called by them, is
	// opened to all of VPCCIDRs. Default: false.
	HostNetwork bool `pulumi:"hostNetwork,optional"`
	// Foreign says that the pods are somebody else's: they are let in and may be called, and what they may do themselves is not said. Default:
	// false.
	Foreign bool `pulumi:"foreign,optional"`
}

// Port is a port of a pod.
type Port struct {
	// Number is 1 to 65535, or AnyPort. Required.
	Number int `pulumi:"number"`
	// Protocol is TCP, UDP or SCTP. Default: TCP.
	Protocol string `pulumi:"protocol,optional"`
}

// Call says that one may open connections to another. Answers need no call of their own.
type Call struct {
	// From is the key of the workload that calls, or ControlPlane, Nodes or Anyone. Required.
	From string `pulumi:"from"`
	// To is the key of the workload that is called, or DNS, APIServer, AWS, Internet, Nodes or Anyone. Required; From itself where
	// replicas talk to each other.
	To string `pulumi:"to"`
	// Ports of the pods of To. Required, except where To has ports of its own.
	Ports []Port `pulumi:"ports,optional"`
	// Why the call is needed, for the reader of the list. Required.
	Why string `pulumi:"why"`
}

// Args are who there is and who calls whom.
type Args struct {
	// Workloads of the stack. Required.
	Workloads []Workload `pulumi:"workloads"`
	// Calls are all the connections there may be. Default: none.
	Calls []Call `pulumi:"calls,optional"`
	// VPCCIDRs are the IPv4 networks of pods, nodes, the API server's interfaces and Services. Default: all private ones, which are
	// 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 (RFC 1918) and 100.64.0.0/10 (RFC 6598).
	VPCCIDRs []string `pulumi:"vpcCidrs,optional"`
	// SharedNamespaces hold pods of others, which nothing is denied to. Default: the own namespaces have no pods but the workloads'.
	SharedNamespaces []string `pulumi:"sharedNamespaces,optional"`
}

// withDefaults fills what is not set.
func (a Args) withDefaults() Args {
	if len(a.VPCCIDRs) == 0 {
		a.VPCCIDRs = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"}
	}
	calls := make([]Call, len(a.Calls))
	for i, c := range a.Calls {
		ports := c.Ports
		if len(ports) == 0 {
			ports = outside[c.To].ports
		}
		c.Ports = make([]Port, len(ports))
		for j, p := range ports {
			if p.Protocol == "" {
				p.Protocol = "TCP"
			}
			c.Ports[j] = p
		}
		calls[i] = c
	}
	a.Calls = calls
	return a
}

// EverybodyAsksDNS lets every workload resolve names.
func EverybodyAsksDNS(workloads []Workload) []Call {
	var calls []Call
	for _, w := range workloads {
		if !w.HostNetwork && !w.Foreign {
			calls = append(calls, Call{From: w.Key, To: DNS, Why: "resolves names"})
		}
	}
	return calls
}

// NetworkPolicies are the policies in the cluster.
type NetworkPolicies struct {
	pulumi.ResourceState

	// Policies is what has been created.
	Policies []Policy
}

// New creates the policies. The namespaces must exist: the caller passes DependsOn.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*NetworkPolicies, error) {
	if args == nil {
		args = &Args{}
	}
	policies, err := Policies(*args)
	if err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	component := &NetworkPolicies{Policies: policies}
	if err := ctx.RegisterComponentResource(token, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	for _, p := range policies {
		resource := name + "-" + p.Name
		if p.Name == denyAll {
			resource += "-" + p.Namespace
		}
		if _, err := networkingv1.NewNetworkPolicy(ctx, resource, typed(p), pulumi.Parent(component)); err != nil {
			return nil, fmt.Errorf("creating network policy %s: %w", p.Name, err)
		}
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{})
}
