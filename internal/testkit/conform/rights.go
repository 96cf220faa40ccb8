package conform

import (
	"fmt"
	"slices"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/models"
)

// allowed are the roles that an @allow names; all of them without one.
func allowed(directives ast.DirectiveList) []models.Role {
	allow := directives.ForName("allow")
	if allow == nil {
		return models.AllRole
	}
	var roles []models.Role
	for _, child := range allow.Arguments.ForName("roles").Value.Children {
		roles = append(roles, models.Role(child.Value.Raw))
	}
	return roles
}

// may tells, by the schema's words alone, whether a role may select a field: by the
// field's own, by those of the type that it is on and of what it gives in the end.
func (s *Suite) may(role models.Role, on *ast.Definition, field *ast.FieldDefinition, gives string) bool {
	return slices.Contains(allowed(on.Directives), role) &&
		slices.Contains(allowed(field.Directives), role) &&
		slices.Contains(allowed(s.schema.Types[gives].Directives), role)
}

// Rights asks as every role for every field of a noun, and for every field that
// shows it: what @allow names is answered, all else refused whole.
func (s *Suite) Rights(t testing.TB, object string) (faults []string) {
	t.Helper()
	of := s.described(t, object)
	definition := s.schema.Types[object]
	check := func(place string, role models.Role, may bool, q question) {
		answer := s.ask(t, role, q)
		refused := len(answer.Errors) > 0 && answer.Errors[0].Extensions.Code == string(models.Forbidden)
		switch {
		case may && (len(answer.Errors) > 0 || string(answer.Data) == "null"):
			faults = append(faults, fmt.Sprintf("%s may select %s, and is answered %s", role, place, answer.Body))
		case !may && (!refused || len(answer.Data) > 0 && string(answer.Data) != "null"):
			faults = append(faults, fmt.Sprintf("%s may not select %s, and is answered %s", role, place, answer.Body))
		}
	}
	paths := s.paths(object)
	for _, role := range models.AllRole {
		for _, p := range paths {
			on := s.schema.Types[p.Object]
			may := s.may(role, on, p.field, object)
			selection := "__typename"
			if p.How == entity.Paged {
				selection = "nodes { __typename }"
			}
			check(p.name(), role, may, p.question(s.parent(t, p, s.own), s.needed(t, p, s.own), selection))
		}
		for _, field := range definition.Fields {
			if needsArguments(field) {
				continue
			}
			may := s.may(role, definition, field, s.entityOf(field.Type.Name()))
			selection := field.Name + s.inside(field.Type.Name())
			switch {
			case s.isNode(object):
				check(object+"."+field.Name, role, may, s.node(object, of.Kind.Global(s.some(t, of, s.own)), selection))
			case len(paths) > 0:
				p := paths[0]
				may = may && s.may(role, s.schema.Types[p.Object], p.field, object)
				check(object+"."+field.Name, role, may, p.question(s.parent(t, p, s.own), s.needed(t, p, s.own), p.around(selection)))
			}
		}
	}
	return faults
}

func needsArguments(field *ast.FieldDefinition) bool {
	return slices.ContainsFunc(field.Arguments, func(a *ast.ArgumentDefinition) bool { return a.Type.NonNull && a.DefaultValue == nil })
}

// entityOf is what a type holds in the end: a connection its nodes.
func (s *Suite) entityOf(name string) string {
	if nodes := s.schema.Types[name].Fields.ForName("nodes"); nodes != nil {
		return nodes.Type.Name()
	}
	return name
}

// inside is the least selection of a type; "" for a leaf.
func (s *Suite) inside(name string) string {
	if s.schema.Types[name].IsLeafType() {
		return ""
	}
	return " { __typename }"
}
