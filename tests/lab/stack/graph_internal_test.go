package stack

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kansoku/kansoku/internal/offline"
)

func object(urn, kind, namespace string, needs ...string) offline.Object {
	metadata := map[string]any{"name": urn}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	return offline.Object{URN: urn, Needs: needs, Manifest: map[string]any{"apiVersion": "v1", "kind": kind, "metadata": metadata}}
}

// pods is a Deployment of pods with the label app, of this image.
func pods(urn, app, image string, needs ...string) offline.Object {
	made := object(urn, "Deployment", credentialsNamespace, needs...)
	made.Manifest["apiVersion"] = "apps/v1"
	made.Manifest["spec"] = map[string]any{"template": map[string]any{
		"metadata": map[string]any{"labels": map[string]any{"app": app, "tier": "x"}},
		"spec":     map[string]any{"containers": []any{map[string]any{"name": app, "image": image}}},
	}}
	return made
}

func serviceOf(urn, namespace, app string) offline.Object {
	made := object(urn, "Service", namespace)
	made.Manifest["spec"] = map[string]any{"selector": map[string]any{"app": app}}
	return made
}

func find(t *testing.T, steps []step, urn string) step {
	t.Helper()
	i := slices.IndexFunc(steps, func(s step) bool { return s.urn == urn })
	require.GreaterOrEqual(t, i, 0, "%s is not there", urn)
	return steps[i]
}

func TestPlan(t *testing.T) {
	t.Parallel()
	grafana := "docker.io/grafana/grafana:13.1.3"
	p, err := newPlan([]offline.Object{
		object("late", "ConfigMap", credentialsNamespace, "dashboards"), // before what it needs
		object(credentialsNamespace, "Namespace", ""),
		object("role", "ClusterRole", ""),
		pods("dashboards", "grafana", grafana, "role"),
		pods("other", "loki", "docker.io/grafana/loki:3.5.12", "role"),
		serviceOf("dashboards-service", credentialsNamespace, "grafana"),
		serviceOf("elsewhere", "default", "grafana"),
		serviceOf("loki", credentialsNamespace, "loki"),
	}, map[string]Credential{"loki": {"key", "secret"}, "prometheus": {"k", "s"}})
	require.NoError(t, err)

	assert.Equal(t, []string{"Deployment monitoring/dashboards: Grafana's web front end is not part of its Go module"}, p.leftOut)
	assert.False(t, slices.ContainsFunc(p.steps, func(s step) bool { return s.urn == "dashboards" }))
	assert.Equal(t, []string{"role", "credentials-loki", "credentials-prometheus"}, find(t, p.steps, "late").needs, "through what is left out")
	assert.Equal(t, "its pods are left out", find(t, p.steps, "dashboards-service").unawaited)
	assert.Empty(t, find(t, p.steps, "elsewhere").unawaited)
	assert.Empty(t, find(t, p.steps, "loki").unawaited)
	assert.Empty(t, find(t, p.steps, "elsewhere").needs, "another namespace needs no credentials")

	secret := find(t, p.steps, "credentials-loki")
	assert.Equal(t, []string{credentialsNamespace}, secret.needs)
	assert.Equal(t, map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "credentials-loki", "namespace": "monitoring"},
		"stringData": map[string]any{"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"},
	}, secret.object.Object)

	placed := map[string]bool{}
	for _, s := range p.steps {
		for _, need := range s.needs {
			assert.True(t, placed[need], "%s comes before %s, which it needs", s.urn, need)
		}
		placed[s.urn] = true
	}
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	ns := object(credentialsNamespace, "Namespace", "")
	for message, objects := range map[string][]offline.Object{
		"there is no namespace monitoring":      {object("a", "ConfigMap", "")},
		"a is there twice":                      {ns, object("a", "ConfigMap", ""), object("a", "Secret", "")},
		"ConfigMap a needs b, which is not":     {ns, object("a", "ConfigMap", "", "b")},
		"ConfigMap a waits for itself, or for ": {ns, object("a", "ConfigMap", "", "b"), object("b", "ConfigMap", "", "a")},
	} {
		_, err := newPlan(objects, nil)
		require.ErrorContains(t, err, message)
	}
}

// cloud is a target on which everything becomes ready after it has been looked at a few times.
type cloud struct {
	t       *testing.T
	needs   map[string][]string
	looks   map[string]int   // how often an object is not ready yet
	refused map[string]error // what apply says
	broken  map[string]error // what waiting says

	mu      sync.Mutex
	applied []string
	ready   map[string]bool
}

