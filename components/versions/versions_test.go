package versions_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/versions"
)

func TestImage(t *testing.T) {
	t.Parallel()
	require.Equal(t, "quay.io/thanos/thanos:v0.1.2", versions.Component{Version: "v0.1.2", Repository: "quay.io/thanos/thanos"}.Image())
}

func TestEveryImageIsPinnedAndListedOnce(t *testing.T) {
	t.Parallel()
	before := ""
	for _, c := range versions.All() {
		require.Regexp(t, `^v?\d+\.\d+(\.\d+)?$`, c.Version, c.Repository)
		require.Regexp(t, `^[a-z0-9.]+\.[a-z]+(/[a-z0-9-]+)+$`, c.Repository, "with its registry")
		require.Less(t, before, c.Image(), "in order, and none twice")
		before = c.Image()
	}
}

func TestAllLeavesNothingOut(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "versions.go", nil, 0)
	require.NoError(t, err)
	declared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if literal, ok := n.(*ast.CompositeLit); ok {
			if name, ok := literal.Type.(*ast.Ident); ok && name.Name == "Component" {
				declared++
			}
		}
		return true
	})
	require.Positive(t, declared)
	require.Len(t, versions.All(), declared)
}

func TestOperatorAndReloaderAreOneRelease(t *testing.T) {
	t.Parallel()
	require.Equal(t, versions.Operator.Version, versions.ConfigReloader.Version)
}

func TestKubernetesIsAMinorVersion(t *testing.T) {
	t.Parallel()
	require.Regexp(t, `^1\.\d+$`, versions.Kubernetes)
}
