package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/internal/offline"
)

// credentialsNamespace is where the workloads are that log in at the store.
const credentialsNamespace = "monitoring"

// withoutBinary says why there is no image, by repository.
func withoutBinary() map[string]string {
	return map[string]string{
		versions.Grafana.Repository:       "Grafana's web front end is not part of its Go module",
		versions.EventExporter.Repository: "kubernetes-event-exporter is not available as a Go module",
	}
}

// step is one object to apply.
type step struct {
	urn    string
	needs  []string
	object *unstructured.Unstructured
	// unawaited is why nobody waits for it to be ready; "" for what is waited for.
	unawaited string
}

func (s step) String() string { return describe(s.object) }

func describe(object *unstructured.Unstructured) string {
	if object.GetNamespace() == "" {
		return object.GetKind() + " " + object.GetName()
	}
	return object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
}

// plan is what Apply does: steps in an order in which each can be applied, and what is left out, with the reason.
type plan struct {
	steps   []step
	leftOut []string
}

// newPlan puts the workloads' credentials between their namespace and all that is in it, and leaves out what has no binary.
func newPlan(objects []offline.Object, credentials map[string]Credential) (plan, error) {
	var p plan
	var missing []map[string]any // manifests of what is left out
	for _, object := range objects {
		if reason := leftOut(object.Manifest); reason != "" {
			missing = append(missing, object.Manifest)
			p.leftOut = append(p.leftOut, describe(&unstructured.Unstructured{Object: object.Manifest})+": "+reason)
			objects = without(objects, object)
		}
	}
	var namespace string
	for _, object := range objects {
		s := step{urn: object.URN, needs: object.Needs, object: &unstructured.Unstructured{Object: object.Manifest}}
		if s.object.GetKind() == "Namespace" && s.object.GetName() == credentialsNamespace {
			namespace = s.urn
		}
		for _, workload := range missing {
			if selects(object.Manifest, workload) {
				s.unawaited = "its pods are left out"
			}
		}
		p.steps = append(p.steps, s)
	}
	if namespace == "" {
		return plan{}, fmt.Errorf("ordering the objects: there is no namespace %s", credentialsNamespace)
	}
	secrets := credentialSteps(credentials, namespace)
	for i := range p.steps {
		if p.steps[i].object.GetNamespace() == credentialsNamespace {
			p.steps[i].needs = slices.Clone(p.steps[i].needs)
			for _, secret := range secrets {
				p.steps[i].needs = append(p.steps[i].needs, secret.urn)
			}
		}
	}
	p.steps = append(p.steps, secrets...)
	var err error
	p.steps, err = sorted(p.steps)
	return p, err
}

// leftOut is why a Deployment cannot run here; "" if it can, or if it is none.
func leftOut(manifest map[string]any) string {
	if manifest["kind"] != "Deployment" {
		return ""
	}
	for _, image := range images(manifest) {
		for repository, reason := range withoutBinary() {
			if len(image) > len(repository) && image[:len(repository)+1] == repository+":" {
				return reason
			}
		}
	}
	return ""
}

// without takes an object out; who needed it needs what it needed.
func without(objects []offline.Object, gone offline.Object) []offline.Object {
	var kept []offline.Object
	for _, object := range objects {
		if object.URN == gone.URN {
			continue
		}
		if i := slices.Index(object.Needs, gone.URN); i >= 0 {
			object.Needs = slices.Concat(object.Needs[:i], object.Needs[i+1:], gone.Needs)
			slices.Sort(object.Needs)
			object.Needs = slices.Compact(object.Needs)
		}
		kept = append(kept, object)
	}
	return kept
}

// selects says whether a manifest is a Service of a workload's pods.
func selects(service, workload map[string]any) bool {
	s, w := unstructured.Unstructured{Object: service}, unstructured.Unstructured{Object: workload}
	selector, _, _ := unstructured.NestedStringMap(service, "spec", "selector")
	labels, _, _ := unstructured.NestedStringMap(workload, "spec", "template", "metadata", "labels")
	if s.GetKind() != "Service" || s.GetNamespace() != w.GetNamespace() || len(selector) == 0 {
		return false
	}
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return true
}

