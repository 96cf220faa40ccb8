package live

import "github.com/vektah/gqlparser/v2/ast"

// CheckWithout is Check where a field's source was forgotten.
func CheckWithout(schema *ast.Schema, field string) error {
	known := sources()
	delete(known, field)
	return check(schema, known)
}
