package thanos

import (
	"errors"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// Endpoint is where a Store API is, as network policies must know it.
type Endpoint struct {
	// Port of the pods: that of the address, or GRPCPort where SRV records say it.
	Port int
	// InCluster says that it is a Service of the cluster.
	InCluster bool
}

var (
	errEndpoint  = errors.New("is no endpoint")
	endpointHost = regexp.MustCompile(`^[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?$`)
	serviceHost  = regexp.MustCompile(`\.svc(\.[0-9a-z.-]+)?$`)
	srvLabels    = regexp.MustCompile(`^_[0-9a-z-]+\._tcp\.`)
)

// ParseEndpoint reads an address as query takes it: see QuerySettings.ExtraEndpoints.
func ParseEndpoint(address string) (Endpoint, error) {
	if name, ok := strings.CutPrefix(address, "dnssrv+"); ok {
		host := srvLabels.ReplaceAllString(name, "")
		if host == name || !endpointHost.MatchString(host) {
			return Endpoint{}, errEndpoint
		}
		return Endpoint{GRPCPort, serviceHost.MatchString(host)}, nil
	}
	host, port, _ := strings.Cut(strings.TrimPrefix(address, "dns+"), ":")
	number, err := strconv.Atoi(port)
	if err != nil || number < 1 || number > 65535 || !endpointHost.MatchString(host) {
		return Endpoint{}, errEndpoint
	}
	_, err = netip.ParseAddr(host)
	return Endpoint{number, err != nil && serviceHost.MatchString(host)}, nil
}
