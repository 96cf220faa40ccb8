package conform

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
	"github.com/taskmed/taskmed/web"
)

// Grown is what one request takes of a large clinic beside a small one.
type Grown struct {
	// Name says what is asked for: a path with one argument, or an example.
	Name string
	// Small and Large are the medians of both clinics, asked in turns.
	Small, Large time.Duration
}

// Ratio is how many times as long the large clinic's takes.
func (g Grown) Ratio() float64 { return float64(g.Large) / float64(g.Small) }

// NewGrown furnishes a Suite with a small clinic, and others as they are told, the
// first of which is the large one that it is compared with. The planner is left alone.
func NewGrown(t testing.TB, small, others seed.Options) *Suite {
	t.Helper()
	s := &Suite{d: testkit.NewDatabase(t), watch: &watcher{}}
	own := s.seed(t, small)[0]
	s.open(t, own, s.seed(t, others)[0], small.Today, noon)
	s.d.Exec(t, "VACUUM ANALYZE")
	return s
}

// Growth asks for a page of what every path of every noun shows, with each filter and
// each order alone, for how many there are, and for what the playground's examples ask,
// of both clinics in turns, each so many times. The most grown come first.
func (s *Suite) Growth(t testing.TB, rounds int) []Grown {
	t.Helper()
	var all []Grown
	for _, object := range s.Nouns() {
		for _, p := range s.paths(object) {
			small, large := s.variants(t, p, s.own), s.variants(t, p, s.foreign)
			require.Len(t, large, len(small), p.name())
			below, belowLarge := s.parent(t, p, s.own), s.parent(t, p, s.foreign)
			for i := range small {
				for _, selection := range s.shapes(p) {
					all = append(all, s.compare(t, rounds, small[i].name+" "+selection,
						p.question(below, page(p, small[i]), selection), p.question(belowLarge, page(p, large[i]), selection)))
				}
			}
		}
	}
	all = append(all, s.examples(t, rounds)...)
	slices.SortStableFunc(all, func(a, b Grown) int { return cmp.Compare(b.Ratio(), a.Ratio()) })
	return all
}

// shapes are the selections of a path.
func (s *Suite) shapes(p path) []string {
	switch {
	case p.How != entity.Paged:
		return []string{"__typename"}
	case s.schema.Types[p.field.Type.Name()].Fields.ForName("totalCount") == nil:
		return []string{"nodes { __typename }"}
	}
	return []string{"nodes { __typename }", "totalCount"}
}

// page has a variant's arguments, for twenty where there are pages.
func page(p path, v variant) map[string]any {
	if p.How != entity.Paged {
		return v.args
	}
	return argument{name: "first"}.put(v.args, 20)
}

// compare asks both in turns, and neither always first.
func (s *Suite) compare(t testing.TB, rounds int, name string, small, large question) Grown {
	t.Helper()
	sides := []struct {
		clinic *testkit.Clinic
		q      question
		took   []time.Duration
	}{{s.own, small, nil}, {s.foreign, large, nil}}
	for round := range rounds + 2 {
		for side := range sides {
			at := &sides[(side+round)%2]
			client := s.as(t, at.clinic, models.RoleOwner)
			begun := time.Now()
			answer := client.Do(t, at.q.text, at.q.variables)
			took := time.Since(begun)
			require.Empty(t, answer.Errors, "%s: %s", name, at.q.text)
			if round >= 2 { // The first prepare statements.
				at.took = append(at.took, took)
			}
		}
	}
	return Grown{name, median(sides[0].took), median(sides[1].took)}
}

func median(of []time.Duration) time.Duration {
	slices.Sort(of)
	return of[len(of)/2]
}

// examples compares the playground's queries.
func (s *Suite) examples(t testing.TB, rounds int) (all []Grown) {
	t.Helper()
	values := map[*testkit.Clinic]map[string]string{}
	for _, clinic := range []*testkit.Clinic{s.own, s.foreign} {
		client := s.as(t, clinic, models.RoleOwner)
		run := func(_ context.Context, query string, variables map[string]any) (json.RawMessage, error) {
			answer := client.Do(t, query, variables) //nolint:contextcheck // clients ask in their test's own
			require.Empty(t, answer.Errors, query)
			return answer.Data, nil
		}
		var err error
		values[clinic], err = web.Values(t.Context(), run, noon())
		require.NoError(t, err)
	}
	for _, example := range web.Requests() {
		if !example.Reads() {
			continue
		}
		ask := func(clinic *testkit.Clinic) question {
			q := question{text: example.Query}
			variables, err := web.Resolve(example.Variables, values[clinic])
			require.NoError(t, err, example.Name)
			require.NoError(t, json.Unmarshal(variables, &q.variables), example.Name)
			return q
		}
		all = append(all, s.compare(t, rounds, "example "+example.Name, ask(s.own), ask(s.foreign)))
	}
	return all
}
