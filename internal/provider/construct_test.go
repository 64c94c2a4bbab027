package provider_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	apiextensionsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/monitoring"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/thanos"
	"github.com/kansoku/kansoku/internal/offline"
	"github.com/kansoku/kansoku/internal/provider"
)

const (
	tools  = "../../bin"
	region = "ap-northeast-1"
	secret = "https://hooks.example/very-secret"
)

// attached makes a provider for every run of the engine, as the engine does with a plugin: a failed run cancels its provider for good.
type attached struct {
	pulumirpc.ResourceProviderServer
}

func (a *attached) Attach(ctx context.Context, request *pulumirpc.PluginAttach) (*emptypb.Empty, error) {
	served, err := provider.NewServer(nil)
	if err != nil {
		return nil, err
	}
	a.ResourceProviderServer = served
	return served.Attach(ctx, request)
}

// serve starts the provider on loopback, and names it as the engine does.
func serve(t *testing.T) string {
	t.Helper()
	first, err := provider.NewServer(nil)
	require.NoError(t, err)
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(400<<20), grpc.MaxSendMsgSize(400<<20))
	pulumirpc.RegisterResourceProviderServer(server, &attached{first})
	go func() { _ = server.Serve(listener) }() // returns when Stop ends it
	t.Cleanup(server.Stop)
	return fmt.Sprintf("%s:%d", provider.Name, listener.Addr().(*net.TCPAddr).Port)
}

type deployment func(ctx *pulumi.Context, bucket pulumi.StringOutput, opts ...pulumi.ResourceOption) error

// program runs with what both ways of calling share: a cluster, and a bucket whose name no preview knows.
func program(deploy deployment) func([]string) pulumi.RunFunc {
	return func([]string) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			cluster, err := kubernetes.NewProvider(ctx, "cluster", &kubernetes.ProviderArgs{ClusterIdentifier: pulumi.String("tools")})
			if err != nil {
				return err
			}
			bucket, err := s3.NewBucketV2(ctx, "data", &s3.BucketV2Args{})
			if err != nil {
				return err
			}
			return deploy(ctx, bucket.ID().ToStringOutput(), pulumi.Providers(cluster))
		}
	}
}

// furnished adds what must be in the cluster before: namespaces, and the operator's definitions as far as the double reads them.
func furnished(deploy deployment) deployment {
	return func(ctx *pulumi.Context, bucket pulumi.StringOutput, opts ...pulumi.ResourceOption) error {
		var first []pulumi.Resource
		for _, name := range []string{"history", "lines"} {
			namespace, err := corev1.NewNamespace(ctx, name, &corev1.NamespaceArgs{Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String(name)}}, opts...)
			if err != nil {
				return err
			}
			first = append(first, namespace)
		}
		const group = "monitoring.coreos.com"
		for plural, kind := range map[string]string{
			"alertmanagers": "Alertmanager", "podmonitors": "PodMonitor", "prometheuses": "Prometheus", "prometheusrules": "PrometheusRule",
			"servicemonitors": "ServiceMonitor",
		} {
			definition, err := apiextensionsv1.NewCustomResourceDefinition(ctx, plural, &apiextensionsv1.CustomResourceDefinitionArgs{
				Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String(plural + "." + group)},
				Spec: &apiextensionsv1.CustomResourceDefinitionSpecArgs{
					Group: pulumi.String(group), Scope: pulumi.String("Namespaced"),
					Names: &apiextensionsv1.CustomResourceDefinitionNamesArgs{Kind: pulumi.String(kind), Plural: pulumi.String(plural)},
					Versions: apiextensionsv1.CustomResourceDefinitionVersionArray{&apiextensionsv1.CustomResourceDefinitionVersionArgs{
						Name: pulumi.String("v1"), Served: pulumi.Bool(true), Storage: pulumi.Bool(true),
					}},
				},
			}, opts...)
			if err != nil {
				return err
			}
			first = append(first, definition)
		}
		return deploy(ctx, bucket, append(slices.Clone(opts), pulumi.DependsOn(first))...)
	}
}

