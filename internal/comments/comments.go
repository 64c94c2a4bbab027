// Package comments reads the comments of the code, from which documentation is generated.
package comments

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
)

const module = "github.com/kansoku/kansoku/"

// Fields reads the comments of all struct fields in the given folders of the module at root, tests left out: by
// "<package path>.<Type>.<Field>", each as one line of text.
func Fields(root string, folders ...string) (map[string]string, error) {
	docs := map[string]string{}
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
			if err != nil {
				return err //nolint:wrapcheck // wrapped below
			}
			dir, err := filepath.Rel(root, filepath.Dir(path))
			read(docs, module+filepath.ToSlash(dir), file)
			return err //nolint:wrapcheck // wrapped below
		})
		if err != nil {
			return nil, fmt.Errorf("reading the comments of %s: %w", folder, err)
		}
	}
	return docs, nil
}

// read adds the comments of a file's structs.
func read(docs map[string]string, pkg string, file *ast.File) {
	ast.Inspect(file, func(node ast.Node) bool {
		named, ok := node.(*ast.TypeSpec)
		if !ok {
			return true
		}
		structure, ok := named.Type.(*ast.StructType)
		if !ok {
			return false
		}
		for _, field := range structure.Fields.List {
			for _, name := range field.Names {
				docs[pkg+"."+named.Name.Name+"."+name.Name] = strings.Join(strings.Fields(field.Doc.Text()+" "+field.Comment.Text()), " ")
			}
		}
		return false
	})
}
