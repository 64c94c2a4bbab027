// Package estimate says what a stack file costs: it plans the stack without the engine, and hands what is paid for to package cost.
package estimate

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kansoku/kansoku/internal/cost"
	"github.com/kansoku/kansoku/internal/offline"
	"github.com/kansoku/kansoku/internal/program"
)

// Why there is no estimate.
var (
	ErrNotOnAWS = errors.New("it has no AWS side, so AWS charges nothing for it")
	ErrNoLoad   = errors.New("kansoku:cost is not set: its load and its spot prices (docs/configuration.md)")
)

// Of is the bill of the stack file Pulumi.<stack>.yaml in a project's directory.
func Of(project, stack string) (*cost.Bill, error) {
	options := offline.Options{Project: project, Stack: stack, Program: program.WithKeys}
	name, values, err := offline.Configuration(options)
	if err != nil {
		return nil, err
	}
	cfg, err := program.Load(name, stack, values)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the configuration of stack %s is refused:\n%w", stack, err)
	case !cfg.OnAWS():
		return nil, ErrNotOnAWS
	case cfg.Cost == nil:
		return nil, ErrNoLoad
	}
	planned, err := offline.Planned(options)
	if err != nil {
		return nil, err
	}
	spent := cfg.Kept()
	spent.Name = stack
	if err := add(&spent, planned); err != nil {
		return nil, err
	}
	return cost.Estimate(spent)
}

// free are the types of AWS resources that cost nothing by themselves, or whose cost follows from the load. A type that is neither here nor
// counted by add is an error, so that nothing new goes unnoticed.
var free = []string{
	"aws:autoscaling/tag:Tag", "aws:dynamodb/table:Table", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
	"aws:ec2/internetGateway:InternetGateway", "aws:ec2/launchTemplate:LaunchTemplate", "aws:ec2/route:Route",
	"aws:ec2/routeTable:RouteTable", "aws:ec2/routeTableAssociation:RouteTableAssociation", "aws:ec2/securityGroup:SecurityGroup",
	"aws:ec2/securityGroupRule:SecurityGroupRule", "aws:ec2/subnet:Subnet", "aws:ec2/vpc:Vpc", "aws:eks/accessEntry:AccessEntry",
	"aws:eks/accessPolicyAssociation:AccessPolicyAssociation", "aws:eks/addon:Addon", "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
	"aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy", "aws:iam/rolePolicyAttachment:RolePolicyAttachment", "aws:kms/alias:Alias",
}

