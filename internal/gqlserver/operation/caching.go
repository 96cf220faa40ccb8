package operation

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// CacheScope says to whom a kept answer may be shown; the greater, the fewer.
type CacheScope uint8

// The scopes of @cacheControl, from the widest.
const (
	// ScopeTenant is everyone in the clinic.
	ScopeTenant CacheScope = iota
	// ScopeRole is everyone in the clinic with the same role and permissions.
	ScopeRole
	// ScopePrivate is one subject.
	ScopePrivate
)

// String is the scope as the schema has it.
func (s CacheScope) String() string {
	return [...]string{"TENANT", "ROLE", "PRIVATE"}[s]
}

// Caching is whether and for whom an operation's answer may be kept.
type Caching struct {
	// MaxAge is how long: the least that any part of the answer allows. Zero where
	// the answer must not be kept.
	MaxAge time.Duration
	Scope  CacheScope
	// Why says in words why the answer must not be kept; "" where it may.
	Why string
}

// caching is what a field or a type declares, and what a walk has gathered.
type caching struct {
	declared bool // with a maxAge
	maxAge   int64
	scope    CacheScope
}

// and is the narrower of both.
func (c caching) and(other caching) caching {
	if other.declared && (!c.declared || other.maxAge < c.maxAge) {
		c.declared, c.maxAge = true, other.maxAge
	}
	c.scope = max(c.scope, other.scope)
	return c
}

// verdict is what was gathered, for an operation of this kind.
func (w *walker) caching(kind ast.Operation) Caching {
	switch {
	case kind != ast.Query:
		return Caching{Why: string(kind)}
	case w.introspects != nil:
		return Caching{Why: "not cacheable: introspection"}
	case !w.gathered.declared:
		return Caching{Why: "not cacheable: nothing in it says for how long"}
	case w.gathered.maxAge <= 0:
		return Caching{Why: "not cacheable: a part of it must not be kept"}
	}
	return Caching{MaxAge: time.Duration(w.gathered.maxAge) * time.Second, Scope: w.gathered.scope}
}

// readCaching reads a @cacheControl.
func readCaching(directives ast.DirectiveList) (caching, error) {
	var c caching
	directive := directives.ForName("cacheControl")
	if directive == nil {
		return c, nil
	}
	if argument := directive.Arguments.ForName("maxAge"); argument != nil && argument.Value.Kind != ast.NullValue {
		seconds, err := strconv.ParseInt(argument.Value.Raw, 10, 32)
		if err != nil || seconds < 0 {
			return c, fmt.Errorf("@cacheControl(maxAge: %s) is no number of seconds", argument.Value.Raw)
		}
		c.declared, c.maxAge = true, seconds
	}
	if argument := directive.Arguments.ForName("scope"); argument != nil && argument.Value.Kind != ast.NullValue {
		switch argument.Value.Raw {
		case "TENANT":
		case "ROLE":
			c.scope = ScopeRole
		case "PRIVATE":
			c.scope = ScopePrivate
		default:
			return c, fmt.Errorf("@cacheControl(scope: %s) is none of TENANT, ROLE and PRIVATE", argument.Value.Raw)
		}
	}
	return c, nil
}

// typeCaching is what selecting a type means: its own @cacheControl; for an
// interface or union, of whose objects nobody knows which will come, that of
// all of them; for a connection or edge, that of what it holds.
func typeCaching(schema *ast.Schema, definition *ast.Definition) (caching, error) {
	sum, err := readCaching(definition.Directives)
	if err != nil {
		return sum, fmt.Errorf("%s: %w", definition.Name, err)
	}
	var parts []*ast.Definition
	switch {
	case definition.IsAbstractType():
		parts = schema.GetPossibleTypes(definition)
	case strings.HasSuffix(definition.Name, "Connection"):
		if nodes := definition.Fields.ForName("nodes"); nodes != nil {
			parts = append(parts, schema.Types[nodes.Type.Name()])
		}
	case strings.HasSuffix(definition.Name, "Edge"):
		if node := definition.Fields.ForName("node"); node != nil {
			parts = append(parts, schema.Types[node.Type.Name()])
		}
	}
	for _, part := range parts {
		found, err := typeCaching(schema, part)
		if err != nil {
			return sum, err
		}
		sum = sum.and(found)
	}
	return sum, nil
}

// fieldCaching is what selecting a field means: its own @cacheControl, that of
// the type it is on and that of the type it gives. The roots declare nothing.
func fieldCaching(schema *ast.Schema, parent *ast.Definition, fd *ast.FieldDefinition) (caching, error) {
	sum, err := readCaching(fd.Directives)
	if err != nil {
		return sum, err
	}
	for _, definition := range []*ast.Definition{parent, schema.Types[fd.Type.Name()]} {
		found, err := typeCaching(schema, definition)
		if err != nil {
			return sum, err
		}
		sum = sum.and(found)
	}
	return sum, nil
}
