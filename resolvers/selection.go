package resolvers

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/selection"
)

// selected is what the client asked for below the field that is being resolved.
func selected(ctx context.Context) selection.Set {
	field := graphql.GetFieldContext(ctx).Field
	return selectedAs(ctx, field.Definition.Type.Name())
}

// selectedAs is what was asked for below the field, if it gives an object of
// the named type.
func selectedAs(ctx context.Context, typeName string) selection.Set {
	return unfold(graphql.GetOperationContext(ctx), graphql.GetFieldContext(ctx).Field.Selections, typeName)
}

// below is what was asked for under one field of the result, of a mutation's
// payload for instance.
func below(ctx context.Context, name string) selection.Set {
	var sets []selection.Set
	for field := range selected(ctx).Named(name) {
		sets = append(sets, field.Set)
	}
	return selection.Merge(sets...)
}

// unfold turns a selection set on one object type into a tree without
// fragments, @skip and @include.
func unfold(operation *graphql.OperationContext, set ast.SelectionSet, typeName string) selection.Set {
	collected := graphql.CollectFields(operation, set, []string{typeName, "Node"})
	fields := make([]selection.Field, 0, len(collected))
	for _, field := range collected {
		unfolded := selection.Field{Name: field.Name, Key: field.Alias}
		if len(field.Arguments) > 0 {
			unfolded.Args = field.ArgumentMap(operation.Variables)
		}
		if len(field.Selections) > 0 {
			unfolded.Set = unfold(operation, field.Selections, field.Definition.Type.Name())
		}
		fields = append(fields, unfolded)
	}
	return selection.Of(fields...)
}

// key is the response key of the field that is being resolved.
func key(ctx context.Context) string { return graphql.GetFieldContext(ctx).Field.Alias }
