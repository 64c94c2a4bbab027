package node

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"
)

func certificate(t *testing.T, dir, name string) *x509.Certificate {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name+".crt"))
	require.NoError(t, err)
	block, rest := pem.Decode(content)
	require.NotNil(t, block)
	require.Empty(t, rest)
	parsed, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return parsed
}

func pool(t *testing.T, dir, authority string) *x509.CertPool {
	t.Helper()
	p := x509.NewCertPool()
	p.AddCert(certificate(t, dir, authority))
	return p
}

func TestPKI(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, writePKI(dir))

	t.Run("the API server is known under every name that it is called by", func(t *testing.T) {
		t.Parallel()
		server := certificate(t, dir, "apiserver")
		for _, host := range []string{"127.0.0.1", "10.96.0.1", "10.88.0.1", "kubernetes", "kubernetes.default.svc.cluster.local"} {
			_, err := server.Verify(x509.VerifyOptions{Roots: pool(t, dir, "ca"), DNSName: host})
			require.NoError(t, err, host)
		}
		_, err := server.Verify(x509.VerifyOptions{Roots: pool(t, dir, "ca"), DNSName: "10.88.0.2"})
		require.Error(t, err)
		_, err = server.Verify(x509.VerifyOptions{Roots: pool(t, dir, "front-proxy-ca")})
		require.Error(t, err, "the authorities are two")
	})

	t.Run("clients are who they are, and no servers", func(t *testing.T) {
		t.Parallel()
		for name, subject := range map[string][2]string{
			"admin":                    {"admin", "system:masters"},
			"apiserver-kubelet-client": {"apiserver-kubelet-client", "system:masters"},
			"kubelet":                  {"system:node:lab", "system:nodes"},
			"controller-manager":       {"system:kube-controller-manager", ""},
			"scheduler":                {"system:kube-scheduler", ""},
			"proxy":                    {"system:kube-proxy", ""},
		} {
			client := certificate(t, dir, name)
			require.Equal(t, subject[0], client.Subject.CommonName)
			require.Equal(t, subject[1], append(client.Subject.Organization, "")[0], name)
			options := x509.VerifyOptions{Roots: pool(t, dir, "ca"), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
			_, err := client.Verify(options)
			require.NoError(t, err, name)
			options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
			_, err = client.Verify(options)
			require.Error(t, err, name)
		}
	})

	t.Run("aggregated APIs trust the front proxy's authority", func(t *testing.T) {
		t.Parallel()
		_, err := certificate(t, dir, "front-proxy-client").Verify(x509.VerifyOptions{
			Roots: pool(t, dir, "front-proxy-ca"), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		require.NoError(t, err)
	})

	t.Run("every certificate has its key, for its owner alone", func(t *testing.T) {
		t.Parallel()
		keys, err := filepath.Glob(filepath.Join(dir, "*.key"))
		require.NoError(t, err)
		require.Len(t, keys, 12)
		for _, key := range keys {
			info, err := os.Stat(key)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), info.Mode())
			if filepath.Base(key) != "sa.key" { // has no certificate
				_, err = tls.LoadX509KeyPair(key[:len(key)-len("key")]+"crt", key)
				require.NoError(t, err)
			}
		}
	})

	t.Run("a kubeconfig needs no other file", func(t *testing.T) {
		t.Parallel()
		config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, "admin.kubeconfig"))
		require.NoError(t, err)
		require.Equal(t, "https://127.0.0.1:6443", config.Host)
		require.NotEmpty(t, config.CAData)
		_, err = tls.X509KeyPair(config.CertData, config.KeyData)
		require.NoError(t, err)
	})
}

func TestPKIOutlivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, writePKI(dir))
	before := certificate(t, dir, "ca").SerialNumber
	require.NoError(t, writePKI(dir))
	require.Equal(t, before, certificate(t, dir, "ca").SerialNumber)
	require.NoError(t, os.Remove(filepath.Join(dir, "admin.kubeconfig")), "the last file of an attempt that broke off")
	require.NoError(t, writePKI(dir))
	require.NotEqual(t, before, certificate(t, dir, "ca").SerialNumber)
}
