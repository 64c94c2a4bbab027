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
// "<package path>.<Type>.<Field>", each as one line of text; and those of types and functions by "<package path>.<Name>".
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

// read adds the comments of a file's structs, types and functions.
func read(docs map[string]string, pkg string, file *ast.File) {
	for _, declaration := range file.Decls {
		switch declared := declaration.(type) {
		case *ast.FuncDecl:
			if declared.Recv == nil {
				docs[pkg+"."+declared.Name.Name] = line(declared.Doc)
			}
		case *ast.GenDecl:
			for _, spec := range declared.Specs {
				if named, ok := spec.(*ast.TypeSpec); ok {
					docs[pkg+"."+named.Name.Name] = line(declared.Doc, named.Doc)
					fields(docs, pkg+"."+named.Name.Name, named)
				}
			}
		}
	}
}

// fields adds the comments of a struct's fields.
func fields(docs map[string]string, name string, named *ast.TypeSpec) {
	structure, ok := named.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, field := range structure.Fields.List {
		for _, one := range field.Names {
			docs[name+"."+one.Name] = line(field.Doc, field.Comment)
		}
	}
}

// line is what comments say, without line breaks.
func line(comments ...*ast.CommentGroup) string {
	var words []string
	for _, comment := range comments {
		words = append(words, strings.Fields(comment.Text())...)
	}
	return strings.Join(words, " ")
}
