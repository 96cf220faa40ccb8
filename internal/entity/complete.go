package entity

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/selection"
)

// objectWanted is what is selected of a noun's entities where they may be of
// several types.
func objectWanted(ask *Ask, of *noun) selection.Wanted {
	return selection.Object(ask.Place.On(of.object))
}

// complete looks whether the schema says anything that nobody declares: what is
// forgotten is named here, at start, and not by a client's question.
func (r *Registry) complete(schema *ast.Schema) (faults []error) {
	for _, name := range slices.Sorted(maps.Keys(schema.Types)) {
		object := schema.Types[name]
		if object.Kind != ast.Object || strings.HasPrefix(name, "__") {
			continue
		}
		if slices.Contains(object.Interfaces, "Node") {
			faults = append(faults, r.completeNode(object)...)
		} else if object.Directives.ForName("phi") != nil {
			faults = append(faults, fmt.Errorf("entity: %s is @phi and no Node: the audit trail names Nodes, so say @phi of the one that it is part of", name))
		}
		if name != schema.Query.Name && (schema.Mutation == nil || name != schema.Mutation.Name) &&
			(schema.Subscription == nil || name != schema.Subscription.Name) {
			faults = append(faults, r.completeFields(object)...)
		}
	}
	return faults
}

func (r *Registry) completeNode(object *ast.Definition) (faults []error) {
	if n := r.byObject[object.Name]; n == nil || n.kind == "" || n.noTable {
		faults = append(faults, fmt.Errorf("entity: %s is a Node, and no entity with a kind is declared for it", object.Name))
	}
	if object.Directives.ForName("allow") == nil {
		faults = append(faults, fmt.Errorf("entity: %s is a Node without @allow: say which roles may read it, all of them if so", object.Name))
	}
	protected, open := object.Directives.ForName("phi") != nil, object.Directives.ForName("open") != nil
	if protected == open {
		faults = append(faults, fmt.Errorf("entity: %s is a Node and needs either @phi, if it tells of a patient, or @open", object.Name))
	}
	return faults
}

// completeFields looks at where each field of an object type comes from.
func (r *Registry) completeFields(object *ast.Definition) (faults []error) {
	known, n := r.table.Named(object.Name), r.byObject[object.Name]
	if known == nil {
		return []error{fmt.Errorf("entity: the object type %s is not among the generated tables: run make generate", object.Name)}
	}
	for _, definition := range object.Fields {
		if strings.HasPrefix(definition.Name, "__") {
			continue
		}
		field := known.Fields[definition.Name]
		switch {
		case field == nil:
			faults = append(faults, fmt.Errorf("entity: %s.%s is not among the generated tables: run make generate", object.Name, definition.Name))
		case field.Relation():
			if r.relations[object.Name+"."+definition.Name] == nil {
				faults = append(faults, fmt.Errorf("entity: %s.%s has neither a column nor a declared relation", object.Name, definition.Name))
			} else if n == nil || !n.holds {
				faults = append(faults, fmt.Errorf("entity: %s has relations, and its Go type does not embed models.Prefetched", object.Name))
			}
		case n != nil && !n.noTable && definition.Name != "id" && len(n.columnsOf(definition.Name)) == 0:
			faults = append(faults, fmt.Errorf("entity: %s.%s is made of no column: name its columns in the declaration", object.Name, definition.Name))
		}
	}
	return faults
}
