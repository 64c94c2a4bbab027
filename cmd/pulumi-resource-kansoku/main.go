// Command pulumi-resource-kansoku serves the components to programs in any language. The engine starts it; README.md says how to take the
// package from the repository, which builds the same from its root.
package main

import (
	"fmt"
	"os"

	"github.com/kansoku/kansoku/internal/provider"
)

func main() {
	if err := provider.Main(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
