package app_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/internal/testkit/compose"
	"github.com/taskmed/taskmed/models"
)

// composedSeed begins the random queries; with another one they are others.
const composedSeed = 8

// TestComposed_AnswersAreThoseOfPlainQueries asks random queries and dry runs
// over the live schema and holds each answer against plain queries with one leaf
// each (promise Q1). TASKMED_COMPOSED says how many; TASKMED_COMPOSED_SEED which.
func TestComposed_AnswersAreThoseOfPlainQueries(t *testing.T) {
	t.Parallel()
	world := newSeeded(t, unbounded, api.WithoutCache())
	all := rounds(t, "TASKMED_COMPOSED", 500)
	seed := uint64(rounds(t, "TASKMED_COMPOSED_SEED", composedSeed))
	for _, share := range []struct {
		role    models.Role
		percent int
	}{
		{models.RoleOwner, 60},
		{models.RoleReceptionist, 10},
		{models.RolePractitioner, 10},
		{models.RoleFinance, 10},
		{models.RolePartner, 10},
	} {
		t.Run(string(share.role), func(t *testing.T) {
			t.Parallel()
			client := world.as(t, world.aurora, strings.ToLower(string(share.role)))
			g := generatorFor(t, world.database, world.aurora, share.role, client, seed)
			checker := &compose.Checker{Schema: g.Schema, Role: g.Role, Composed: asking(t, client), Plain: asking(t, client), Keep: true}
			composed := max(1, all*share.percent/100)
			judge(t, composed, seed, g.Schema, func(n int) compose.Question {
				if n%4 == 3 && share.role != models.RoleFinance {
					return g.DryRun()
				}
				return g.Query()
			}, checker.Check)
			t.Logf("%d composed answers, %d of them with errors, against %d leaves of %d plain queries",
				composed, checker.Failing, checker.Leaves, checker.Asked)
			require.LessOrEqual(t, checker.TooLong, max(1, composed/50), "answers that would be too long show nothing")
		})
	}
}

// TestComposed_PayloadsAreWhatWasWritten runs random mutations for real and holds
// what their payloads select against plain queries made afterwards.
func TestComposed_PayloadsAreWhatWasWritten(t *testing.T) {
	t.Parallel()
	world := newSeeded(t, unbounded, api.WithoutCache())
	client := world.as(t, world.aurora, "owner")
	seed := uint64(rounds(t, "TASKMED_COMPOSED_SEED", composedSeed))
	g := generatorFor(t, world.database, world.aurora, models.RoleOwner, client, seed)
	g.Faultless = true
	checker := &compose.Checker{Schema: g.Schema, Role: g.Role, Composed: asking(t, client), Plain: asking(t, client)}
	mutations := rounds(t, "TASKMED_COMPOSED", 500) / 5
	judge(t, mutations, seed, nil, func(n int) compose.Question {
		if n%25 == 24 { // what was changed is in another state
			conn := world.database.Connect(t, world.database.SuperuserURL)
			g.Pool.IDs = poolIDs(t, conn, nounsOf(t, world.database), world.aurora, noon())
		}
		return g.Written()
	}, checker.CheckWritten)
	t.Logf("%d mutations against %d leaves of %d plain queries; %d payloads held nothing, for the user's mistakes",
		mutations, checker.Leaves, checker.Asked, checker.Refused)
	require.Positive(t, checker.Leaves)
}

// judge asks questions until there are enough, or several were answered wrong,
// and tells of those in their smallest form; without a schema as they are, since
// what was written cannot be written again.
func judge(t *testing.T, questions int, seed uint64, schema *ast.Schema, next func(n int) compose.Question, check func(compose.Question) error) {
	t.Helper()
	most := rounds(t, "TASKMED_COMPOSED_FAILURES", 5)
	for n, wrong := 0, 0; n < questions && wrong < most; n++ {
		q := next(n)
		err := check(q)
		if err == nil {
			continue
		}
		wrong++
		if schema != nil {
			smaller, still := compose.Shrink(schema, q, check)
			if still != nil { // it may go wrong once only
				q, err = smaller, still
			}
		}
		t.Errorf("seed %d, question %d: %v\n%s", seed, n, err, q)
	}
}

// garbling spoils one nested value under an alias in each answer.
type garbling struct{}

func (garbling) ExtensionName() string                   { return "Garbling" }
func (garbling) Validate(graphql.ExecutableSchema) error { return nil }

func (garbling) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	response := next(ctx)
	if response != nil {
		response.Data = json.RawMessage(strings.Replace(string(response.Data), `{"planted":"`, `{"planted":"x`, 1))
	}
	return response
}

// TestComposed_APlantedFaultIsFound spoils an aliased name two levels deep: the
// judge can see, and what it shows is small.
func TestComposed_APlantedFaultIsFound(t *testing.T) {
	t.Parallel()
	planted := func(_ *config.Config, options *app.Options) {
		options.Extensions = append(options.Extensions, garbling{})
	}
	world := newSeeded(t, unbounded, api.WithoutCache(), planted)
	client := world.as(t, world.aurora, "owner")
	g := generatorFor(t, world.database, world.aurora, models.RoleOwner, client, 1)
	checker := &compose.Checker{Schema: g.Schema, Role: g.Role, Composed: asking(t, client), Plain: asking(t, client), Keep: true}
	q := compose.Question{
		Text: `query($first: Int!, $yes: Boolean!) {
		clinic { name ...C } contacts(first: $first) { ...List edges { cursor } }
	} fragment C on Clinic { slug } fragment List on ContactConnection { totalCount nodes { planted: name ... @include(if: $yes) { id status } } }`,
		Variables: map[string]any{"first": 3, "yes": true},
	}
	require.ErrorContains(t, checker.Check(q), "contacts.nodes.0.planted")
	small, err := compose.Shrink(g.Schema, q, checker.Check)
	require.ErrorContains(t, err, "contacts.nodes.0.planted")
	require.Less(t, len(strings.Fields(small.Text)), 20, small.Text)

	plain := strings.ReplaceAll(q.Text, "planted:", "other:")
	require.NoError(t, checker.Check(compose.Question{Text: plain, Variables: q.Variables}), "nothing else is found")
}