func (c *cloud) apply(_ context.Context, object *unstructured.Unstructured) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := object.GetName()
	for _, need := range c.needs[name] {
		assert.True(c.t, c.ready[need], "%s is applied before %s is ready", name, need)
	}
	c.applied = append(c.applied, name)
	return c.refused[name]
}

func (c *cloud) waiting(_ context.Context, object *unstructured.Unstructured) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := object.GetName()
	if c.looks[name] != 0 {
		c.looks[name]--
		return "not\nyet", c.broken[name]
	}
	c.ready[name] = true
	return "", nil
}

// play runs objects on a cloud and returns what was printed.
func play(ctx context.Context, t *testing.T, c *cloud, objects []offline.Object) (string, error) {
	t.Helper()
	c.t, c.ready, c.needs = t, map[string]bool{}, map[string][]string{}
	var steps []step
	for _, o := range objects {
		c.needs[o.URN] = o.Needs
		steps = append(steps, step{urn: o.URN, needs: o.Needs, object: &unstructured.Unstructured{Object: o.Manifest}})
	}
	var out bytes.Buffer
	err := runner{target: c, progress: newProgress(&out), interval: time.Millisecond}.run(ctx, steps)
	return out.String(), err
}

func TestRunWaitsForWhatIsNeeded(t *testing.T) {
	t.Parallel()
	c := &cloud{looks: map[string]int{"crd": 3, "namespace": 5, "slow": 20}}
	out, err := play(t.Context(), t, c, []offline.Object{
		object("namespace", "Namespace", ""),
		object("crd", "CustomResourceDefinition", ""),
		object("slow", "Service", "namespace"), // nobody needs it
		object("operator", "Deployment", "namespace", "namespace"),
		object("prometheus", "Prometheus", "namespace", "crd", "operator"),
	})
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"namespace", "crd", "slow", "operator", "prometheus"}, c.applied)
	assert.Equal(t, 5, strings.Count(out, "\n"), "a line each:\n%s", out)
	assert.Regexp(t, `s  Namespace namespace ready after \d`, out)
	assert.Regexp(t, `s  Deployment namespace/operator\n`, out)
}

func TestRunGoesOnBesideAFailure(t *testing.T) {
	t.Parallel()
	c := &cloud{
		looks:   map[string]int{"job": 1},
		refused: map[string]error{"wrong": errors.New("unknown field")},
		broken:  map[string]error{"job": errors.New("it failed for good")},
	}
	out, err := play(t.Context(), t, c, []offline.Object{
		object("wrong", "ConfigMap", ""), object("above", "Deployment", "", "wrong"), object("top", "Deployment", "", "above"),
		object("job", "Job", ""), object("fine", "Secret", ""),
	})
	require.EqualError(t, err, "ConfigMap wrong: unknown field\nJob job: it failed for good")
	assert.ElementsMatch(t, []string{"wrong", "job", "fine"}, c.applied)
	assert.Contains(t, out, "not applied: Deployment top, which needs what failed\n")
}

func TestRunEndsInTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := play(ctx, t, &cloud{looks: map[string]int{"never": -1}}, []offline.Object{object("never", "Deployment", "x")})
	require.ErrorContains(t, err, "Deployment x/never: not ready after ")
	require.ErrorContains(t, err, ": not yet")

	own := object("never", "Deployment", "x")
	own.Manifest["metadata"].(map[string]any)["annotations"] = map[string]any{timeoutSeconds: "1"}
	_, err = play(t.Context(), t, &cloud{looks: map[string]int{"never": -1}}, []offline.Object{own})
	require.EqualError(t, err, "Deployment x/never: not ready after 1s: not yet")
}

func TestProgressSaysWhatIsWaitedFor(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := newProgress(&out)
	a := step{object: &unstructured.Unstructured{Object: object("a", "Deployment", "x").Manifest}}
	b := step{object: &unstructured.Unstructured{Object: object("b", "Deployment", "x").Manifest}}
	p.waits(a, "first")
	p.waits(b, "0 of 1")
	p.remaining()
	p.waits(b, "1 of 2")
	p.remaining()
	p.ready(a, time.Second)
	p.remaining()
	text := regexp.MustCompile(`(?m)^ *\d+\.\ds  `).ReplaceAllString(out.String(), "")
	assert.Equal(t, "  waiting for Deployment x/a: first\n  waiting for Deployment x/b: 0 of 1\n"+
		"  waiting for Deployment x/b: 1 of 2\n  still waiting for Deployment x/a\n"+
		"Deployment x/a ready after 1.0s\n  still waiting for Deployment x/b\n", text)
}
