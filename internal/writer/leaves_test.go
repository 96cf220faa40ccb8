package writer_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/objects"
)

// ways gives, for every object type, an operation that leads to it and selects
// all its leaves; %s stands for them.
func ways(schema *ast.Schema) map[string]string {
	found := map[string]string{}
	type step struct {
		at *ast.Definition
		// open and closed are what stands before and after its selection set.
		open, closed string
	}
	queue := []step{{schema.Query, "query ", ""}, {schema.Mutation, "mutation ", ""}}
	for len(queue) > 0 {
		here := queue[0]
		queue = queue[1:]
		if found[here.at.Name] != "" {
			continue
		}
		found[here.at.Name] = here.open + "{ %s }" + here.closed
		for _, field := range here.at.Fields {
			result := schema.Types[field.Type.Name()]
			if result.Kind != ast.Object || strings.HasPrefix(field.Name, "__") {
				continue
			}
			queue = append(queue, step{result, here.open + "{ " + field.Name + required(schema, field) + " ", here.closed + " }"})
		}
	}
	return found
}

func required(schema *ast.Schema, field *ast.FieldDefinition) string {
	var given []string
	for _, argument := range field.Arguments {
		if argument.Type.NonNull {
			given = append(given, argument.Name+": "+literal(schema, argument.Type))
		}
	}
	if len(given) == 0 {
		return ""
	}
	return "(" + strings.Join(given, ", ") + ")"
}

func TestAppend_WritesEveryLeafAsGqlgenDoes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	ways := ways(s.schema.Schema())
	for name, object := range s.table.All() {
		if object.Value == nil {
			continue
		}
		var leaves []string
		for field, of := range object.Fields {
			if of.Leaf != nil {
				leaves = append(leaves, field)
			}
			require.Equal(t, of.Composite, of.Leaf == nil, "%s.%s is neither a leaf of the Go value nor an object", name, field)
		}
		if len(leaves) == 0 {
			continue
		}
		slices.Sort(leaves)
		require.NotEmpty(t, ways[name], "no operation leads to %s", name)
		document := fmt.Sprintf(ways[name], strings.Join(leaves, " "))
		wrote := 0
		for seed := range uint64(40) {
			wrote += s.prepare(t, document, nil, seed, true).requireSame(t, document).wrote
		}
		require.Positive(t, wrote, "none was written: %s", document)
	}
}

// A leaf's appender is compared above; that of a float, which no field has yet, here.
func TestAppendFloat_WritesWhatGqlgenWrites(t *testing.T) {
	t.Parallel()
	for _, number := range []float64{0, 1, -1, 0.1, 1e21, 1e-7, 123456789.125, 5e-324} {
		var b strings.Builder
		require.NoError(t, graphql.MarshalFloatContext(number).MarshalGQLContext(context.Background(), &b))
		out, ok := objects.AppendFloat(nil, number)
		require.True(t, ok)
		require.Equal(t, b.String(), string(out))
	}
}

func TestObjects_ReadsTheArgumentsOfEveryFieldAsGqlgenDoes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	read := 0
	for name, object := range s.table.All() {
		definition := s.schema.Schema().Types[name]
		for field, of := range object.Fields {
			arguments := definition.Fields.ForName(field).Arguments
			if len(arguments) == 0 {
				require.Nil(t, of.Arguments, "%s.%s", name, field)
				continue
			}
			raw := map[string]any{}
			for _, argument := range arguments {
				value, err := constant(s.schema.Schema(), argument.Type).Value(nil)
				require.NoError(t, err)
				raw[argument.Name] = value
			}
			got, err := of.Arguments(context.Background(), raw)
			require.NoError(t, err, "%s.%s", name, field)
			require.Len(t, got, len(arguments), "%s.%s", name, field)
			read++
		}
	}
	require.Positive(t, read)
}

// constant is a literal as the parser reads it.
func constant(schema *ast.Schema, of *ast.Type) *ast.Value {
	if of.Elem != nil {
		return &ast.Value{Kind: ast.ListValue, Children: ast.ChildValueList{{Value: constant(schema, of.Elem)}}}
	}
	definition := schema.Types[of.NamedType]
	value := &ast.Value{Kind: ast.StringValue, Raw: strings.Trim(literal(schema, of), `"`)}
	switch {
	case definition.Kind == ast.InputObject:
		value.Kind = ast.ObjectValue
		for _, field := range definition.Fields {
			if field.Type.NonNull {
				value.Children = append(value.Children, &ast.ChildValue{Name: field.Name, Value: constant(schema, field.Type)})
			}
		}
	case definition.Kind == ast.Enum:
		value.Kind = ast.EnumValue
	case of.NamedType == "Int":
		value.Kind = ast.IntValue
	case of.NamedType == "Boolean":
		value.Kind = ast.BooleanValue
	}
	return value
}
