//go:build tools

// Package tools pins controller-gen, which `make` builds into bin/, and the API of the Prometheus Operator, from which it makes the
// CRDs. The API's version is that of the main module: a test of components/operator holds them together.
package tools

import (
	_ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	_ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	_ "sigs.k8s.io/controller-tools/cmd/controller-gen"
)