// credentialSteps are the Secrets that the stack expects to be there.
func credentialSteps(credentials map[string]Credential, namespace string) []step {
	var steps []step
	for _, workload := range slices.Sorted(maps.Keys(credentials)) {
		name := "credentials-" + workload
		steps = append(steps, step{urn: name, needs: []string{namespace}, object: &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": name, "namespace": credentialsNamespace},
			"stringData": map[string]any{
				"AWS_ACCESS_KEY_ID": credentials[workload].AccessKey, "AWS_SECRET_ACCESS_KEY": credentials[workload].SecretKey,
			},
		}}})
	}
	return steps
}

// sorted puts every step after what it needs, and otherwise leaves the order as it is.
func sorted(steps []step) ([]step, error) {
	known := map[string]bool{}
	for _, s := range steps {
		if known[s.urn] {
			return nil, fmt.Errorf("ordering the objects: %s is there twice (%s)", s, s.urn)
		}
		known[s.urn] = true
	}
	var order []step
	placed := map[string]bool{}
	for len(order) < len(steps) {
		before := len(order)
		for _, s := range steps {
			unmet := func(need string) bool { return !placed[need] }
			if !placed[s.urn] && !slices.ContainsFunc(s.needs, unmet) {
				placed[s.urn] = true
				order = append(order, s)
			}
		}
		if len(order) > before {
			continue
		}
		var errs []error
		for _, s := range steps {
			for _, need := range s.needs {
				if !known[need] {
					errs = append(errs, fmt.Errorf("ordering the objects: %s needs %s, which is not there", s, need))
				}
			}
			if !placed[s.urn] && len(errs) == 0 {
				errs = append(errs, fmt.Errorf("ordering the objects: %s waits for itself, or for what does", s))
			}
		}
		return nil, errors.Join(errs...)
	}
	return order, nil
}

// target is what steps are applied to.
type target interface {
	// apply makes the object as it is to be.
	apply(ctx context.Context, object *unstructured.Unstructured) error
	// waiting says what the applied object still waits for; "" when it is ready. An error is one that waiting does not mend.
	waiting(ctx context.Context, object *unstructured.Unstructured) (string, error)
}

// runner runs steps, each as soon as all that it needs are ready, and waits for all of them.
type runner struct {
	target   target
	progress *progress
	interval time.Duration // between two looks at an object
}

// outcome of a step; set before done is closed.
type outcome struct {
	done   chan struct{}
	failed bool
}

func (r runner) run(ctx context.Context, steps []step) error {
	outcomes := map[string]*outcome{}
	for _, s := range steps {
		outcomes[s.urn] = &outcome{done: make(chan struct{})}
	}
	stop := r.progress.report(ctx)
	defer stop()
	errs := make([]error, len(steps))
	var group sync.WaitGroup
	for i, s := range steps {
		group.Go(func() {
			own := outcomes[s.urn]
			defer close(own.done)
			for _, need := range s.needs {
				<-outcomes[need].done
				if outcomes[need].failed {
					own.failed = true
					r.progress.say("not applied: %s, which needs what failed", s)
					return
				}
			}
			if err := r.one(ctx, s); err != nil {
				own.failed, errs[i] = true, fmt.Errorf("%s: %w", s, err)
				r.progress.failed(s, err)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// one applies a step and waits until it is ready.
func (r runner) one(ctx context.Context, s step) error {
	begun := time.Now()
	timeout, err := timeout(s.object)
	if err != nil {
		return err
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	if err := r.target.apply(ctx, s.object); err != nil {
		return err
	}
	for {
		why, err := "", error(nil)
		if s.unawaited == "" {
			why, err = r.target.waiting(ctx, s.object)
		}
		if err != nil {
			return err
		}
		why = strings.Join(strings.Fields(why), " ") // some messages of controllers have several lines
		if why == "" {
			r.progress.ready(s, time.Since(begun))
			return nil
		}
		r.progress.waits(s, why)
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready after %s: %s", time.Since(begun).Round(time.Second), why)
		case <-time.After(r.interval):
		}
	}
}
