package entity_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/people"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/graph"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

func scopeOf(t *testing.T, clinic *testkit.Clinic, role models.Role) *tenant.Scope {
	t.Helper()
	scope, err := tenant.From(clinic.As(t.Context(), role))
	require.NoError(t, err)
	return scope
}

// statements are those that a database's connections send, with their values.
type statements struct {
	mu   sync.Mutex
	sent []pgx.TraceQueryStartData
}

// TraceQueryStart implements pgx.QueryTracer.
func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, data)
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// A statement that was built for one question serves the next ones: with their values
// and their clinic, however many ask at once.
func TestStatements_MixNeitherValuesNorClinics(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	clinics := []*testkit.Clinic{b.NewClinic(t, "here"), b.NewClinic(t, "there")}
	for _, clinic := range clinics {
		for n, contact := range clinic.Contacts {
			b.Exec(t, "UPDATE contacts SET external_reference = $2, tags = ARRAY[$2] WHERE id = $1", contact, fmt.Sprint("ref-", n))
			for hour := range 3 {
				b.Appointment(t, clinic, n, hour%2, time.Date(2026, 11, 23+n, 9+hour, 0, 0, 0, time.UTC), 30*time.Minute)
			}
		}
	}
	contact := func(clinic *testkit.Clinic, n int) []uuid.UUID { return []uuid.UUID{clinic.Contacts[n]} }
	shapes := []func(clinic *testkit.Clinic, n int) (document string, wanted []uuid.UUID){
		func(clinic *testkit.Clinic, n int) (string, []uuid.UUID) {
			return "{ list: contacts" + graph.Args(map[string]any{"filter": map[string]any{"externalReference": fmt.Sprint("ref-", n)}}) + " { nodes { id } } }", contact(clinic, n)
		},
		func(clinic *testkit.Clinic, n int) (string, []uuid.UUID) {
			return "{ list: contacts" + graph.Args(map[string]any{"filter": map[string]any{"tag": fmt.Sprint("ref-", n), "status": graph.Enum("[ACTIVE LEAD]")}}) + " { nodes { id } totalCount } }", contact(clinic, n)
		},
		func(clinic *testkit.Clinic, n int) (string, []uuid.UUID) {
			day := time.Date(2026, 11, 23+n, 0, 0, 0, 0, time.UTC)
			return "{ list: appointments" + graph.Args(map[string]any{"filter": map[string]any{"range": map[string]any{"from": day, "to": day.AddDate(0, 0, 1)}}}) + " { nodes { contact { id } } } }",
				[]uuid.UUID{clinic.Contacts[n], clinic.Contacts[n], clinic.Contacts[n]}
		},
		func(clinic *testkit.Clinic, n int) (string, []uuid.UUID) {
			return "{ one: contact" + graph.Args(map[string]any{"id": models.KindContact.Global(clinic.Contacts[n])}) + " { id list: appointments(first: 2) { nodes { contact { id } } } } }",
				[]uuid.UUID{clinic.Contacts[n], clinic.Contacts[n], clinic.Contacts[n]}
		},
	}
	type node struct {
		ID      string
		Contact *struct{ ID string }
	}
	var all sync.WaitGroup
	for worker := range 8 {
		clinic := clinics[worker%2]
		all.Go(func() {
			ctx := clinic.As(t.Context(), models.RoleOwner)
			for round := range 30 {
				document, wanted := shapes[round%len(shapes)](clinic, (round/len(shapes)+worker)%3)
				var got struct {
					List struct{ Nodes []node }
					One  *struct {
						node
						List struct{ Nodes []node }
					}
				}
				if err := b.graph.Try(t, ctx, document, nil, &got); err != nil {
					t.Errorf("%s: %v", document, err)
					return
				}
				nodes := got.List.Nodes
				if got.One != nil {
					nodes = append(got.One.List.Nodes, got.One.node)
				}
				var ids []uuid.UUID
				for _, n := range nodes {
					if n.Contact != nil {
						n.ID = n.Contact.ID
					}
					ids = append(ids, graph.IDOf(n.ID))
				}
				if fmt.Sprint(ids) != fmt.Sprint(wanted) {
					t.Errorf("%s for %s: %v instead of %v", document, clinic.Slug, ids, wanted)
				}
			}
		})
	}
	all.Wait()
	require.Positive(t, b.graph.Entities.Kept())
	require.LessOrEqual(t, b.graph.Entities.Kept(), 2*len(shapes)+2, "values make no shapes")
}

// A list of several statuses is read once per status, by an index that gives the order,
// and never by a status that is one of many.
func TestStatements_ReadAListOncePerStatus(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	watch := &statements{}
	db, err := database.Open(t.Context(), database.Config{URL: b.AppURL, MaxConns: 1, Tracer: watch})
	require.NoError(t, err)
	defer db.Close()
	g := graph.New(t, db, b.Cursors, time.Now)
	clinic := b.NewClinic(t, "here")
	for filter, per := range map[string]bool{
		"status: [ACTIVE LEAD]": true, "status: [LEAD ACTIVE LEAD ARCHIVED]": true, "status: [ACTIVE]": false, "status: [ACTIVE ACTIVE]": false, `tag: "x"`: false,
	} {
		watch.sent = nil
		g.Must(t, clinic.As(t.Context(), models.RoleOwner), "{ contacts(filter: { "+filter+" }) { nodes { name } } }", nil, nil)
		require.Len(t, watch.sent, 1)
		sent := watch.sent[0]
		require.NotContains(t, sent.SQL, "status = ANY", filter)
		require.Equal(t, per, strings.Contains(sent.SQL, "unnest($"), filter)
		require.Contains(t, sent.Args, any(clinic.ID), "the clinic is in the statement, too")
		require.NotContains(t, sent.SQL, "ativo", "values are never written into it")
	}
	watch.sent = nil
	g.Must(t, clinic.As(t.Context(), models.RoleOwner), "{ contacts(filter: { status: [] }) { nodes { name } totalCount } }", nil, nil)
	require.Empty(t, watch.sent, "what can be nothing is not asked for")
}

// However clients write their questions, so many statements are kept and no more.
func TestStatements_AreBounded(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	ctx := b.NewClinic(t, "here").As(t.Context(), models.RoleOwner)
	most := 0
	for n := range entity.MostShapes + 100 {
		require.NoError(t, b.graph.Entities.Compose(ctx, people.Contact(), "name", n+1))
		most = max(most, b.graph.Entities.Kept())
	}
	require.Equal(t, entity.MostShapes, most)
	require.Equal(t, 100, b.graph.Entities.Kept(), "it began anew")
}

// What is not there may come to be, so an answer without it depends on it.
func TestByID_DependsOnWhatIsNotThere(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	clinic, unknown := b.NewClinic(t, "here"), uuid.New()
	ctx, collector := touched.Collect(clinic.As(t.Context(), models.RoleOwner))
	b.graph.Must(t, ctx, "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }",
		map[string]any{"ids": graph.Globals(models.KindContact, []uuid.UUID{clinic.Contacts[0], unknown, clinic.Contacts[0]})}, nil)
	tags, reason := collector.Tags()
	require.Empty(t, reason)
	require.ElementsMatch(t, []touched.Tag{
		touched.Entity(models.KindContact, clinic.Contacts[0]), touched.Entity(models.KindContact, unknown),
	}, tags)
}
