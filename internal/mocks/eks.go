package mocks

import (
	"maps"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

const (
	eksComponent = "eks:index:Cluster"
	awsCluster   = "aws:eks/cluster:Cluster"
	awsNodeGroup = "aws:eks/nodeGroup:NodeGroup"
	backing      = "cluster-behind-" + eksComponent
)

// withEKS runs program where pulumi-eks' remote component can be created: the cluster that its output eksCluster refers to is
// registered beforehand, as a resource of the stack. A reference can only be followed to what is there.
func (r *Recorder) withEKS(program pulumi.RunFunc) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		var cluster pulumi.CustomResourceState
		if err := ctx.RegisterResource(awsCluster, backing, nil, &cluster); err != nil {
			return err
		}
		registered := make(chan struct{})
		cluster.URN().ApplyT(func(pulumi.URN) error {
			close(registered)
			return nil
		})
		<-registered
		return program(ctx)
	}
}

// eksOutputs adds what the remote component, the cluster behind it and node groups give.
func (r *Recorder) eksOutputs(one Resource, outputs resource.PropertyMap) {
	switch {
	case one.Type == eksComponent:
		urn := resource.NewURN(Stack, Project, "", awsCluster, backing)
		outputs["eksCluster"] = resource.MakeCustomResourceReference(urn, backing+"-id", "")
	case one.Type == awsCluster && one.Name == backing:
		maps.Copy(outputs, resource.NewPropertyMapFromMap(r.EKS))
	case one.Type == awsNodeGroup:
		outputs["resources"] = resource.NewPropertyValue([]any{map[string]any{
			"autoscalingGroups": []any{map[string]any{"name": "eks-" + one.Name}},
		}})
	}
}
