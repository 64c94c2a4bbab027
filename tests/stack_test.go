// Package tests holds what is true of a whole stack, for every stack file, by the real engine.
package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/placement"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/internal/offline"
	"github.com/kansoku/kansoku/internal/program"
)

const (
	project = ".."
	tools   = "../bin"
	crdType = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
)

// stacks are the stacks of this repository: one per stack file.
func stacks(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(project, "Pulumi.*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var names []string
	for _, file := range files {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "Pulumi."), ".yaml"))
	}
	return names
}

// newEngine prepares the program for a stack, with some configuration changed, without the schemas of the CRDs.
func newEngine(t *testing.T, stack string, config map[string]any) *offline.Engine {
	t.Helper()
	engine := wholeEngine(t, stack, config)
	engine.SetProgram(withoutSchemas)
	return engine
}

// needEngine skips where the tools are not built, unless they are promised.
func needEngine(t *testing.T) {
	t.Helper()
	if missing := offline.CheckTools(tools); missing != nil && os.Getenv("KANSOKU_TOOLS") != "required" {
		t.Skipf("no engine: %v", missing)
	}
}

// wholeEngine prepares the very program of a stack.
func wholeEngine(t *testing.T, stack string, config map[string]any) *offline.Engine {
	t.Helper()
	needEngine(t)
	engine, err := offline.New(t.Context(), offline.Options{Project: project, Stack: stack, Program: program.WithKeys, Config: config})
	require.NoError(t, err)
	t.Cleanup(engine.Close)
	return engine
}

// withoutSchemas is the program with the schemas of its CRDs cut down: nine tenths of what the engine handles, and of no account to a test
// of what happens to resources.
func withoutSchemas(keys []string) pulumi.RunFunc { return cutDown(program.WithKeys(keys)) }

// cutDown is any program without these schemas.
func cutDown(run pulumi.RunFunc) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		err := ctx.RegisterStackTransformation(func(args *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			definition, ok := args.Props.(kubernetes.UntypedArgs)
			if !ok || args.Type != crdType {
				return nil
			}
			spec := maps.Clone(definition["spec"].(map[string]any))
			spec["versions"] = []any{map[string]any{"name": at(spec, "versions", 0, "name"), "served": true, "storage": true}}
			definition = maps.Clone(definition)
			definition["spec"] = spec
			return &pulumi.ResourceTransformationResult{Props: definition, Opts: args.Opts}
		})
		if err != nil {
			return err
		}
		return run(ctx)
	}
}

// up brings a stack up and returns its state.
func up(t *testing.T, engine *offline.Engine) *apitype.DeploymentV3 {
	t.Helper()
	_, err := engine.Up(t.Context(), offline.UpOptions{})
	require.NoError(t, err)
	return export(t, engine)
}

func export(t *testing.T, engine *offline.Engine) *apitype.DeploymentV3 {
	t.Helper()
	state, err := engine.Export(context.WithoutCancel(t.Context()))
	require.NoError(t, err)
	return state
}

var (
	statesLock sync.Mutex
	states     = map[string]*state{}
)

// state is what a stack consists of, brought up once for all tests that only look at it.
type state struct {
	resources []apitype.ResourceV3
	byURN     map[resource.URN]apitype.ResourceV3
	outputs   auto.OutputMap
}

func stateOf(t *testing.T, stack string) *state {
	t.Helper()
	statesLock.Lock()
	defer statesLock.Unlock()
	if states[stack] == nil {
		engine := wholeEngine(t, stack, nil)
		s := &state{resources: up(t, engine).Resources, byURN: map[resource.URN]apitype.ResourceV3{}}
		var err error
		s.outputs, err = engine.Outputs(t.Context())
		require.NoError(t, err)
		for _, r := range s.resources {
			s.byURN[r.URN] = r
		}
		states[stack] = s
	}
	return states[stack]
}

