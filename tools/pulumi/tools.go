//go:build tools

// Package tools pins the Pulumi CLI, which `make` builds into bin/.
package tools

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