// direct is the Go call.
func direct(ctx *pulumi.Context, bucket pulumi.StringOutput, opts ...pulumi.ResourceOption) error {
	at := objectstore.Location{Bucket: bucket, Region: pulumi.String(region)}
	schema := []loki.Period{{From: "2026-01-01", Index: loki.TSDB}}
	whole, err := monitoring.New(ctx, "whole", &monitoring.Args{
		Settings: monitoring.Settings{Loki: &loki.Settings{Schema: schema, Replicas: 1}, StorageClass: "standard", NoDashboards: true},
		Cluster:  "tools", Blocks: at, Chunks: at, ExistingCRDs: true, VPCCIDRs: []string{"10.0.0.0/8"},
		RoleARNs:     map[string]pulumi.StringInput{"prometheus": pulumi.Sprintf("arn:aws:iam::1:role/%s", bucket)},
		AlertSecrets: map[string]pulumi.StringInput{"slackUrl": pulumi.ToSecret(pulumi.String(secret)).(pulumi.StringOutput)},
	}, opts...)
	if err != nil {
		return err
	}
	_, err = thanos.New(ctx, "history", &thanos.Args{
		Settings:  thanos.Settings{Store: thanos.StoreSettings{Replicas: 2}},
		Namespace: pulumi.String("history"), Blocks: at, StoreEndpoints: []pulumi.StringInput{whole.StoreEndpoint},
	}, opts...)
	if err != nil {
		return err
	}
	_, err = loki.New(ctx, "lines", &loki.Args{
		Settings: loki.Settings{Schema: schema}, Namespace: pulumi.String("lines"), Chunks: at, AlertmanagerURL: whole.AlertmanagerURL,
	}, opts...)
	return err
}

// outputs of Monitoring, as another language's SDK has them.
type outputs struct {
	pulumi.ResourceState
	StoreEndpoint   pulumi.StringOutput `pulumi:"storeEndpoint"`
	AlertmanagerURL pulumi.StringOutput `pulumi:"alertmanagerUrl"`
	GrafanaPassword pulumi.StringOutput `pulumi:"grafanaPassword"`
}

type nothing struct{ pulumi.ResourceState }

// remote is the same by way of the provider, as a program in another language calls it.
func remote(ctx *pulumi.Context, bucket pulumi.StringOutput, opts ...pulumi.ResourceOption) error {
	return remotely(ctx, "history", bucket, opts, opts)
}

func remotely(ctx *pulumi.Context, history string, bucket pulumi.StringOutput, opts, historyOpts []pulumi.ResourceOption) error {
	at := pulumi.Map{"bucket": bucket, "region": pulumi.String(region)}
	schema := pulumi.Array{pulumi.Map{"from": pulumi.String("2026-01-01"), "index": pulumi.String("tsdb")}}
	var whole outputs
	err := ctx.RegisterRemoteComponentResource("kansoku:monitoring:Monitoring", "whole", pulumi.Map{
		"loki":         pulumi.Map{"schema": schema, "replicas": pulumi.Int(1)},
		"storageClass": pulumi.String("standard"), "noDashboards": pulumi.Bool(true),
		"cluster": pulumi.String("tools"), "blocks": at, "chunks": at, "existingCrds": pulumi.Bool(true),
		"vpcCidrs":     pulumi.ToStringArray([]string{"10.0.0.0/8"}),
		"roleArns":     pulumi.Map{"prometheus": pulumi.Sprintf("arn:aws:iam::1:role/%s", bucket)},
		"alertSecrets": pulumi.Map{"slackUrl": pulumi.ToSecret(pulumi.String(secret))},
	}, &whole, opts...)
	if err != nil {
		return err
	}
	ctx.Export("password", whole.GrafanaPassword)
	err = ctx.RegisterRemoteComponentResource("kansoku:thanos:Thanos", history, pulumi.Map{
		"store": pulumi.Map{"replicas": pulumi.Int(2)}, "namespace": pulumi.String("history"), "blocks": at,
		"storeEndpoints": pulumi.Array{whole.StoreEndpoint},
	}, &nothing{}, historyOpts...)
	if err != nil {
		return err
	}
	return ctx.RegisterRemoteComponentResource("kansoku:loki:Loki", "lines", pulumi.Map{
		"schema": schema, "namespace": pulumi.String("lines"), "chunks": at, "alertmanagerUrl": whole.AlertmanagerURL,
	}, &nothing{}, opts...)
}

