package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kansoku/kansoku/internal/offline"
)

// Limit is how long Apply takes at most where its context has no deadline.
const Limit = 10 * time.Minute

const (
	// fieldManager is whom Pulumi's provider says it is.
	fieldManager = "pulumi-kubernetes"
	// look is the time between two looks at an object.
	look = time.Second
	// patience is how long the API server may refuse an object because it is not there itself yet, or not yet for this kind.
	patience = 30 * time.Second
)

// Apply brings up what Render wrote, with the credentials in CredentialsFile, on the cluster of $KUBECONFIG: by server-side apply, each
// object when what it needs is ready. It returns when everything is ready, the operator's StatefulSets too; else, after it has printed
// what the cluster looks like, with an error that names what is not.
func Apply(ctx context.Context, dir string, out io.Writer) error {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, Limit)
		defer cancel()
	}
	var objects []offline.Object
	var credentials map[string]Credential
	if err := errors.Join(readJSON(dir, ObjectsFile, &objects), readJSON(dir, CredentialsFile, &credentials)); err != nil {
		return err
	}
	p, err := newPlan(objects, credentials)
	if err != nil {
		return err
	}
	said := newProgress(out)
	for _, object := range p.leftOut {
		said.say("left out: %s", object)
	}
	c, err := connect(said)
	if err != nil {
		return err
	}
	err = runner{target: c, progress: said, interval: look}.run(ctx, p.steps)
	if err == nil {
		err = runner{target: operator{c}, progress: said, interval: look}.run(ctx, operatedSteps(p.steps))
	}
	if err != nil {
		// The time is up, perhaps; looking needs some of its own.
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return errors.Join(fmt.Errorf("bringing up the stack:\n%w", err), diagnose(after, c.typed, out))
	}
	said.say("%d objects ready", len(p.steps))
	return nil
}

// cluster is what objects are applied to.
type cluster struct {
	typed   *kubernetes.Clientset
	dynamic *dynamic.DynamicClient

	mu     sync.Mutex // one discovery at a time
	mapper *restmapper.DeferredDiscoveryRESTMapper
}

// connect to the cluster of $KUBECONFIG. The API server's warnings go to where the progress goes.
func connect(warnings io.Writer) (*cluster, error) {
	path := os.Getenv("KUBECONFIG")
	if path == "" {
		return nil, errors.New("connecting to the cluster: KUBECONFIG is not set: this runs inside the lab's node")
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config.QPS = -1 // the graph is what limits
	if warnings != nil {
		config.WarningHandler = rest.NewWarningWriter(warnings, rest.WarningWriterOptions{Deduplicate: true})
	}
	c := &cluster{}
	if c.typed, err = kubernetes.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	if c.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.typed.Discovery()))
	return c, nil
}

// resource is the client for an object's kind and namespace.
func (c *cluster) resource(object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kind := object.GroupVersionKind()
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		c.mapper.Reset() // a definition may have been made since
		mapping, err = c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	}
	if err != nil {
		return nil, err //nolint:wrapcheck // apply says what for
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return c.dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace()), nil
	}
	return c.dynamic.Resource(mapping.Resource), nil
}

func (c *cluster) apply(ctx context.Context, object *unstructured.Unstructured) error {
	content, err := json.Marshal(object.Object)
	if err != nil {
		return fmt.Errorf("encoding: %w", err)
	}
	begun := time.Now()
	for {
		var client dynamic.ResourceInterface
		if client, err = c.resource(object); err == nil {
			_, err = client.Patch(ctx, object.GetName(), types.ApplyPatchType, content, nativemetav1.PatchOptions{
				FieldManager: fieldManager, FieldValidation: nativemetav1.FieldValidationStrict,
			})
		}
		if err == nil {
			return nil
		}
		if !passing(err) || time.Since(begun) > patience {
			return fmt.Errorf("applying: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("applying: %w", err)
		case <-time.After(look):
		}
	}
}

// passing says whether an error goes away by itself: the API server does not serve a kind yet, or has too much to do. That a namespace or
// anything else is missing does not: the graph has to see to it.
func passing(err error) bool {
	_, unserved := apierrors.StatusCause(err, nativemetav1.CauseTypeUnexpectedServerResponse)
	return meta.IsNoMatchError(err) || apierrors.IsNotFound(err) && unserved || apierrors.IsTooManyRequests(err) ||
		apierrors.IsServerTimeout(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) ||
		utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err)
}

func (c *cluster) waiting(ctx context.Context, object *unstructured.Unstructured) (string, error) {
	client, err := c.resource(object)
	if err != nil {
		return err.Error(), nil
	}
	live, err := client.Get(ctx, object.GetName(), nativemetav1.GetOptions{})
	if err != nil {
		return err.Error(), nil
	}
	return unready(object, live, lookup{ctx, c.typed})
}

// lookup are the surroundings of an object in a cluster.
type lookup struct {
	ctx    context.Context //nolint:containedctx // of one look
	client kubernetes.Interface
}

func (l lookup) endpoints(namespace, service string) ([]discoveryv1.EndpointSlice, error) {
	list, err := l.client.DiscoveryV1().EndpointSlices(namespace).List(l.ctx, nativemetav1.ListOptions{
		LabelSelector: discoveryv1.LabelServiceName + "=" + service,
	})
	if err != nil {
		return nil, fmt.Errorf("listing the endpoints: %w", err)
	}
	return list.Items, nil
}

func (l lookup) storageClass(name string) (*storagev1.StorageClass, error) {
	class, err := l.client.StorageV1().StorageClasses().Get(l.ctx, name, nativemetav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading the storage class: %w", err)
	}
	return class, nil
}

// operator waits for what the Prometheus Operator makes of custom resources that are there already. Their condition alone is not enough:
// it says that the number of pods is available, not that they are of the last revision.
type operator struct{ *cluster }

func (operator) apply(context.Context, *unstructured.Unstructured) error { return nil }

func (o operator) waiting(ctx context.Context, object *unstructured.Unstructured) (string, error) {
	sets, err := o.typed.AppsV1().StatefulSets(object.GetNamespace()).List(ctx, nativemetav1.ListOptions{})
	if err != nil {
		return err.Error(), nil
	}
	return operated(object.GetKind(), object.GetName(), sets.Items), nil
}

// operatedSteps are the custom resources of which the operator makes StatefulSets.
func operatedSteps(steps []step) []step {
	var found []step
	for _, s := range steps {
		kind := s.object.GroupVersionKind()
		if kind.Group == "monitoring.coreos.com" && (kind.Kind == "Prometheus" || kind.Kind == "Alertmanager") {
			found = append(found, step{urn: s.urn, object: s.object})
		}
	}
	return found
}
