package main

import (
	"fmt"
	"go/types"
	"slices"
	"strings"
	"text/template"

	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/templates"
	"github.com/vektah/gqlparser/v2/ast"
)

// schema is what the templates ask about.
type schema struct {
	data     *codegen.Data
	answered map[string]bool
}

func (s schema) funcs() template.FuncMap {
	return template.FuncMap{
		"leaf": leaf, "part": part, "list": list,
		"isLeaf": isLeaf, "isPart": isPart,
		"composite": composite, "isList": isList, "elemNonNull": elemNonNull,
	}
}

// Objects are the schema's object types, without those of introspection.
func (s schema) Objects() []*codegen.Object {
	var all []*codegen.Object
	for _, object := range s.data.Objects {
		if !object.IsReserved() {
			all = append(all, object)
		}
	}
	return all
}

// Fields are an object's fields, without those of introspection.
func (schema) Fields(object *codegen.Object) []*codegen.Field {
	var all []*codegen.Field
	for _, field := range object.Fields {
		if !field.IsReserved() {
			all = append(all, field)
		}
	}
	return all
}

// Relations are the object types, but for the roots, that have fields with resolvers.
func (s schema) Relations() []*codegen.Object {
	var all []*codegen.Object
	for _, object := range s.Objects() {
		if !object.Root && object.HasResolvers() {
			all = append(all, object)
		}
	}
	return all
}

// Resolved are an object's fields with resolvers.
func (s schema) Resolved(object *codegen.Object) []*codegen.Field {
	var all []*codegen.Field
	for _, field := range s.Fields(object) {
		if field.IsResolver {
			all = append(all, field)
		}
	}
	return all
}

// Reads are the query's fields that no resolver answers by itself: an entity, any
// entities, or a list of them.
func (s schema) Reads() []*codegen.Field {
	var all []*codegen.Field
	for _, field := range s.Fields(s.data.QueryRoot) {
		if !s.answered[field.GoFieldName] {
			all = append(all, field)
		}
	}
	return all
}

func (s schema) isNode(definition *ast.Definition) bool {
	return definition.Name == "Node" || slices.Contains(definition.Interfaces, "Node")
}

// IsNode is whether an object type implements Node.
func (s schema) IsNode(object *codegen.Object) bool { return s.isNode(object.Definition) }

// Protected is whether the schema marks an object type with @phi.
func (schema) Protected(object *codegen.Object) bool {
	return object.Definition.Directives.ForName("phi") != nil
}

const connectionSuffix = "Connection"

func (s schema) isConnection(definition *ast.Definition) bool {
	noun, ok := strings.CutSuffix(definition.Name, connectionSuffix)
	return ok && definition.Kind == ast.Object && s.data.Schema.Types[noun+"Edge"] != nil
}

// Connection is a connection type with the types of its edges and nodes.
type Connection struct{ Object, Edge, Node *codegen.Object }

// Connections are the schema's connection types.
func (s schema) Connections() []Connection {
	var all []Connection
	for _, object := range s.Objects() {
		if s.isConnection(object.Definition) {
			noun := strings.TrimSuffix(object.Name, connectionSuffix)
			all = append(all, Connection{object, s.data.Objects.ByName(noun + "Edge"), s.data.Objects.ByName(noun)})
		}
	}
	return all
}

// problems names what the plugin cannot bind.
func (s schema) problems() []error {
	var all []error
	for _, object := range s.Objects() {
		if !object.Root {
			if _, ok := object.Reference().(*types.Pointer); !ok {
				all = append(all, fmt.Errorf("%s: its Go type %s is no struct", object.Name, object.Type))
				continue
			}
		}
		for _, field := range s.Fields(object) {
			if err := s.problem(object, field); err != nil {
				all = append(all, fmt.Errorf("%s.%s: %w", object.Name, field.Name, err))
			}
		}
	}
	for _, connection := range s.Connections() {
		if connection.Node == nil {
			all = append(all, fmt.Errorf("%s: there is no type %s", connection.Object.Name, strings.TrimSuffix(connection.Object.Name, connectionSuffix)))
			continue
		}
		for of, names := range map[*codegen.Object][]string{
			connection.Object: {"edges", "nodes", "pageInfo", "totalCount"}, connection.Edge: {"cursor", "node"},
		} {
			for _, name := range names {
				if !of.HasField(name) {
					all = append(all, fmt.Errorf("%s: a connection has edges, nodes, pageInfo and totalCount, its edges have cursor and node; there is no %s", of.Name, name))
				}
			}
		}
	}
	return all
}

func (s schema) problem(object *codegen.Object, field *codegen.Field) error {
	switch {
	case composite(field) && isList(field) && field.Type.Elem.Elem != nil:
		return fmt.Errorf("lists of lists of objects are not served")
	case object.Root || s.data.Config.Models[object.Name].Fields[field.Name].Resolver:
		return nil
	case field.IsResolver && !composite(field):
		return fmt.Errorf("no field or method of %s gives it as %s; add one (%s or Get%s)", object.Type, field.Type, field.GoFieldName, field.GoFieldName)
	case field.IsResolver:
		if name := member(object.Type, field.GoFieldName); name != "" {
			return fmt.Errorf("%s.%s gives no %s", object.Type, name, field.Type)
		}
		return nil
	case field.IsMap() || field.HasHaser || field.VOkFunc || field.IsBatch():
		return fmt.Errorf("it is bound in a way that the tables do not know: give %s a plain field or method", object.Type)
	case !held(field):
		return nil
	case composite(field):
		_, err := pointed(field)
		return err
	default:
		_, err := appended(field.TypeReference, "v", "b", 0)
		return err
	}
}

// member finds the exported field or method of a struct that goes by a name or
// its getter's.
func member(of types.Type, name string) string {
	named, ok := types.Unalias(of).(*types.Named)
	if !ok {
		return ""
	}
	matches := func(candidate string) bool {
		return strings.EqualFold(candidate, name) || strings.EqualFold(candidate, "Get"+name)
	}
	for method := range named.Methods() {
		if method.Exported() && matches(method.Name()) {
			return method.Name()
		}
	}
	if structure, ok := named.Underlying().(*types.Struct); ok {
		for field := range structure.Fields() {
			if field.Exported() && matches(field.Name()) {
				return field.Name()
			}
		}
	}
	return ""
}

// held is whether the Go value itself gives a field, without asking anybody.
func held(field *codegen.Field) bool {
	return !field.Object.Root && !field.IsResolver && !field.MethodHasContext && (field.IsVariable() || field.NoErr) && len(field.Args) == 0
}

func composite(field *codegen.Field) bool {
	return field.TypeReference.Definition.IsCompositeType()
}

func isList(field *codegen.Field) bool { return field.Type.Elem != nil }

func elemNonNull(field *codegen.Field) bool { return isList(field) && field.Type.Elem.NonNull }

func isLeaf(field *codegen.Field) bool { return held(field) && !composite(field) }

func isPart(field *codegen.Field) bool { return held(field) && composite(field) }

func ref(t types.Type) string { return templates.CurrentImports.LookupType(t) }
