package offline

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/stretchr/testify/assert"
)

// made is one resource of a hand-made state; needs and parent are names.
type made struct {
	token, name string
	parent      string
	provider    string
	needs       []string
	uses        []string // property dependencies
	inputs      map[string]any
}

func deploymentOf(all ...made) *apitype.DeploymentV3 {
	urns := map[string]resource.URN{}
	for _, one := range all {
		urns[one.name] = resource.NewURN("dev", "p", "", tokens.Type(one.token), one.name)
	}
	find := func(names []string) []resource.URN {
		var found []resource.URN
		for _, name := range names {
			found = append(found, urns[name])
		}
		return found
	}
	deployment := &apitype.DeploymentV3{}
	for _, one := range all {
		r := apitype.ResourceV3{
			URN: urns[one.name], Type: tokens.Type(one.token), Custom: urns[one.name].Type().Package() != "kansoku",
			Parent: urns[one.parent], Dependencies: find(one.needs), Inputs: one.inputs,
		}
		if one.provider != "" {
			r.Provider = string(urns[one.provider]) + "::some-id"
		}
		if one.uses != nil {
			r.PropertyDependencies = map[resource.PropertyKey][]resource.URN{"some": find(one.uses)}
		}
		deployment.Resources = append(deployment.Resources, r)
	}
	return deployment
}

func names(hops []Hop) []string {
	var found []string
	for _, hop := range hops {
		found = append(found, hop.Kind+" "+hop.Name)
	}
	return found
}

func TestCriticalPath(t *testing.T) {
	t.Parallel()
	state := deploymentOf(
		made{token: "kansoku:infra:Network", name: "network"},
		made{token: "aws:ec2/vpc:Vpc", name: "vpc", parent: "network"},
		made{token: "aws:ec2/subnet:Subnet", name: "public", parent: "network", uses: []string{"vpc"}, inputs: map[string]any{"mapPublicIpOnLaunch": true}},
		made{token: "aws:ec2/subnet:Subnet", name: "private", parent: "network", uses: []string{"vpc"}},
		made{token: "aws:ec2/natGateway:NatGateway", name: "nat", parent: "network", needs: []string{"public"}},
		made{token: "aws:dynamodb/table:Table", name: "index"},
		// It waits for the whole network, which it need not.
		made{token: "aws:eks/cluster:Cluster", name: "cluster", needs: []string{"network"}},
		made{token: "pulumi:providers:kubernetes", name: "provider", needs: []string{"cluster"}},
		made{token: "aws:eks/nodeGroup:NodeGroup", name: "nodes", needs: []string{"cluster", "nat"}},
		made{token: "aws:eks/addon:Addon", name: "dns", needs: []string{"nodes"}, inputs: map[string]any{"addonName": "coredns"}},
		made{token: "aws:eks/addon:Addon", name: "ebs", needs: []string{"nodes"}, inputs: map[string]any{"addonName": "aws-ebs-csi-driver"}},
		made{token: "kubernetes:core/v1:Namespace", name: "monitoring", provider: "provider"},
		made{token: "kubernetes:apps/v1:StatefulSet", name: "store", provider: "provider", parent: "monitoring", needs: []string{"ebs"}},
	)
	schedule := CriticalPath(state)
	assert.Equal(t, []string{
		"vpc vpc", "public subnet public", "nat gateway nat", "cluster cluster", "node group nodes", "add-on ebs-csi ebs", "stateful set store",
	}, names(schedule.Path))
	assert.InDelta(t, 22+10+107+513+119+45+56, schedule.Length, 0)
	assert.InDelta(t, 22+10+107, schedule.Path[3].Start, 0)
	assert.Equal(t, []string{
		"vpc ", "private subnet ", "cluster ", "node group ", "add-on ebs-csi ", "stateful set ",
	}, names(schedule.Bound))
	assert.InDelta(t, 22+1+513+119+45+56, schedule.BoundLength, 0)
	for _, hop := range append(schedule.Path, schedule.Bound...) {
		assert.NotEmpty(t, hop.Source, hop.Kind)
	}

	printed := schedule.String()
	assert.Contains(t, printed, "critical path of an up: 14:32 (lower bound 12:36)\n")
	assert.Contains(t, printed, "  at   2:19  +  8:33  cluster          cluster [")
}

func TestCriticalPathOfLess(t *testing.T) {
	t.Parallel()
	assert.Equal(t, &Schedule{}, CriticalPath(&apitype.DeploymentV3{}))

	// An adopted cluster takes no time; what runs on it still needs nodes.
	adopted := deploymentOf(
		made{token: "aws:eks/cluster:Cluster", name: "cluster"},
		made{token: "aws:eks/nodeGroup:NodeGroup", name: "nodes", needs: []string{"cluster"}},
		made{token: "aws:s3/bucket:Bucket", name: "blocks"},
	)
	adopted.Resources[0].External = true
	schedule := CriticalPath(adopted)
	assert.Equal(t, []string{"node group nodes"}, names(schedule.Path))
	assert.Equal(t, []string{"node group "}, names(schedule.Bound))
	assert.InDelta(t, 119, schedule.Length, 0)
}

// Every kind that a type or a requirement names has a duration, and no requirement goes in a circle.
func TestKinds(t *testing.T) {
	t.Parallel()
	durations := durations
	for token, kind := range kinds {
		if kind != "issuer" { // as any AWS resource
			assert.Contains(t, durations, kind, token)
		}
	}
	var depth func(kind string, seen []string)
	depth = func(kind string, seen []string) {
		assert.NotContains(t, seen, kind)
		for _, needed := range unavoidable[kind] {
			depth(needed, append(seen, kind))
		}
	}
	for kind := range unavoidable {
		depth(kind, nil)
	}
}

// Two components that depend on each other's members close a circle once components stand for what is in them.
func TestLongestEndsOnCircles(t *testing.T) {
	t.Parallel()
	state := deploymentOf(
		made{token: "kansoku:x:A", name: "a"},
		made{token: "kansoku:x:B", name: "b"},
		made{token: "aws:s3/bucket:Bucket", name: "in-a", parent: "a", needs: []string{"b"}},
		made{token: "aws:s3/bucket:Bucket", name: "in-b", parent: "b", needs: []string{"a"}},
	)
	sums, _ := newGraph(state).longest(func(*apitype.ResourceV3) float64 { return 1 })
	assert.Len(t, sums, 4)
}

func TestGraphLeavesOutWhatIsToBeDeleted(t *testing.T) {
	t.Parallel()
	state := deploymentOf(made{token: "aws:s3/bucket:Bucket", name: "new"}, made{token: "aws:s3/bucket:Bucket", name: "old"})
	state.Resources[1].Delete = true
	assert.Equal(t, []string{string(state.Resources[0].URN)}, newGraph(state).urns)
}
