package offline

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"time"
)

// eksEndpoint is the API server of an EKS cluster, with the one port that it has, in any partition.
var eksEndpoint = regexp.MustCompile(`^[0-9A-Za-z]+\.[0-9a-z]+\.[a-z0-9-]+\.eks\.amazonaws\.com(\.cn)?:443$`)

// healthProxy is an HTTPS proxy on loopback that plays every EKS API server itself. pulumi-eks waits during an up until the cluster's
// /healthz answers, if its endpoint is public; here it does, and nothing else is let through.
type healthProxy struct {
	listener    net.Listener
	server      *http.Server
	certificate tls.Certificate

	mu                sync.Mutex
	answered, refused []string
}

func startProxy() (*healthProxy, error) {
	certificate, err := selfSigned()
	if err != nil {
		return nil, fmt.Errorf("making the proxy's certificate: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening on loopback: %w", err)
	}
	p := &healthProxy{listener: listener, certificate: certificate}
	p.server = &http.Server{Handler: http.HandlerFunc(p.serve), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = p.server.Serve(listener) }()
	return p, nil
}

func (p *healthProxy) address() string { return p.listener.Addr().String() }

func (p *healthProxy) close() { _ = p.server.Close() }

// seen returns what was asked for: answered here, and refused.
func (p *healthProxy) seen() (answered, refused []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.answered), slices.Clone(p.refused)
}

func (p *healthProxy) note(list *[]string, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*list = append(*list, what)
}

func (p *healthProxy) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect || !eksEndpoint.MatchString(r.Host) {
		p.note(&p.refused, r.Method+" "+r.Host)
		http.Error(w, "nothing leaves this machine", http.StatusForbidden)
		return
	}
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		http.Error(w, "not an HTTP/1.1 connection", http.StatusInternalServerError)
		return
	}
	connection, _, err := hijacker.Hijack()
	if err != nil {
		return
	}
	defer func() { _ = connection.Close() }()
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := connection.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		return
	}
	p.answer(tls.Server(connection, &tls.Config{Certificates: []tls.Certificate{p.certificate}, MinVersion: tls.VersionTLS12}), r.Host)
}

// answer speaks for the API server on an established connection.
func (p *healthProxy) answer(connection net.Conn, host string) {
	request, err := http.ReadRequest(bufio.NewReader(connection))
	if err != nil {
		return
	}
	what, status, body := request.Method+" "+host+request.URL.Path, "200 OK", "ok"
	if request.Method == http.MethodGet && request.URL.Path == "/healthz" {
		p.note(&p.answered, what)
	} else {
		p.note(&p.refused, what)
		status, body = "403 Forbidden", "nothing but /healthz is played here"
	}
	_, _ = fmt.Fprintf(connection, "HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, len(body), body)
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