// everyStack runs a test on the state of each stack.
func everyStack(t *testing.T, test func(t *testing.T, s *state)) {
	t.Helper()
	for _, stack := range stacks(t) {
		t.Run(stack, func(t *testing.T) {
			t.Parallel()
			test(t, stateOf(t, stack))
		})
	}
}

// everyAWSStack runs a test on the state of each stack that has an AWS side.
func everyAWSStack(t *testing.T, test func(t *testing.T, s *state)) {
	t.Helper()
	everyStack(t, func(t *testing.T, s *state) {
		if len(s.ofType("aws:")) > 0 {
			test(t, s)
		}
	})
}

func (s *state) ofType(prefix string) []apitype.ResourceV3 {
	var found []apitype.ResourceV3
	for _, r := range s.resources {
		if strings.HasPrefix(string(r.Type), prefix) {
			found = append(found, r)
		}
	}
	return found
}

// at follows keys and indices into a decoded value; nil if nothing is there.
func at(value any, path ...any) any {
	for _, step := range path {
		switch key := step.(type) {
		case string:
			object, _ := value.(map[string]any)
			value = object[key]
		case int:
			list, _ := value.([]any)
			if key >= len(list) {
				return nil
			}
			value = list[key]
		}
	}
	return value
}

func text(value any, path ...any) string {
	s, _ := at(value, path...).(string)
	return s
}

func TestURNs(t *testing.T) {
	t.Parallel()
	for _, stack := range stacks(t) {
		t.Run(stack, func(t *testing.T) {
			t.Parallel()
			var urns []string
			for _, r := range stateOf(t, stack).resources {
				urns = append(urns, string(r.URN))
			}
			slices.Sort(urns)
			got := strings.Join(urns, "\n") + "\n"
			golden := filepath.Join("testdata", stack+".urns")
			if os.Getenv("UPDATE_GOLDEN") != "" {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			assert.Equal(t, string(want), got, "a URN changed: in a running stack that is a replacement. If it is meant, run `make generate`")
		})
	}
}

func TestEveryResourceHasItsProvider(t *testing.T) {
	t.Parallel()
	everyStack(t, func(t *testing.T, s *state) {
		clusters := 0
		for _, r := range s.resources {
			provider := r.Provider[:max(strings.LastIndex(r.Provider, "::"), 0)] // without its id
			switch {
			case !r.Custom || strings.HasPrefix(string(r.Type), "pulumi:"):
			case strings.HasPrefix(string(r.Type), "kubernetes:"):
				clusters++
				name := resource.URN(provider).Name()
				want := "cluster"
				if strings.HasSuffix(string(r.Type), ":CustomResourceDefinition") {
					want = "cluster-crds"
				}
				assert.Equal(t, want, name, r.URN)
				assert.Contains(t, provider, "kansoku:infra:Cluster$pulumi:providers:kubernetes", r.URN)
			case strings.HasPrefix(string(r.Type), "aws:"):
				assert.Equal(t, "aws", resource.URN(provider).Name(), r.URN)
			case strings.HasPrefix(string(r.Type), "random:"): // it has no account that could be the wrong one
			default:
				assert.Failf(t, "unexpected package", "%s", r.URN)
			}
		}
		assert.Greater(t, clusters, 20)
	})
}

func TestEveryResourceDescendsFromAComponent(t *testing.T) {
	t.Parallel()
	everyStack(t, func(t *testing.T, s *state) {
		for _, r := range s.resources {
			if !r.Custom || strings.HasPrefix(string(r.Type), "pulumi:providers:") {
				continue
			}
			parent, ok := s.byURN[r.Parent]
			require.True(t, ok, r.URN)
			assert.NotEqual(t, "pulumi:pulumi:Stack", string(parent.Type), "an orphan: %s", r.URN)
		}
	})
}

func TestRolesTrustWhoTheyAreFor(t *testing.T) {
	t.Parallel()
	everyAWSStack(t, func(t *testing.T, s *state) {
		subjects := map[string]string{} // role ARN to the one subject that it trusts
		for _, role := range s.ofType("aws:iam/role:Role") {
			for _, statement := range policy(t, role.Inputs["assumeRolePolicy"]).Statement {
				for key, value := range statement.Condition["StringEquals"] {
					if strings.HasSuffix(key, ":sub") {
						subjects[text(role.Outputs, "arn")] = fmt.Sprint(value)
					}
				}
			}
		}
		require.NotEmpty(t, subjects)

		used := map[string]bool{} // by pods
		for _, pod := range s.pods() {
			used[pod.namespace+":"+text(pod.spec, "serviceAccountName")] = true
		}
		holders := map[string]string{} // role ARN to the account that has it
		for _, account := range s.ofType("kubernetes:core/v1:ServiceAccount") {
			id := text(account.Inputs, "metadata", "namespace") + ":" + text(account.Inputs, "metadata", "name")
			assert.True(t, used[id], "no pod runs as %s", id)
			if arn := text(account.Inputs, "metadata", "annotations", "eks.amazonaws.com/role-arn"); arn != "" {
				holders[arn] = "system:serviceaccount:" + id
			}
		}
		for _, addon := range s.ofType("aws:eks/addon:Addon") {
			if arn := text(addon.Inputs, "serviceAccountRoleArn"); arn != "" {
				holders[arn] = map[string]string{
					"vpc-cni":            "system:serviceaccount:kube-system:aws-node",
					"aws-ebs-csi-driver": "system:serviceaccount:kube-system:ebs-csi-controller-sa",
				}[text(addon.Inputs, "addonName")]
			}
		}
		assert.Equal(t, subjects, holders)
	})
}

// document is an IAM policy.
type document struct {
	Statement []struct {
		Sid       string
		Action    words
		Resource  words
		Condition map[string]map[string]any
	}
}

// words is a string or a list of them.
type words []string

func (w *words) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		*w = words{""}
		return json.Unmarshal(data, &(*w)[0])
	}
	return json.Unmarshal(data, (*[]string)(w))
}

