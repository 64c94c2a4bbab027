package promtail

import (
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/components/collector"
)

// config is Promtail's configuration file, as far as it is used.
type config struct {
	Server    server    `json:"server"`
	Clients   []client  `json:"clients"`
	Positions positions `json:"positions"`
	Limits    limits    `json:"limits_config"`
	Scrape    []job     `json:"scrape_configs"`
}

type server struct {
	HTTPPort    int    `json:"http_listen_port"`
	GRPCAddress string `json:"grpc_listen_address"`
	GRPCPort    int    `json:"grpc_listen_port"`
	LogLevel    string `json:"log_level"`
}

type client struct {
	URL            string            `json:"url"`
	BatchWait      string            `json:"batchwait"`
	BatchSize      int               `json:"batchsize"`
	Timeout        string            `json:"timeout"`
	Backoff        backoff           `json:"backoff_config"`
	ExternalLabels map[string]string `json:"external_labels,omitempty"`
}

type backoff struct {
	Min     string `json:"min_period"`
	Max     string `json:"max_period"`
	Retries int    `json:"max_retries"`
}

type positions struct {
	File          string `json:"filename"`
	IgnoreInvalid bool   `json:"ignore_invalid_yaml"`
}

type limits struct {
	MaxLineSize string `json:"max_line_size"`
	Truncate    bool   `json:"max_line_size_truncate"`
}

type job struct {
	Name       string            `json:"job_name"`
	Kubernetes []discovery       `json:"kubernetes_sd_configs,omitempty"`
	Journal    *journal          `json:"journal,omitempty"`
	Relabel    []collector.Rule  `json:"relabel_configs"`
	Stages     []collector.Stage `json:"pipeline_stages,omitempty"`
}

type discovery struct {
	Role string `json:"role"`
}

// journal without a path is that of the machine, wherever it is kept.
type journal struct {
	MaxAge  string `json:"max_age"`
	Matches string `json:"matches"`
}

// render gives the configuration file. Promtail itself adds that it wants the pods of its own node only.
func render(args collector.Args, pushURL string) ([]byte, error) {
	c := config{
		// gRPC cannot be switched off: nothing uses it, and nothing outside may.
		Server: server{HTTPPort: HTTPPort, GRPCAddress: "127.0.0.1", LogLevel: "warn"},
		Clients: []client{{
			URL: pushURL, BatchWait: collector.BatchWait, BatchSize: collector.BatchKiB * 1024, Timeout: collector.Timeout,
			Backoff:        backoff{Min: collector.MinBackoff, Max: collector.MaxBackoff, Retries: collector.MaxRetries},
			ExternalLabels: args.ExternalLabels(),
		}},
		// A file that a crash of the node left unreadable costs some lines twice, not the node's logs.
		Positions: positions{File: collector.PromtailPositions, IgnoreInvalid: true},
		Limits:    limits{MaxLineSize: fmt.Sprintf("%dKB", collector.MaxLineKiB), Truncate: true},
		Scrape: []job{{
			Name: "pods", Kubernetes: []discovery{{Role: "pod"}}, Relabel: args.Labels.PodRules(), Stages: args.PodStages(),
		}},
	}
	if !args.NoJournal {
		c.Scrape = append(c.Scrape, job{
			Name:    collector.PromtailJournal,
			Journal: &journal{MaxAge: collector.JournalMaxAge, Matches: collector.JournalMatches},
			Relabel: collector.JournalRules(),
		})
	}
	data, err := yaml.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("marshalling: %w", err)
	}
	return data, nil
}
