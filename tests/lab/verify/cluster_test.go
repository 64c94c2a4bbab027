package verify

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authv1 "k8s.io/api/authentication/v1"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// cluster is an API server with its etcd, alone.
type cluster struct {
	dir      string
	config   *rest.Config // of an administrator
	client   kubernetes.Interface
	dynamic  dynamic.Interface
	mapper   *restmapper.DeferredDiscoveryRESTMapper
	warnings *warnings
	services map[string]service // by "name.namespace"
	nowhere  string             // an address at which nothing listens
	pods     []*pod             // that were started
}

// service is where the pods behind a Service are: one of them.
type service struct {
	ip    string
	ports map[string]int32 // by name
}

// warnings that the API server answered with since they were last taken.
type warnings struct {
	mu   sync.Mutex
	said []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, text)
}

func (w *warnings) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	said := w.said
	w.said = nil
	return said
}

// auditPolicy keeps what service accounts did, and what they were told of their own rights.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: RequestResponse, userGroups: ["system:serviceaccounts"], resources: [{group: authorization.k8s.io}]}
- {level: Metadata, userGroups: ["system:serviceaccounts"]}
- {level: None}
`

// startCluster starts etcd and an API server with the admission plugins that are on by default, Pod Security among them. Nobody but us talks
// to it, so one certificate serves for everything.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{dir: t.TempDir(), warnings: &warnings{}, services: map[string]service{}, nowhere: nextAddress()}
	t.Cleanup(func() {
		for _, p := range c.pods {
			p.stop()
		}
	})
	address := nextAddress()
	const token = "administrator"
	c.write(t, "audit-policy.yaml", auditPolicy)
	c.write(t, "tokens.csv", token+`,admin,admin,"system:masters"`+"\n")
	selfSigned(t, c.path("tls.crt"), c.path("tls.key"), address)

	client, peer := "http://"+address+":2379", "http://"+address+":2380"
	etcd := start(t, "etcd", program(t, "etcd"), nil, "--data-dir="+c.path("etcd"), "--listen-client-urls="+client,
		"--advertise-client-urls="+client, "--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer,
		"--unsafe-no-fsync", "--log-level=warn")
	server := start(t, "kube-apiserver", program(t, "kube-apiserver"), nil,
		"--etcd-servers="+client, "--bind-address="+address, "--secure-port=6443", "--cert-dir="+c.path("certs"),
		"--advertise-address=192.0.2.1", "--endpoint-reconciler-type=none", // its Service has no endpoint: a loopback address may not be one
		"--tls-cert-file="+c.path("tls.crt"), "--tls-private-key-file="+c.path("tls.key"), "--token-auth-file="+c.path("tokens.csv"),
		"--client-ca-file="+c.path("tls.crt"), "--requestheader-client-ca-file="+c.path("tls.crt"), "--requestheader-allowed-names=verify",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-", "--proxy-client-cert-file="+c.path("tls.crt"),
		"--proxy-client-key-file="+c.path("tls.key"), "--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-signing-key-file="+c.path("tls.key"), "--service-account-key-file="+c.path("tls.key"),
		"--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=RBAC", "--allow-privileged=true",
		"--audit-policy-file="+c.path("audit-policy.yaml"), "--audit-log-path="+c.path("audit.log"))

	c.config = &rest.Config{
		Host: "https://" + address + ":6443", BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAFile: c.path("tls.crt")},
		QPS: -1, WarningHandler: c.warnings,
	}
	var err error
	c.client, err = kubernetes.NewForConfig(c.config)
	require.NoError(t, err)
	c.dynamic, err = dynamic.NewForConfig(c.config)
	require.NoError(t, err)
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.client.Discovery()))
	require.NoError(t, eventually(t.Context(), time.Minute, func(ctx context.Context) error {
		for _, p := range []*process{etcd, server} {
			if err := p.ended(); err != nil {
				return err
			}
		}
		if _, err := c.client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err != nil {
			return fmt.Errorf("the API server: %w", err)
		}
		_, err := c.client.CoreV1().Namespaces().Get(ctx, nativemetav1.NamespaceSystem, nativemetav1.GetOptions{})
		return err //nolint:wrapcheck // says itself what it is
	}))
	return c
}

func (c *cluster) path(name string) string { return filepath.Join(c.dir, name) }

func (c *cluster) write(t *testing.T, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(c.path(name), []byte(content), 0o600))
}

// selfSigned makes a certificate that is its own authority.
func selfSigned(t *testing.T, certificate, key, address string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "verify"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.ParseIP(address)},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	encoded, err := x509.MarshalECPrivateKey(private)
	require.NoError(t, err)
	for path, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: signed}, key: {Type: "EC PRIVATE KEY", Bytes: encoded},
	} {
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
	}
}

// credentials writes into a directory what a kubelet mounts for a service account, and a kubeconfig beside it.
func (c *cluster) credentials(ctx context.Context, dir, namespace, account string) error {
	lifetime := int64(3600)
	request := &authv1.TokenRequest{Spec: authv1.TokenRequestSpec{ExpirationSeconds: &lifetime}}
	granted, err := c.client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, account, request, nativemetav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("requesting a token: %w", err)
	}
	authority, err := os.ReadFile(c.path("tls.crt"))
	if err != nil {
		return fmt.Errorf("reading the authority: %w", err)
	}
	kubeconfig := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: verify, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: verify, user: {tokenFile: %q}}]
contexts: [{name: verify, context: {cluster: verify, user: verify}}]
current-context: verify
`, c.config.Host, c.path("tls.crt"), filepath.Join(dir, "token"))
	return writeAll(dir, map[string]string{
		"token": granted.Status.Token, "ca.crt": string(authority), "namespace": namespace, "kubeconfig": kubeconfig,
	})
}

// call is one request of a service account, as the API server's audit log has it.
type call struct {
	Verb string
	URI  string `json:"requestURI"`

	Account struct {
		Username string
	} `json:"user"`
	Object struct {
		Resource, Subresource, Namespace, Name, APIGroup string
	} `json:"objectRef"`
	Status struct {
		Code    int
		Message string
	} `json:"responseStatus"`
	Review struct {
		Spec struct {
			ResourceAttributes map[string]string
		}
		Status struct {
			Allowed bool
		}
	} `json:"responseObject"`
}

// what a call is about, without the names of objects.
func (c call) what() string {
	resource := c.Object.Resource
	if c.Object.APIGroup != "" {
		resource = c.Object.APIGroup + "/" + resource
	}
	if c.Object.Subresource != "" {
		resource += "/" + c.Object.Subresource
	}
	if resource == "" {
		resource = c.URI
	}
	return c.Verb + " " + resource
}

// account is "namespace/name" of the caller.
func (c call) account() string {
	return strings.ReplaceAll(strings.TrimPrefix(c.Account.Username, "system:serviceaccount:"), ":", "/")
}

// calls of all service accounts so far.
func (c *cluster) calls(t *testing.T) []call {
	t.Helper()
	content, err := os.ReadFile(c.path("audit.log"))
	require.NoError(t, err)
	content = content[:bytes.LastIndexByte(content, '\n')+1] // the last line may be half written
	var all []call
	for line := range bytes.Lines(content) {
		var one call
		require.NoError(t, json.Unmarshal(line, &one), string(line))
		all = append(all, one)
	}
	return all
}
