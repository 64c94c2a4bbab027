package provider

import (
	"context"
	"fmt"
	"reflect"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	construct "github.com/pulumi/pulumi/sdk/v3/go/pulumi/provider"

	"github.com/kansoku/kansoku/components/alertmanager"
	"github.com/kansoku/kansoku/components/alloy"
	"github.com/kansoku/kansoku/components/autoscaler"
	"github.com/kansoku/kansoku/components/events"
	"github.com/kansoku/kansoku/components/exporters/adapter"
	"github.com/kansoku/kansoku/components/exporters/kubestatemetrics"
	"github.com/kansoku/kansoku/components/exporters/nodeexporter"
	"github.com/kansoku/kansoku/components/grafana"
	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/monitoring"
	"github.com/kansoku/kansoku/components/netpolicy"
	"github.com/kansoku/kansoku/components/operator"
	"github.com/kansoku/kansoku/components/prometheus"
	"github.com/kansoku/kansoku/components/promtail"
	"github.com/kansoku/kansoku/components/rules"
	"github.com/kansoku/kansoku/components/thanos"
	"github.com/kansoku/kansoku/infra"
)

// components are all that the package has. The token is the one that the component registers itself with.
func components() []infer.InferredComponent {
	return []infer.InferredComponent{
		component("kansoku:alertmanager:Alertmanager", alertmanager.New),
		component("kansoku:alloy:Alloy", alloy.New),
		component("kansoku:autoscaler:Autoscaler", autoscaler.New),
		component("kansoku:events:Events", events.New),
		component("kansoku:exporters:Adapter", adapter.New),
		component("kansoku:exporters:KubeStateMetrics", kubestatemetrics.New),
		component("kansoku:exporters:NodeExporter", nodeexporter.New),
		component("kansoku:grafana:Grafana", grafana.New),
		component("kansoku:grafana:Provisioning", grafana.NewProvisioning),
		component("kansoku:infra:Bucket", infra.NewBucket),
		component("kansoku:infra:Table", infra.NewTable),
		component("kansoku:infra:WorkloadRole", infra.NewWorkloadRole),
		component("kansoku:loki:Loki", loki.New),
		component("kansoku:monitoring:Monitoring", monitoring.New),
		component("kansoku:netpolicy:Policies", netpolicy.New),
		component("kansoku:operator:CRDs", newCRDs),
		component("kansoku:operator:Operator", operator.New),
		component("kansoku:prometheus:ClusterMonitors", prometheus.NewClusterMonitors),
		component("kansoku:prometheus:Prometheus", prometheus.New),
		component("kansoku:promtail:Promtail", promtail.New),
		component("kansoku:rules:Rules", rules.New),
		component("kansoku:thanos:BucketWeb", thanos.NewBucketWeb),
		component("kansoku:thanos:Compact", thanos.NewCompact),
		component("kansoku:thanos:Query", thanos.NewQuery),
		component("kansoku:thanos:QueryFrontend", thanos.NewQueryFrontend),
		component("kansoku:thanos:Store", thanos.NewStore),
		component("kansoku:thanos:Thanos", thanos.New),
	}
}

// noArgs of a component that takes none.
type noArgs struct{}

func newCRDs(ctx *pulumi.Context, name string, _ *noArgs, opts ...pulumi.ResourceOption) (*operator.CRDs, error) {
	return operator.NewCRDs(ctx, name, opts...)
}

// constructor is what every component has.
type constructor[A any, O pulumi.ComponentResource] = func(*pulumi.Context, string, *A, ...pulumi.ResourceOption) (O, error)

func component[A any, O pulumi.ComponentResource](token tokens.Type, create constructor[A, O]) infer.InferredComponent {
	return &remote[A, O]{
		InferredComponent: infer.ComponentF[*A, O](create), token: token, create: create, args: reflect.TypeFor[A](), made: reflect.TypeFor[O]().Elem(),
	}
}

// remote is a component with our own reading of its inputs: the framework's knows no embedded structs, which Args are made of, and registers
// the outputs a second time.
type remote[A any, O pulumi.ComponentResource] struct {
	infer.InferredComponent
	token      tokens.Type
	create     constructor[A, O]
	args, made reflect.Type // for the schema
}

// GetToken implements infer.InferredComponent.
func (r *remote[A, O]) GetToken() (tokens.Type, error) { return r.token, nil }

// types are what the schema is made from.
func (r *remote[A, O]) types() (args, made reflect.Type) { return r.args, r.made }

// Construct implements infer.InferredComponent.
func (r *remote[A, O]) Construct(ctx context.Context, request p.ConstructRequest) (p.ConstructResponse, error) {
	name := request.Urn.Name()
	inputs, err := settle(request.Inputs, r.args)
	if err != nil {
		return p.ConstructResponse{}, fmt.Errorf("reading the inputs of %s: %w", name, err)
	}
	request.Inputs = inputs
	return p.ProgramConstruct(ctx, request, //nolint:wrapcheck // the status is for the engine
		func(ctx *pulumi.Context, _, _ string, inputs construct.ConstructInputs, opts pulumi.ResourceOption) (*construct.ConstructResult, error) {
			args := new(A)
			if err := fill(inputs, reflect.ValueOf(args)); err != nil {
				return nil, fmt.Errorf("reading the inputs of %s: %w", name, err)
			}
			made, err := r.create(ctx, name, args, opts)
			if err != nil {
				return nil, err
			}
			return construct.NewConstructResult(made) //nolint:wrapcheck // says what it is
		})
}

// fill copies the inputs into a struct and the structs that it embeds.
func fill(inputs construct.ConstructInputs, into reflect.Value) error {
	if err := inputs.CopyTo(into.Interface()); err != nil {
		return err //nolint:wrapcheck // the caller does
	}
	for i := range into.Elem().NumField() {
		if into.Elem().Type().Field(i).Anonymous {
			if err := fill(inputs, into.Elem().Field(i).Addr()); err != nil {
				return err
			}
		}
	}
	return nil
}
