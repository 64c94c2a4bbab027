package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	nativecorev1 "k8s.io/api/core/v1"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
)

// pace is the time between two looks at what is on its way.
const pace = 200 * time.Millisecond

//go:embed manifests/coredns.yaml
var coreDNSManifest []byte

//go:embed manifests/storage.yaml
var storageManifest []byte

// client is the administrator.
type client struct {
	typed   *kubernetes.Clientset
	dynamic *dynamic.DynamicClient
	mapper  *restmapper.DeferredDiscoveryRESTMapper
}

func connect(kubeconfig string) (*client, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config.QPS, config.Timeout = -1, 10*time.Second
	c := &client{}
	if c.typed, err = kubernetes.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("connecting to the API server: %w", err)
	}
	if c.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("connecting to the API server: %w", err)
	}
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.typed.Discovery()))
	return c, nil
}

func (c *client) ready(ctx context.Context) error {
	return poll(ctx, pace, func(ctx context.Context) error {
		return c.typed.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// serviceAccount waits for the one that pods have by default: the controller manager makes it.
func (c *client) serviceAccount(ctx context.Context) error {
	return poll(ctx, pace, func(ctx context.Context) error {
		_, err := c.typed.CoreV1().ServiceAccounts("default").Get(ctx, "default", nativemetav1.GetOptions{})
		return err
	})
}

func (c *client) nodeRegistered(ctx context.Context) error {
	return poll(ctx, pace, func(ctx context.Context) error {
		_, err := c.typed.CoreV1().Nodes().Get(ctx, Name, nativemetav1.GetOptions{})
		return err
	})
}

// nodeReady waits until kubelet says so. What it said in an earlier life does not count.
func (c *client) nodeReady(ctx context.Context, begun time.Time) error {
	return poll(ctx, pace, func(ctx context.Context) error {
		found, err := c.typed.CoreV1().Nodes().Get(ctx, Name, nativemetav1.GetOptions{})
		if err != nil {
			return err
		}
		return readyNode(found, begun)
	})
}

func readyNode(found *nativecorev1.Node, begun time.Time) error {
	at := slices.IndexFunc(found.Status.Conditions, func(c nativecorev1.NodeCondition) bool { return c.Type == nativecorev1.NodeReady })
	if at < 0 {
		return errors.New("the node has said nothing yet")
	}
	condition := found.Status.Conditions[at]
	if condition.LastHeartbeatTime.Time.Before(begun.Truncate(time.Second)) {
		return errors.New("the node has said nothing since it was started")
	}
	if condition.Status != nativecorev1.ConditionTrue {
		return fmt.Errorf("the node is not ready: %s", condition.Message)
	}
	return nil
}

func (c *client) dnsReady(ctx context.Context) error {
	return poll(ctx, pace, func(ctx context.Context) error {
		d, err := c.typed.AppsV1().Deployments("kube-system").Get(ctx, "coredns", nativemetav1.GetOptions{})
		if err != nil {
			return err
		}
		if d.Status.ReadyReplicas < 1 {
			return errors.New("no pod of CoreDNS is ready")
		}
		return nil
	})
}

// answers waits until a name resolves through the DNS Service, and its address leads to the API server through kube-proxy's rules.
func answers(ctx context.Context, pki string) error {
	ca, err := readFile(filepath.Join(pki, "ca.crt"))
	if err != nil {
		return fmt.Errorf("reading the cluster's authority: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	api := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true,
	}}
	dns := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(dnsIP, "53"))
	}}
	const name = "kubernetes.default.svc." + domain
	return poll(ctx, pace, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		addresses, err := dns.LookupHost(ctx, name+".")
		if err != nil {
			return err
		}
		if !slices.Equal(addresses, []string{kubernetesIP}) {
			return fmt.Errorf("%s resolves to %v, not to %s", name, addresses, kubernetesIP)
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+kubernetesIP+"/livez", nil)
		if err != nil {
			return err
		}
		response, err := api.Do(request)
		if err != nil {
			return err
		}
		_ = response.Body.Close() // an anonymous caller may well be refused: that is an answer
		return nil
	})
}

// applyAll applies CoreDNS and what gives pods their storage.
func (c *client) applyAll(ctx context.Context, volumes string) error {
	objects, err := parse(coreDNSManifest, storageManifest)
	if err != nil {
		return err
	}
	made, err := makeVolumes(volumes)
	if err != nil {
		return err
	}
	for _, object := range append(objects, made...) {
		if err := c.apply(ctx, object); err != nil {
			return fmt.Errorf("applying %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

func parse(manifests ...[]byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, manifest := range manifests {
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096)
		for {
			object := &unstructured.Unstructured{}
			err := decoder.Decode(object)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("reading a manifest: %w", err)
			}
			objects = append(objects, object)
		}
	}
	return objects, nil
}

func (c *client) apply(ctx context.Context, object *unstructured.Unstructured) error {
	kind := object.GroupVersionKind()
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	content, err := json.Marshal(object)
	if err != nil {
		return err
	}
	force := true
	_, err = c.dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace()).Patch(ctx, object.GetName(), types.ApplyPatchType, content,
		nativemetav1.PatchOptions{FieldManager: "lab", Force: &force, FieldValidation: nativemetav1.FieldValidationStrict})
	return err
}

const volumeCount = 16

// makeVolumes makes directories, and a PersistentVolume for each. They are open to all, because no one changes the owner of such a volume.
func makeVolumes(dir string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for i := range volumeCount {
		name := fmt.Sprintf("volume-%02d", i)
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(path, 0o777); err != nil { //nolint:gosec // see above
			return nil, fmt.Errorf("making a volume: %w", err)
		}
		if err := os.Chmod(path, 0o777); err != nil { //nolint:gosec // see above
			return nil, fmt.Errorf("opening a volume: %w", err)
		}
		objects = append(objects, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "PersistentVolume", "metadata": map[string]any{"name": name},
			"spec": map[string]any{
				"capacity": map[string]any{"storage": "50Gi"}, "accessModes": []any{"ReadWriteOnce"}, "storageClassName": "standard",
				"persistentVolumeReclaimPolicy": "Retain", "hostPath": map[string]any{"path": path, "type": "Directory"},
			},
		}})
	}
	return objects, nil
}