func policy(t *testing.T, value any) document {
	t.Helper()
	var d document
	require.IsType(t, "", value)
	require.NoError(t, json.Unmarshal([]byte(value.(string)), &d))
	return d
}

// wildcards are the policy statements that may hold a "*", with the reason.
var wildcards = map[string]string{
	"Describe":   "cluster-autoscaler: these calls take no resource",
	"NodeGroups": "cluster-autoscaler: the node groups of one cluster, whose names AWS completes",
	"Scale":      "cluster-autoscaler: auto scaling groups have random names; a condition on their tags narrows it to the cluster's",
}

func TestPoliciesNameWhatTheyAllow(t *testing.T) {
	t.Parallel()
	everyAWSStack(t, func(t *testing.T, s *state) {
		policies := s.ofType("aws:iam/rolePolicy:RolePolicy")
		require.NotEmpty(t, policies)
		for _, p := range policies {
			for _, statement := range policy(t, p.Inputs["policy"]).Statement {
				for _, action := range statement.Action {
					assert.NotContains(t, action, "*", p.URN)
				}
				for _, on := range statement.Resource {
					bucketObjects := strings.HasPrefix(on, "arn:aws:s3:::") && strings.HasSuffix(on, "/*") && strings.Count(on, "*") == 1
					if wildcards[statement.Sid] == "" {
						assert.True(t, bucketObjects || !strings.Contains(on, "*"), "%s: %s", p.URN, on)
					}
				}
			}
		}
	})
}

// pod is a pod spec, of a workload or of a custom resource that becomes one.
type pod struct {
	urn       resource.URN
	namespace string
	spec      any
	operated  bool // the operator makes the pods: the spec has its fields beside those of a pod
}

