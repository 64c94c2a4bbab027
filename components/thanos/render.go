package thanos

import (
	"encoding/json"
	"fmt"
	"strconv"

	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/internal/check"
)

// inMemory is the configuration of Thanos' in-memory caches.
type inMemory struct {
	MaxSize string `json:"max_size"`
	// MaxItemSize of index and bucket caches; more than MaxSize is refused, and the default is 125 MiB.
	MaxItemSize string `json:"max_item_size,omitempty"`
	// Validity of the frontend's answers.
	Validity string `json:"validity,omitempty"`
}

type cache struct {
	Type   string   `json:"type"`
	Config inMemory `json:"config"`
	// Of the bucket cache only.
	BlocksIterTTL          string `json:"blocks_iter_ttl,omitempty"`
	MetafileDoesntExistTTL string `json:"metafile_doesnt_exist_ttl,omitempty"`
}

// tripper is how the frontend holds connections to query.
type tripper struct {
	MaxIdleConnsPerHost int `json:"max_idle_conns_per_host"`
}

// endpoints is what query asks.
type endpoints struct {
	Endpoints []endpoint `json:"endpoints"`
}

type endpoint struct {
	Address string `json:"address"`
}

// inline renders a configuration for a flag that takes YAML: JSON is YAML on one line.
func inline(v any) string {
	data, _ := json.Marshal(v) // structs of strings and numbers
	return string(data)
}

// renderEndpoints is the file that query reads its endpoints from.
func renderEndpoints(addresses []string) (string, error) {
	var config endpoints
	var errs check.Errors
	for i, one := range addresses {
		errs.Require(one != "", fmt.Sprintf("storeEndpoints[%d]", i), one, "must not be empty")
		config.Endpoints = append(config.Endpoints, endpoint{one})
	}
	if err := errs.Err(); err != nil {
		return "", fmt.Errorf("rendering endpoints: %w", err)
	}
	data, err := yaml.Marshal(config)
	return string(data), err
}

// commonFlags are those of every part.
func commonFlags() []string {
	return []string{
		"--enable-auto-gomemlimit",
		"--http-address=0.0.0.0:" + strconv.Itoa(HTTPPort),
		"--http-grace-period=" + serverGrace,
	}
}

func grpcFlags() []string {
	return []string{"--grpc-address=0.0.0.0:" + strconv.Itoa(GRPCPort), "--grpc-grace-period=" + serverGrace}
}

func blocksFlag() string { return "--objstore.config-file=" + objectStoreDir + "/" + objectStoreKey }
