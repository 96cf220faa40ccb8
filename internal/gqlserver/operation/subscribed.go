package operation

import (
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/models"
)

// EventVariable is the variable that names what an event is about, by its global id. No
// document can have one of that name.
const EventVariable = "an event"

// Subscribed is a subscription, as the query that answers one of its events: its field is
// Query.node, with the field's own response name and what is selected below it.
type Subscribed struct {
	// Field is that of Subscription, and Key its response name.
	Field, Key string
	// Query is to be run with EventVariable among its variables.
	Query *ast.OperationDefinition

	asked *ast.Field
}

// Arguments are those of the field, as they were sent.
func (s *Subscribed) Arguments(variables map[string]any) map[string]any {
	return s.asked.ArgumentMap(variables)
}

// Subscribed gives an operation's Subscribed; the fault of one that has none. The
// operation must be a subscription that was validated.
func (c *Checker) Subscribed(op *Operation) (*Subscribed, *gqlerror.Error) {
	if known := op.subscribed.Load(); known != nil {
		return known, nil
	}
	var asked []*ast.Field
	if fault := op.roots(op.Definition.SelectionSet, &asked); fault != nil {
		return nil, fault
	}
	if len(asked) == 0 {
		return nil, Fault(ValidationFailed, op.Definition.Position, "the subscription selects nothing")
	}
	first, query := asked[0], c.schema.Query
	node := *first
	node.Name, node.Definition, node.ObjectDefinition, node.Directives = "node", query.Fields.ForName("node"), query, nil
	node.Arguments = ast.ArgumentList{{Name: "id", Value: &ast.Value{Kind: ast.Variable, Raw: EventVariable}, Position: first.Position}}
	node.SelectionSet = nil
	object := c.schema.Types[first.Definition.Type.Name()]
	for _, field := range asked { // merged, as the same field asked for twice is
		if field.Alias != first.Alias || field.Name != first.Name {
			return nil, Fault(ValidationFailed, field.Position, "a subscription has one field of its own")
		}
		node.SelectionSet = append(node.SelectionSet, &ast.InlineFragment{
			TypeCondition: object.Name, SelectionSet: field.SelectionSet, ObjectDefinition: c.schema.Types[node.Definition.Type.Name()], Position: field.Position,
		})
	}
	definition := *op.Definition
	definition.Operation = ast.Query
	definition.SelectionSet = ast.SelectionSet{&node}
	found := &Subscribed{Field: first.Name, Key: first.Alias, Query: &definition, asked: first}
	op.subscribed.Store(found)
	return found, nil
}

// roots gathers the root's fields, through fragments. Whether there is one must not hang
// on a variable (section 5.2.4.1 of the specification).
func (o *Operation) roots(set ast.SelectionSet, into *[]*ast.Field) *gqlerror.Error {
	for _, selection := range set {
		var directives ast.DirectiveList
		var below ast.SelectionSet
		switch selected := selection.(type) {
		case *ast.Field:
			directives = selected.Directives
			*into = append(*into, selected)
		case *ast.InlineFragment:
			directives, below = selected.Directives, selected.SelectionSet
		case *ast.FragmentSpread:
			directives, below = selected.Directives, o.document.fragments[selected.Name].SelectionSet
		}
		if at := slices.IndexFunc(directives, func(d *ast.Directive) bool { return d.Name == "skip" || d.Name == "include" }); at >= 0 {
			return Fault(models.BadUserInput, directives[at].Position, "a subscription's own field is always asked for: leave @%s out", directives[at].Name)
		}
		if fault := o.roots(below, into); fault != nil {
			return fault
		}
	}
	return nil
}