func (s *state) pods() []pod {
	var pods []pod
	for _, r := range s.ofType("kubernetes:") {
		namespace := text(r.Inputs, "metadata", "namespace")
		kind := string(r.Type[strings.LastIndex(string(r.Type), ":")+1:])
		switch kind {
		case "Deployment", "StatefulSet", "DaemonSet", "Job":
			pods = append(pods, pod{r.URN, namespace, at(r.Inputs, "spec", "template", "spec"), false})
		case "Prometheus", "Alertmanager":
			pods = append(pods, pod{r.URN, namespace, r.Inputs["spec"], true})
		}
	}
	return pods
}

func TestEveryPodToleratesAndPrefersSpot(t *testing.T) {
	t.Parallel()
	everyStack(t, func(t *testing.T, s *state) {
		pods := s.pods()
		require.GreaterOrEqual(t, len(pods), 2)
		for _, p := range pods {
			tolerates := false
			tolerations, _ := at(p.spec, "tolerations").([]any)
			for _, one := range tolerations {
				every := text(one, "operator") == "Exists" && at(one, "key") == nil
				spot := text(one, "key") == placement.SpotTaint && text(one, "value") == placement.SpotTaintValue
				tolerates = tolerates || every || spot
			}
			assert.True(t, tolerates, "%s does not tolerate spot nodes", p.urn)
			if p.urn.Name() == "monitoring-autoscaler" {
				assert.Equal(t, "OnDemand", text(p.spec, "nodeSelector", placement.SpotLabel), "what gets spot nodes back must not go with them")
				continue
			}
			prefers := at(p.spec, "affinity", "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution", 0, "preference", "matchExpressions", 0)
			assert.Equal(t, map[string]any{
				"key": placement.SpotLabel, "operator": "In", "values": []any{placement.SpotLabelValue},
			}, prefers, "%s does not prefer spot nodes", p.urn)
		}
	})
}

// images finds every image in a value: the field "image", wherever it stands, and arguments that name one.
func images(value any) []string {
	var found []string
	switch typed := value.(type) {
	case map[string]any:
		for key, inner := range typed {
			if name, ok := inner.(string); ok && key == "image" {
				found = append(found, name)
			} else {
				found = append(found, images(inner)...)
			}
		}
	case []any:
		for _, inner := range typed {
			if argument, ok := inner.(string); ok && strings.HasPrefix(argument, "--prometheus-config-reloader=") {
				found = append(found, strings.TrimPrefix(argument, "--prometheus-config-reloader="))
			} else {
				found = append(found, images(inner)...)
			}
		}
	}
	return found
}

func TestEveryImageIsPinnedAndListed(t *testing.T) {
	t.Parallel()
	everyStack(t, func(t *testing.T, s *state) {
		used := map[string]bool{}
		for _, p := range s.pods() {
			of := images(p.spec)
			assert.NotEmpty(t, of, p.urn)
			for _, image := range of {
				used[image] = true
			}
		}
		listed := map[string]bool{}
		for _, component := range versions.All() {
			assert.NotContains(t, []string{"", "latest", "main", "master"}, component.Version)
			assert.False(t, listed[component.Image()], "listed twice: %s", component.Image())
			listed[component.Image()] = true
		}
		for image := range used {
			assert.True(t, listed[image], "not in the list: %s", image)
			delete(listed, image)
		}
		for image := range listed {
			assert.Contains(t, optional, image, "listed, and used by no stack")
		}
	})
}

// optional images are those of components that a stack can choose in place of another.
var optional = map[string]string{
	versions.Alloy.Image():    "collector.kind: alloy",
	versions.LokiTSDB.Image(): "a schema without a dynamodb period",
	versions.Curl.Image():     "dashboards from grafana.com",

	versions.ClusterAutoscaler.Image(): "nodes of our own",
}