// wrong is what no component is made from.
func wrong(ctx *pulumi.Context, bucket pulumi.StringOutput, opts ...pulumi.ResourceOption) error {
	return ctx.RegisterRemoteComponentResource("kansoku:thanos:Thanos", "wrong", pulumi.Map{
		"namespace": pulumi.String("history"), "blokcs": pulumi.Map{},
		"blocks":        pulumi.Map{"bucket": pulumi.Int(1), "endpoint": pulumi.ToSecret(pulumi.String(secret))},
		"store":         pulumi.Map{"replicas": pulumi.String("2"), "syncIntervall": pulumi.String("1m")},
		"priorityClass": bucket,
	}, &nothing{}, opts...)
}

// invalid reads well, but Thanos itself refuses it.
func invalid(ctx *pulumi.Context, bucket pulumi.StringOutput, opts ...pulumi.ResourceOption) error {
	return ctx.RegisterRemoteComponentResource("kansoku:thanos:Thanos", "invalid", pulumi.Map{
		"blocks": pulumi.Map{"bucket": bucket}, "query": pulumi.Map{"replicas": pulumi.Int(-1)},
	}, &nothing{}, opts...)
}

func newEngine(t *testing.T) *offline.Engine {
	t.Helper()
	if err := offline.CheckTools(tools); err != nil && os.Getenv("KANSOKU_TOOLS") != "required" {
		t.Skip(err)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), []byte("name: other\nruntime: go\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.dev.yaml"), []byte("config:\n  aws:region: "+region+"\n"), 0o600))
	engine, err := offline.New(t.Context(), offline.Options{
		Project: dir, Stack: "dev", Tools: tools, Program: program(furnished(remote)), Providers: []string{serve(t)},
	})
	require.NoError(t, err)
	t.Cleanup(engine.Close)
	return engine
}

// TestConstruct calls Monitoring, Thanos and Loki by way of the provider and in Go. It is one test for the sake of one engine.
func TestConstruct(t *testing.T) {
	t.Parallel()
	engine := newEngine(t)

	preview, err := engine.Preview(t.Context())
	require.NoError(t, err, "a preview, in which the bucket is unknown")

	engine.SetProgram(program(furnished(direct)))
	_, err = engine.Up(t.Context(), offline.UpOptions{})
	require.NoError(t, err)
	inGo := state(t, engine)
	var previewed []string
	for _, step := range preview.Of("create") {
		previewed = append(previewed, step.URN)
	}
	assert.ElementsMatch(t, urns(inGo), previewed)

	engine.SetProgram(program(furnished(remote)))
	again, err := engine.Up(t.Context(), offline.UpOptions{})
	require.NoError(t, err)
	assert.Empty(t, again.Changed(), "to the engine the two are the same")
	byProvider := state(t, engine)
	require.ElementsMatch(t, urns(inGo), urns(byProvider))
	for urn, one := range inGo {
		assert.JSONEq(t, one, byProvider[urn], urn)
	}
	exported, err := engine.Export(t.Context())
	require.NoError(t, err)
	whole, err := json.Marshal(exported)
	require.NoError(t, err)
	assert.NotContains(t, string(whole), secret)
	read, err := engine.Outputs(t.Context())
	require.NoError(t, err)
	assert.True(t, read["password"].Secret)
	assert.NotEmpty(t, read["password"].Value)

	engine.SetProgram(program(furnished(func(ctx *pulumi.Context, bucket pulumi.StringOutput, opts ...pulumi.ResourceOption) error {
		renamed := append(slices.Clone(opts), pulumi.Aliases([]pulumi.Alias{{Name: pulumi.String("history")}}))
		return remotely(ctx, "past", bucket, opts, renamed)
	})))
	moved, err := engine.Preview(t.Context())
	require.NoError(t, err)
	assert.Empty(t, moved.Changed(), "an alias by name renames the component and all below it")
}

