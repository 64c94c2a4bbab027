//go:build tools

// Package tools pins the linter of workflows, which `make` builds into bin/.
package tools

import _ "github.com/rhysd/actionlint/cmd/actionlint"