func TestEveryAWSResourceIsTagged(t *testing.T) {
	t.Parallel()
	everyAWSStack(t, func(t *testing.T, s *state) {
		tagged := 0
		for _, r := range s.ofType("aws:") {
			all, ok := r.Outputs["tagsAll"].(map[string]any)
			if !ok {
				continue
			}
			tagged++
			for _, key := range []string{"Project", "Stack", "CostCenter"} {
				assert.NotEmpty(t, all[key], "%s has no tag %s", r.URN, key)
			}
		}
		assert.Greater(t, tagged, 20)
		for _, template := range s.ofType("aws:ec2/launchTemplate:LaunchTemplate") {
			specifications, _ := template.Inputs["tagSpecifications"].([]any)
			require.Len(t, specifications, 2)
			for _, one := range specifications {
				assert.NotEmpty(t, text(one, "tags", "CostCenter"), "default tags do not reach instances and volumes")
			}
		}
	})
}

func TestNoTwoObjectsCollide(t *testing.T) {
	t.Parallel()
	everyStack(t, func(t *testing.T, s *state) {
		seen := map[string]resource.URN{}
		for _, r := range s.ofType("kubernetes:") {
			id := fmt.Sprintf("%s %s/%s", r.Type, text(r.Inputs, "metadata", "namespace"), text(r.Inputs, "metadata", "name"))
			assert.NotEmpty(t, text(r.Inputs, "metadata", "name"), "no fixed name: %s", r.URN)
			assert.Empty(t, seen[id], "%s and %s are both %s", r.URN, seen[id], id)
			seen[id] = r.URN
		}
	})
}

func TestStateIsProtectedWhereTheStackSaysSo(t *testing.T) {
	t.Parallel()
	stateful := []string{
		"aws:s3/bucketV2:BucketV2", "aws:dynamodb/table:Table", "aws:kms/key:Key", "aws:eks/cluster:Cluster",
	}
	for stack, protected := range map[string]bool{"dev": false, "prod": true} {
		t.Run(stack, func(t *testing.T) {
			t.Parallel()
			s := stateOf(t, stack)
			for _, token := range stateful {
				found := s.ofType(token)
				require.NotEmpty(t, found, token)
				for _, r := range found {
					assert.Equal(t, protected, r.Protect, r.URN)
				}
			}
			for _, class := range s.ofType("kubernetes:storage.k8s.io/v1:StorageClass") {
				assert.Equal(t, map[bool]string{false: "Delete", true: "Retain"}[protected], class.Inputs["reclaimPolicy"])
			}
			for _, crd := range s.ofType("kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition") {
				assert.True(t, crd.RetainOnDelete, crd.URN)
			}
		})
	}
}

// labels of the pods, for selectors.
func (p pod) labels(s *state) map[string]any {
	r := s.byURN[p.urn]
	if !p.operated {
		labels, _ := at(r.Inputs, "spec", "template", "metadata", "labels").(map[string]any)
		return labels
	}
	kind := string(r.Type[strings.LastIndex(string(r.Type), ":")+1:])
	return map[string]any{"app.kubernetes.io/name": strings.ToLower(kind), "app.kubernetes.io/instance": text(r.Inputs, "metadata", "name")}
}

func selects(selector any, labels map[string]any) bool {
	wanted, _ := selector.(map[string]any)
	for key, value := range wanted {
		if labels[key] != value {
			return false
		}
	}
	return len(wanted) > 0
}

// TestEveryWorkloadIsMonitored: its pods are behind a Service that a ServiceMonitor scrapes, on a port that the Service has.
func TestEveryWorkloadIsMonitored(t *testing.T) {
	t.Parallel()
	everyStack(t, func(t *testing.T, s *state) {
		monitored := func(p pod) bool {
			for _, service := range s.ofType("kubernetes:core/v1:Service") {
				if text(service.Inputs, "metadata", "namespace") != p.namespace || !selects(at(service.Inputs, "spec", "selector"), p.labels(s)) {
					continue
				}
				labels, _ := at(service.Inputs, "metadata", "labels").(map[string]any)
				ports := map[any]bool{}
				for i := 0; at(service.Inputs, "spec", "ports", i) != nil; i++ {
					ports[at(service.Inputs, "spec", "ports", i, "name")] = true
				}
				for _, monitor := range s.ofType("kubernetes:monitoring.coreos.com/v1:ServiceMonitor") {
					same := text(monitor.Inputs, "metadata", "namespace") == p.namespace
					if same && selects(at(monitor.Inputs, "spec", "selector", "matchLabels"), labels) && ports[at(monitor.Inputs, "spec", "endpoints", 0, "port")] {
						return true
					}
				}
			}
			return false
		}
		for _, p := range s.pods() {
			assert.True(t, monitored(p), "nothing scrapes %s", p.urn)
		}
	})
}

