package writer_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/writer"
	"github.com/taskmed/taskmed/models"
)

// The writer's bytes pass through the library as a Marshaler that a field
// middleware returns in the value's place. If this fails after an upgrade, the
// library wants its values back: see resolveField in graphql/resolve_field.go.
func TestGqlgen_WritesAMarshalerOfAFieldMiddlewareAsItIs(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.prepare(t, `{ clinic { id } nodes(ids: ["x"]) { id } node(id: "x") { id } contacts { totalCount } }`, nil, 1, true)
	response := p.run(func(ctx context.Context, _ graphql.Resolver) (any, error) {
		require.True(t, graphql.GetFieldContext(ctx).IsResolver, "what is below is not asked for")
		return text(`{ "as":"it is" }`), nil
	})
	require.Empty(t, response.Errors)
	require.Equal(t, //nolint:testifylint // to the byte
		`{"clinic":{ "as":"it is" },"nodes":{ "as":"it is" },"node":{ "as":"it is" },"contacts":{ "as":"it is" }}`, string(response.Data))
}

func compare(t testing.TB, s *stage, seed uint64) tally {
	t.Helper()
	dice := rand.New(rand.NewPCG(seed, 0))
	ask := &asker{dice: dice, schema: s.schema.Schema()}
	document, variables := ask.operation(kind(dice), 2+dice.IntN(5))
	return s.prepare(t, document, variables, seed, false).requireSame(t, document)
}

func FuzzAppend_WritesWhatGqlgenWrites(f *testing.F) {
	s := newStage(f)
	for seed := range uint64(20) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { compare(t, s, seed) })
}

func TestAppend_WritesWhatGqlgenWritesAndSeldomLeavesItToIt(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var all tally
	for seed := range uint64(400) {
		roots := compare(t, s, 1000+seed)
		all.asked += roots.asked
		all.wrote += roots.wrote
	}
	t.Logf("%d of %d root fields", all.wrote, all.asked)
	require.Greater(t, all.wrote, all.asked*8/10)
	require.Less(t, all.wrote, all.asked, "errors and nulls are the library's")
}

func TestAppend_LeavesValuesThatTheFieldCannotHaveToGqlgen(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	plan := s.prepare(t, `{ clinic { id } node(id: "x") { id } nodes(ids: ["x"]) { id } __typename }`, nil, 1, true).plan
	clinic, node, nodes, typename := plan.Fields[0], plan.Fields[1], plan.Fields[2], plan.Fields[3]
	for name, refused := range map[string]struct {
		field *selection.Field
		value any
	}{
		"another type's entity":           {clinic, &models.Contact{}},
		"a struct that is no pointer":     {clinic, models.Clinic{}},
		"nil where null may not be":       {clinic, nil},
		"a nil pointer where it may not":  {clinic, (*models.Clinic)(nil)},
		"no type of the interface":        {node, &models.WorkingHour{}},
		"no type of the schema":           {node, t},
		"a list of another Go type":       {nodes, []*models.Contact{{}}},
		"an entity in the place of lists": {nodes, &models.Contact{}},
		"a field that is no object":       {typename, &models.Clinic{}},
	} {
		before := []byte("before")
		out, ok := writer.Append(before, s.table, refused.field, refused.value, func([]writer.Written) {
			t.Errorf("%s is noted", name)
		})
		require.False(t, ok, name)
		require.Equal(t, "before", string(out), name)
	}
}
