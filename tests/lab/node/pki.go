package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// identity is a certificate to issue.
type identity struct {
	file, name, group string
	// hosts is set for a server, with names and addresses; anyone else is a client.
	hosts []string
	// kubeconfig says that it gets one.
	kubeconfig bool
}

const (
	caName         = "ca"
	frontProxyName = "front-proxy-ca"
	masters        = "system:masters"
)

// identities that the cluster's authority signs. The administrator's is the last: that its kubeconfig is there says that all are.
func identities() []identity {
	return []identity{
		{file: "apiserver", name: "kube-apiserver", hosts: []string{
			"127.0.0.1", kubernetesIP, IP, "localhost",
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + domain,
		}},
		{file: "kubelet-serving", name: "system:node:" + Name, group: "system:nodes", hosts: []string{IP, "127.0.0.1", Name}},
		{file: "apiserver-kubelet-client", name: "apiserver-kubelet-client", group: masters},
		{file: "kubelet", name: "system:node:" + Name, group: "system:nodes", kubeconfig: true},
		{file: "controller-manager", name: "system:kube-controller-manager", kubeconfig: true},
		{file: "scheduler", name: "system:kube-scheduler", kubeconfig: true},
		{file: "proxy", name: "system:kube-proxy", kubeconfig: true},
		{file: "admin", name: "admin", group: masters, kubeconfig: true},
	}
}

// writePKI makes what the parts of the cluster know each other by, unless it is there from an earlier start.
func writePKI(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "admin.kubeconfig")); err == nil {
		return nil
	}
	ca, err := newAuthority(dir, caName)
	if err != nil {
		return err
	}
	frontProxy, err := newAuthority(dir, frontProxyName)
	if err != nil {
		return err
	}
	if err := frontProxy.issue(dir, identity{file: "front-proxy-client", name: "front-proxy-client"}); err != nil {
		return err
	}
	if err := writeServiceAccountKey(dir); err != nil {
		return err
	}
	for _, i := range identities() {
		if err := ca.issue(dir, i); err != nil {
			return err
		}
		if i.kubeconfig {
			if err := writeKubeconfig(dir, i.file); err != nil {
				return err
			}
		}
	}
	return nil
}

func newAuthority(dir, name string) (*authority, error) {
	template, err := template(name, "")
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	a := &authority{}
	if a.key, err = writeKey(dir, name); err != nil {
		return nil, err
	}
	a.certificate, err = a.sign(dir, name, template, template, a.key)
	return a, err
}

func (a *authority) issue(dir string, i identity) error {
	template, err := template(i.name, i.group)
	if err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if i.hosts != nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	for _, host := range i.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	key, err := writeKey(dir, i.file)
	if err != nil {
		return err
	}
	_, err = a.sign(dir, i.file, template, a.certificate, key)
	return err
}

func (a *authority) sign(dir, file string, template, parent *x509.Certificate, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("signing certificate %s: %w", file, err)
	}
	if err = writePEM(filepath.Join(dir, file+".crt"), "CERTIFICATE", der); err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading certificate %s: %w", file, err)
	}
	return certificate, nil
}

func template(name, group string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("drawing a serial number: %w", err)
	}
	subject := pkix.Name{CommonName: name}
	if group != "" {
		subject.Organization = []string{group}
	}
	now := time.Now()
	return &x509.Certificate{SerialNumber: serial, Subject: subject, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0)}, nil
}

// writeServiceAccountKey makes what service accounts' tokens are signed with.
func writeServiceAccountKey(dir string) error {
	key, err := writeKey(dir, "sa")
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("encoding a public key: %w", err)
	}
	return writePEM(filepath.Join(dir, "sa.pub"), "PUBLIC KEY", public)
}

func writeKey(dir, name string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making key %s: %w", name, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding key %s: %w", name, err)
	}
	return key, writePEM(filepath.Join(dir, name+".key"), "PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("writing a key or certificate: %w", err)
	}
	return nil
}

func writeKubeconfig(dir, name string) error {
	read := func(file string) []byte {
		content, _ := readFile(filepath.Join(dir, file)) // written just now; an empty one does not pass the check below
		return content
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[Name] = &clientcmdapi.Cluster{Server: apiURL, CertificateAuthorityData: read(caName + ".crt")}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: read(name + ".crt"), ClientKeyData: read(name + ".key")}
	config.Contexts[Name] = &clientcmdapi.Context{Cluster: Name, AuthInfo: name}
	config.CurrentContext = Name
	path := filepath.Join(dir, name+".kubeconfig")
	if err := errors.Join(clientcmd.Validate(*config), clientcmd.WriteToFile(*config, path)); err != nil {
		return fmt.Errorf("writing kubeconfig %s: %w", name, err)
	}
	return nil
}