// hostReaders may do what Pod Security "restricted" forbids, with the reason; they live in a namespace of their own.
var hostReaders = map[string]string{
	"monitoring-node-exporter": "the metrics of the machine are the host's",
	"monitoring-promtail":      "the logs of all pods are root's, on the host",
}

func TestEveryContainerIsRestricted(t *testing.T) {
	t.Parallel()
	everyStack(t, func(t *testing.T, s *state) {
		for _, p := range s.pods() {
			reads := hostReaders[p.urn.Name()] != ""
			assert.Equal(t, reads, strings.HasSuffix(p.namespace, "-host"), "%s is in the wrong namespace", p.urn)
			if p.operated {
				assert.Equal(t, true, at(p.spec, "securityContext", "runAsNonRoot"), p.urn)
				assert.NotEmpty(t, at(p.spec, "resources", "limits", "memory"), p.urn)
				continue // the operator restricts its containers itself
			}
			if !reads {
				assert.Equal(t, true, at(p.spec, "securityContext", "runAsNonRoot"), p.urn)
			}
			assert.Equal(t, "RuntimeDefault", text(p.spec, "securityContext", "seccompProfile", "type"), p.urn)
			for _, list := range []string{"containers", "initContainers"} {
				containers, _ := at(p.spec, list).([]any)
				for _, c := range containers {
					at := func(path ...any) any { return at(c, path...) }
					assert.Equal(t, false, at("securityContext", "allowPrivilegeEscalation"), p.urn)
					assert.Equal(t, true, at("securityContext", "readOnlyRootFilesystem"), p.urn)
					assert.Equal(t, []any{"ALL"}, at("securityContext", "capabilities", "drop"), p.urn)
					assert.Nil(t, at("securityContext", "capabilities", "add"), p.urn)
					for _, quantity := range [][]any{{"requests", "cpu"}, {"requests", "memory"}, {"limits", "memory"}} {
						assert.NotEmpty(t, at(append([]any{"resources"}, quantity...)...), "%s: %v", p.urn, quantity)
					}
					if list == "containers" {
						assert.NotNil(t, at("readinessProbe"), p.urn)
					}
				}
			}
		}
	})
}

// TestTokensAreMountedWhereTheyAreUsed: an account without rights needs no token, one with rights does.
func TestTokensAreMountedWhereTheyAreUsed(t *testing.T) {
	t.Parallel()
	everyStack(t, func(t *testing.T, s *state) {
		rights := map[string]bool{}
		for _, kind := range []string{"ClusterRoleBinding", "RoleBinding"} {
			for _, binding := range s.ofType("kubernetes:rbac.authorization.k8s.io/v1:" + kind) {
				for i := 0; at(binding.Inputs, "subjects", i) != nil; i++ {
					subject := at(binding.Inputs, "subjects", i)
					rights[text(subject, "namespace")+":"+text(subject, "name")] = true
				}
			}
		}
		for _, p := range s.pods() {
			mounted := at(p.spec, "automountServiceAccountToken")
			id := p.namespace + ":" + text(p.spec, "serviceAccountName")
			if p.operated && mounted == nil {
				mounted = true // Kubernetes' default
			}
			if p.urn.Type() == "kubernetes:monitoring.coreos.com/v1:Alertmanager" {
				assert.Equal(t, false, mounted, p.urn)
			}
			assert.Equal(t, rights[id], mounted, p.urn)
		}
	})
}
