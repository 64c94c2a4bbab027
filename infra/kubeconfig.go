package infra

import (
	"encoding/json"
	"errors"
	"fmt"

	"sigs.k8s.io/yaml"
)

// eksAccess is what it takes to reach an EKS cluster.
type eksAccess struct {
	name     string
	endpoint string
	ca       string // PEM, base64
	region   string
	profile  string // of the AWS CLI; empty: whatever the environment gives
}

// The part of kubeconfig (client.config.k8s.io v1) that is needed here. JSON is YAML, so every client reads it.
type (
	kubeconfig struct {
		APIVersion     string              `json:"apiVersion"`
		Kind           string              `json:"kind"`
		CurrentContext string              `json:"current-context"`
		Clusters       []kubeconfigCluster `json:"clusters"`
		Contexts       []kubeconfigContext `json:"contexts"`
		Users          []kubeconfigUser    `json:"users"`
	}
	kubeconfigCluster struct {
		Name    string           `json:"name"`
		Cluster kubeconfigServer `json:"cluster"`
	}
	kubeconfigServer struct {
		Server string `json:"server"`
		CA     string `json:"certificate-authority-data,omitempty"`
	}
	kubeconfigContext struct {
		Name    string         `json:"name"`
		Context kubeconfigPair `json:"context"`
	}
	kubeconfigPair struct {
		Cluster string `json:"cluster"`
		User    string `json:"user"`
	}
	kubeconfigUser struct {
		Name string               `json:"name"`
		User kubeconfigCredential `json:"user"`
	}
	kubeconfigCredential struct {
		Exec kubeconfigExec `json:"exec"`
	}
	kubeconfigExec struct {
		APIVersion string          `json:"apiVersion"`
		Command    string          `json:"command"`
		Args       []string        `json:"args"`
		Env        []kubeconfigEnv `json:"env,omitempty"`
	}
	kubeconfigEnv struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
)

// kubeconfig renders the one context that reaches the cluster. The credentials come from the AWS CLI at the time of each call, so
// nothing in it expires; the region is explicit because the one of the environment may be another.
func (a eksAccess) kubeconfig() (string, error) {
	exec := kubeconfigExec{
		APIVersion: "client.authentication.k8s.io/v1beta1",
		Command:    "aws",
		Args:       []string{"eks", "get-token", "--cluster-name", a.name, "--region", a.region},
	}
	if a.profile != "" {
		exec.Env = []kubeconfigEnv{{Name: "AWS_PROFILE", Value: a.profile}}
	}
	rendered, err := json.Marshal(kubeconfig{
		APIVersion:     "v1",
		Kind:           "Config",
		CurrentContext: a.name,
		Clusters:       []kubeconfigCluster{{Name: a.name, Cluster: kubeconfigServer{Server: a.endpoint, CA: a.ca}}},
		Contexts:       []kubeconfigContext{{Name: a.name, Context: kubeconfigPair{Cluster: a.name, User: a.name}}},
		Users:          []kubeconfigUser{{Name: a.name, User: kubeconfigCredential{Exec: exec}}},
	})
	if err != nil {
		return "", fmt.Errorf("rendering the kubeconfig of %s: %w", a.name, err)
	}
	return string(rendered), nil
}

// kubeconfigEndpoint is the server that the current context of a kubeconfig reaches. No error repeats the content: it may hold
// credentials.
func kubeconfigEndpoint(content string) (string, error) {
	var config kubeconfig
	if err := yaml.Unmarshal([]byte(content), &config); err != nil {
		return "", errors.New("reading the kubeconfig: it is not the content of a kubeconfig file")
	}
	for _, context := range config.Contexts {
		if context.Name != config.CurrentContext {
			continue
		}
		for _, cluster := range config.Clusters {
			if cluster.Name == context.Context.Cluster && cluster.Cluster.Server != "" {
				return cluster.Cluster.Server, nil
			}
		}
	}
	return "", errors.New("reading the kubeconfig: its current context names no cluster with a server")
}
