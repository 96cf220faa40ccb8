package selection

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/objects"
	"github.com/taskmed/taskmed/models"
)

// longestPlan bounds the places of a plan: fragments that are spread at many
// places unfold at each of them.
const longestPlan = 20_000

// Planner makes plans for operations of one schema.
type Planner struct {
	schema *ast.Schema
	table  *objects.Table
}

// NewPlanner makes a Planner.
func NewPlanner(schema *ast.Schema, table *objects.Table) *Planner {
	return &Planner{schema: schema, table: table}
}

// Plan unfolds an operation. Its fields stand in the order in which gqlgen
// answers them, since gqlgen itself collects them. An operation with too many
// places is an error.
func (p *Planner) Plan(operation *graphql.OperationContext) (*Plan, error) {
	root := rootOf(p.schema, operation.Operation.Operation)
	b := &builder{planner: p, operation: operation, plan: &Plan{Object: root.Name}}
	fields, err := b.set(nil, operation.Operation.SelectionSet, root.Name)
	if err != nil {
		return nil, err
	}
	b.plan.Fields = fields
	return b.plan, nil
}

func rootOf(schema *ast.Schema, kind ast.Operation) *ast.Definition {
	switch kind {
	case ast.Mutation:
		return schema.Mutation
	case ast.Subscription:
		return schema.Subscription
	case ast.Query:
	}
	return schema.Query
}

type builder struct {
	planner   *Planner
	operation *graphql.OperationContext
	plan      *Plan
}

func (b *builder) set(above *Field, selected ast.SelectionSet, object string) ([]*Field, error) {
	table := b.planner.table.Named(object)
	satisfies := []string{object}
	if table != nil {
		satisfies = table.Satisfies
	}
	collected := graphql.CollectFields(b.operation, selected, satisfies)
	fields := make([]*Field, 0, len(collected))
	for _, c := range collected {
		// Fields of two interfaces are collected apart, but gqlgen answers the first.
		if slices.ContainsFunc(fields, func(f *Field) bool { return f.Key == c.Alias }) {
			continue
		}
		if b.plan.Places++; b.plan.Places > longestPlan {
			return nil, &models.Error{
				Code:    models.CostLimit,
				Message: fmt.Sprintf("the operation's fragments unfold to more than %d fields: spread them less often", longestPlan),
			}
		}
		field := &Field{
			Name: c.Name, Key: c.Alias, Quoted: []byte(`"` + c.Alias + `":`), Above: above, Index: b.plan.Places - 1,
		}
		if len(c.Arguments) > 0 || (c.Definition != nil && len(c.Definition.Arguments) > 0) {
			field.raw = c.ArgumentMap
		}
		if table != nil {
			field.Of = table.Fields[c.Name]
		}
		if err := b.below(field, c); err != nil {
			return nil, err
		}
		fields = append(fields, field)
	}
	return fields, nil
}

// below unfolds what is selected of a field, for every type that it may give.
// Introspection answers from the schema, not from here.
func (b *builder) below(field *Field, c graphql.CollectedField) error {
	if len(c.Selections) == 0 || field.Of == nil {
		return nil
	}
	field.sets = map[string][]*Field{}
	for _, object := range b.planner.possible(field.Of.Result) {
		set, err := b.set(field, c.Selections, object)
		if err != nil {
			return err
		}
		field.sets[object] = set
	}
	return nil
}

// possible are the object types that a type's value may be of.
func (p *Planner) possible(name string) []string {
	definition := p.schema.Types[name]
	if definition == nil || definition.Kind == ast.Object {
		return []string{name}
	}
	names := map[string]bool{}
	for _, object := range p.schema.GetPossibleTypes(definition) {
		names[object.Name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// Conditions are the variables that decide, by @skip and @include, which plan an
// operation has, in alphabetical order.
func Conditions(document *ast.QueryDocument) []string {
	found := map[string]bool{}
	var walk func(set ast.SelectionSet)
	note := func(directives ast.DirectiveList) {
		for _, directive := range directives {
			if directive.Name != "skip" && directive.Name != "include" {
				continue
			}
			if argument := directive.Arguments.ForName("if"); argument != nil && argument.Value.Kind == ast.Variable {
				found[argument.Value.Raw] = true
			}
		}
	}
	walk = func(set ast.SelectionSet) {
		for _, selection := range set {
			switch s := selection.(type) {
			case *ast.Field:
				note(s.Directives)
				walk(s.SelectionSet)
			case *ast.InlineFragment:
				note(s.Directives)
				walk(s.SelectionSet)
			case *ast.FragmentSpread:
				note(s.Directives)
			}
		}
	}
	for _, operation := range document.Operations {
		walk(operation.SelectionSet)
	}
	for _, fragment := range document.Fragments {
		walk(fragment.SelectionSet)
	}
	return slices.Sorted(maps.Keys(found))
}

// Mask tells plans of one operation apart by the values of its conditions.
func Mask(conditions []string, variables map[string]any) string {
	if len(conditions) == 0 {
		return ""
	}
	var mask strings.Builder
	for _, name := range conditions {
		if on, _ := variables[name].(bool); on {
			mask.WriteByte('1')
		} else {
			mask.WriteByte('0')
		}
	}
	return mask.String()
}