// TestConstructRefuses holds that wrong inputs are said, all of them, by their keys.
func TestConstructRefuses(t *testing.T) {
	t.Parallel()
	engine := newEngine(t)
	for _, one := range []struct {
		deploy deployment
		want   []string
	}{
		{wrong, []string{
			"reading the inputs of wrong: ", "blokcs: is not a key; known are blocks, bucketWeb, compact,", "blocks.bucket: must be a string, got 1",
			`blocks.endpoint: must not be a secret: it is written in plain, got "[secret]"`, `store.replicas: must be a whole number, got "2"`,
			`store.syncIntervall: is not a key; known are`, "priorityClass: must be known before anything is created",
		}},
		{invalid, []string{"validating invalid: ", "query.replicas: must be between 1 and", "namespace: ", "blocks.region: "}},
	} {
		engine.SetProgram(program(one.deploy))
		_, err := engine.Preview(t.Context())
		var failed *offline.RunError
		require.ErrorAs(t, err, &failed)
		said := strings.Join(failed.Messages, "\n")
		for _, want := range one.want {
			assert.Contains(t, said, want)
		}
		assert.NotContains(t, said, secret)
	}
}

// state is what the engine has written down of every resource of the program.
func state(t *testing.T, engine *offline.Engine) map[string]string {
	t.Helper()
	deployment, err := engine.Export(t.Context())
	require.NoError(t, err)
	found := map[string]string{}
	for _, r := range deployment.Resources {
		if strings.HasPrefix(string(r.Type), "pulumi:providers:") && strings.HasPrefix(r.URN.Name(), "default") {
			continue
		}
		if r.Type == resource.RootStackType {
			r.Outputs = nil
		}
		written, err := json.Marshal(compared(r))
		require.NoError(t, err)
		found[string(r.URN)] = string(written)
	}
	return found
}

// compared is all of a resource but when and in which line of code it was made, and how the secrets in it are encrypted. What takes an output
// of a component in another process depends on that component too, beside what the output was made from; and such a component itself on
// what its inputs are made from.
func compared(r apitype.ResourceV3) apitype.ResourceV3 {
	r.Created, r.Modified, r.SourcePosition, r.StackTrace = nil, nil, "", nil
	r.Inputs, r.Outputs = hidden(r.Inputs).(map[string]any), hidden(r.Outputs).(map[string]any)
	if r.Dependencies = others(r.Dependencies); !r.Custom {
		r.Dependencies = nil
	}
	for property, list := range r.PropertyDependencies {
		if r.PropertyDependencies[property] = others(list); len(r.PropertyDependencies[property]) == 0 {
			delete(r.PropertyDependencies, property)
		}
	}
	return r
}

// others are the dependencies but Monitoring, sorted.
func others(dependencies []resource.URN) []resource.URN {
	var rest []resource.URN
	for _, one := range dependencies {
		if one.Type() != "kansoku:monitoring:Monitoring" {
			rest = append(rest, one)
		}
	}
	slices.Sort(rest)
	return rest
}

func hidden(value any) any {
	switch typed := value.(type) {
	case map[string]any:
		if _, encrypted := typed["ciphertext"]; encrypted {
			return map[string]any{"secret": true}
		}
		shown := map[string]any{}
		for name, one := range typed {
			shown[name] = hidden(one)
		}
		return shown
	case []any:
		shown := make([]any, len(typed))
		for i, one := range typed {
			shown[i] = hidden(one)
		}
		return shown
	}
	return value
}

func urns(state map[string]string) []string {
	all := make([]string, 0, len(state))
	for urn := range state {
		all = append(all, urn)
	}
	slices.Sort(all)
	return all
}