// add counts what is planned. What is there already is somebody else's to pay for.
func add(spent *cost.Stack, planned []offline.Resource) error {
	disks := map[string]int{}
	for _, one := range planned {
		if one.Type != "aws:ec2/launchTemplate:LaunchTemplate" {
			continue
		}
		var template struct {
			BlockDeviceMappings []struct{ EBS struct{ VolumeSize int } }
		}
		if err := read(one, &template); err != nil {
			return err
		}
		for _, device := range template.BlockDeviceMappings {
			disks[one.Name+"-id"] += device.EBS.VolumeSize // the id that the mocks give
		}
	}
	var errs []error
	for _, one := range planned {
		if one.Existing {
			continue
		}
		var err error
		switch {
		case one.Type == "eks:index:Cluster":
			err = addCluster(spent, one)
		case one.Type == "aws:eks/nodeGroup:NodeGroup":
			err = addNodes(spent, one, disks)
		case one.Type == "aws:ec2/natGateway:NatGateway":
			spent.NATGateways++
		case one.Type == "aws:ec2/eip:Eip":
			spent.Addresses++
		case one.Type == "aws:kms/key:Key":
			spent.Keys++
		case strings.HasPrefix(one.Type, "kubernetes:"):
			err = addVolumes(spent, one)
		case one.Type == "aws:ec2/vpcEndpoint:VpcEndpoint":
			if one.Inputs["vpcEndpointType"] != "Gateway" {
				err = fmt.Errorf("%s %s: an endpoint that is no gateway is paid by the hour, which the estimate does not know", one.Type, one.Name)
			}
		case strings.HasPrefix(one.Type, "aws:") && !strings.HasPrefix(one.Type, "aws:s3/") && !slices.Contains(free, one.Type):
			err = fmt.Errorf("%s %s: the estimate does not know what it costs", one.Type, one.Name)
		}
		errs = append(errs, err)
	}
	slices.SortFunc(spent.Nodes, func(a, b cost.Nodes) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(spent.Volumes, func(a, b cost.Volume) int { return strings.Compare(a.Name, b.Name) })
	return errors.Join(errs...)
}

func addCluster(spent *cost.Stack, one offline.Resource) error {
	var cluster struct{ EnabledClusterLogTypes []string }
	spent.Clusters++
	err := read(one, &cluster)
	spent.ControlPlaneLogs = spent.ControlPlaneLogs || len(cluster.EnabledClusterLogTypes) > 0
	return err
}

func addNodes(spent *cost.Stack, one offline.Resource, disks map[string]int) error {
	var group struct {
		CapacityType   string
		InstanceTypes  []string
		LaunchTemplate struct{ ID string }
		ScalingConfig  struct{ DesiredSize int }
	}
	err := read(one, &group)
	spent.Nodes = append(spent.Nodes, cost.Nodes{
		Name: one.Name, Spot: group.CapacityType == "SPOT", Types: group.InstanceTypes, Count: group.ScalingConfig.DesiredSize,
		DiskGiB: disks[group.LaunchTemplate.ID],
	})
	return err
}

// claim is a PersistentVolumeClaim, or the template of one.
type claim struct {
	Spec struct {
		StorageClassName string
		Resources        struct{ Requests struct{ Storage string } }
	}
}

// addVolumes counts claims, the templates of StatefulSets, and those that the operator makes StatefulSets of.
func addVolumes(spent *cost.Stack, one offline.Resource) error {
	var object struct {
		Kind string
		Spec json.RawMessage
	}
	if err := read(one, &object); err != nil || len(object.Spec) == 0 {
		return err
	}
	var spec struct {
		Replicas             *int
		VolumeClaimTemplates []claim
		Storage              struct{ VolumeClaimTemplate *claim }
	}
	var claims []claim
	switch object.Kind {
	case "PersistentVolumeClaim":
		var own claim
		if err := json.Unmarshal(object.Spec, &own.Spec); err != nil {
			return fmt.Errorf("reading %s %s: %w", one.Type, one.Name, err)
		}
		claims = append(claims, own)
	case "StatefulSet", "Prometheus", "PrometheusAgent", "Alertmanager", "ThanosRuler":
		if err := json.Unmarshal(object.Spec, &spec); err != nil {
			return fmt.Errorf("reading %s %s: %w", one.Type, one.Name, err)
		}
		claims = spec.VolumeClaimTemplates
		if spec.Storage.VolumeClaimTemplate != nil {
			claims = append(claims, *spec.Storage.VolumeClaimTemplate)
		}
	}
	count := 1
	if spec.Replicas != nil {
		count = *spec.Replicas
	}
	for _, c := range claims {
		size, err := resource.ParseQuantity(c.Spec.Resources.Requests.Storage)
		if err != nil {
			return fmt.Errorf("reading the size of a volume of %s: %w", one.Name, err)
		}
		spent.Volumes = append(spent.Volumes, cost.Volume{
			Name: one.Name, Class: c.Spec.StorageClassName, Count: count, GiB: float64(size.Value()) / (1 << 30),
		})
	}
	return nil
}

// read decodes a resource's inputs, whatever the case of their keys.
func read(one offline.Resource, into any) error {
	text, err := json.Marshal(one.Inputs)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("reading %s %s: %w", one.Type, one.Name, err)
	}
	return nil
}
