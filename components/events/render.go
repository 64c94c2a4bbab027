package events

import (
	"fmt"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/internal/check"
)

// config is the exporter's configuration file, as far as it is used. The exporter replaces $NAME in it: it must hold no dollar sign.
type config struct {
	LogLevel       string         `json:"logLevel"`
	LogFormat      string         `json:"logFormat"`
	MaxAgeSeconds  int64          `json:"maxEventAgeSeconds"`
	MetricsPrefix  string         `json:"metricsNamePrefix"`
	LeaderElection leaderElection `json:"leaderElection"`
	OmitLookup     bool           `json:"omitLookup"`
	Route          route          `json:"route"`
	Receivers      []receiver     `json:"receivers"`
}

type leaderElection struct {
	Enabled bool `json:"enabled"`
}

type route struct {
	Match  []rule  `json:"match,omitempty"`
	Routes []route `json:"routes,omitempty"`
}

type rule struct {
	Receiver string `json:"receiver"`
}

type receiver struct {
	Name   string `json:"name"`
	Stdout stdout `json:"stdout"`
}

// stdout without a layout writes the whole event.
type stdout struct{}

func render(s Settings) ([]byte, error) {
	age, err := check.ParseDuration(s.MaxAge)
	if err != nil {
		return nil, fmt.Errorf("parsing maxAge: %w", err)
	}
	const name = "stdout"
	data, err := yaml.Marshal(config{
		// Its own log goes to stderr in this format, else between the events.
		LogLevel: "warn", LogFormat: "json",
		MaxAgeSeconds: int64(age / time.Second), MetricsPrefix: "event_exporter_",
		// With the lookup of labels and owners it would need to read every kind of object, Secrets too.
		OmitLookup: true,
		Route:      route{Routes: []route{{Match: []rule{{Receiver: name}}}}},
		Receivers:  []receiver{{Name: name}},
	})
	if err != nil {
		return nil, fmt.Errorf("marshalling: %w", err)
	}
	return data, nil
}
