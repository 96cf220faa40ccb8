// Package conform looks whether a noun of the clinic's keeps what every noun
// promises: isolation, rights, protection, complete tags, leaves as Postgres has
// them, pages, and an index for every filter. It is made from the noun's
// declaration and the schema, and asks through GraphQL over HTTP, on a furnished
// clinic beside a foreign one.
package conform

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/graph/generated"
	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/nouns"
	"github.com/taskmed/taskmed/internal/objects"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// Suite is a furnished clinic beside a foreign one, and a server that keeps no
// answers, so that each is what Postgres says.
type Suite struct {
	d        *testkit.Database
	server   *api.Server
	schema   *ast.Schema
	table    *objects.Table
	registry *entity.Registry
	own      *testkit.Clinic
	foreign  *testkit.Clinic
	watch    *watcher
	// psql is a writer past the API, who hears what writes announce.
	psql *pgx.Conn
	// known are the writes to each noun, for Write.
	known [][]write
	// Planted are faults that a test plants, to see that they are found.
	Planted Planted
}

// Planted changes what the suite is told by the server.
type Planted struct {
	Answer    func(variables map[string]any, answer *api.Response)
	Protected func(ids []string) []string
}

// Today is the day that the furnished clinics' data lie around, a Monday.
func Today() time.Time { return time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC) }

// noon is the server's clock: 12:00 in São Paulo.
func noon() time.Time { return Today().Add(15 * time.Hour) }

var seeding sync.Mutex //nolint:gochecknoglobals // two seedings at once would only wait for each other's tables

// New furnishes a Suite whose clock stands at noon of Today.
func New(t testing.TB) *Suite {
	t.Helper()
	return NewAt(t, Today(), noon)
}

// NewAt furnishes a Suite around a day, with a clock.
func NewAt(t testing.TB, today time.Time, clock func() time.Time) *Suite {
	t.Helper()
	s := &Suite{d: testkit.NewDatabase(t), watch: &watcher{}}
	// In tables as small as these the planner would read all of them, or all of the
	// clinic's, whatever indexes there are.
	s.set(t, "enable_seqscan = off")
	s.set(t, "enable_bitmapscan = off")
	seeding.Lock()
	made := s.seed(t, seed.Options{Clinics: 2, Contacts: 300, Practitioners: 3, Appointments: 400, Records: 400, Seed: 7, Today: today})
	seeding.Unlock()
	s.open(t, made[0], made[1], today, clock)
	return s
}

// seed makes clinics.
func (s *Suite) seed(t testing.TB, options seed.Options) (made []*testkit.Clinic) {
	t.Helper()
	result, err := seed.Run(t.Context(), s.d.OwnerURL, options, nil)
	require.NoError(t, err)
	for _, clinic := range result.Clinics {
		made = append(made, &testkit.Clinic{ID: clinic.ID, Slug: clinic.Slug})
	}
	return made
}

// open furnishes what no seed makes, and starts the server.
func (s *Suite) open(t testing.TB, own, foreign *testkit.Clinic, today time.Time, clock func() time.Time) {
	t.Helper()
	s.own, s.foreign = own, foreign
	for _, clinic := range []*testkit.Clinic{s.own, s.foreign} {
		for _, role := range models.AllRole {
			s.d.Exec(t, "INSERT INTO memberships (clinic_id, id, subject, name, role) VALUES ($1, $2, $3, 'x', $4)",
				clinic.ID, models.NewID(), testkit.Subject(clinic.Slug, role), role)
		}
		s.d.Exec(t, "INSERT INTO memberships (clinic_id, id, subject, name, role, permissions) VALUES ($1, $2, $3, 'x', 'owner', '{developer}')",
			clinic.ID, models.NewID(), developer(clinic))
		s.d.Holds(t, clinic.ID, today)
	}
	s.server = api.NewServer(t, s.d, api.WithoutCache(), func(_ *config.Config, options *app.Options) {
		options.Now = clock
		options.Extensions = append(options.Extensions, s.watch)
	})
	s.schema = generated.NewExecutableSchema(generated.Config{}).Schema()
	table, err := rights.New(s.schema)
	require.NoError(t, err)
	s.table, err = generated.Objects()
	require.NoError(t, err)
	s.registry, err = entity.New(entity.Config{
		DB: s.d.DB, Cursors: s.d.Cursors, Schema: s.schema, Objects: s.table, Rights: table, Roots: generated.RootRelations(),
	}, nouns.All()...)
	require.NoError(t, err)
	s.psql = s.d.Connect(t, s.d.SuperuserURL)
	s.exec(t, "SELECT set_config('app.clinic', $1, false)", s.own.ID.String())
	s.exec(t, "LISTEN "+database.NotifyChannel)
}

// set has the application's connections begin with a setting from now on.
func (s *Suite) set(t testing.TB, setting string) {
	t.Helper()
	s.d.Exec(t, "DO $$ BEGIN EXECUTE format('ALTER ROLE taskmed_app IN DATABASE %I SET "+setting+"', current_database()); END $$")
}

// Nouns are the object types that are read from tables, in alphabetical order.
func (s *Suite) Nouns() []string {
	var names []string
	for _, described := range s.registry.Nouns() {
		names = append(names, described.Object)
	}
	slices.Sort(names)
	return names
}

// Aspect is one thing that every noun keeps. It names what is wrong.
type Aspect struct {
	Name   string
	Faults func(s *Suite, t testing.TB, object string) []string
}

// Aspects are all of them. Tags comes last, for it writes.
func Aspects() []Aspect {
	return []Aspect{
		{"columns", (*Suite).Columns},
		{"isolation", (*Suite).Isolation},
		{"rights", (*Suite).Rights},
		{"protection", (*Suite).Protection},
		{"leaves", (*Suite).Leaves},
		{"pages", (*Suite).Pages},
		{"plans", (*Suite).Plans},
		{"tags", (*Suite).Tags},
	}
}

// Conform checks a noun in every aspect.
func (s *Suite) Conform(t *testing.T, object string) {
	t.Helper()
	for _, aspect := range Aspects() {
		t.Run(aspect.Name, func(t *testing.T) {
			for _, fault := range aspect.Faults(s, t, object) {
				t.Error(fault)
			}
		})
	}
}

// Database is the suite's own.
func (s *Suite) Database() *testkit.Database { return s.d }

// Own is the furnished clinic.
func (s *Suite) Own() *testkit.Clinic { return s.own }

// Foreign is the clinic that is asked from nowhere.
func (s *Suite) Foreign() *testkit.Clinic { return s.foreign }

// Columns are those of the noun's Go struct: its table has each of them.
func (s *Suite) Columns(t testing.TB, object string) (faults []string) {
	t.Helper()
	of := s.described(t, object)
	columns := s.columns(t, of.Table)
	for _, name := range of.Columns {
		if !slices.ContainsFunc(columns, func(c column) bool { return c.name == name }) {
			faults = append(faults, object+" is read from the column "+name+", which "+of.Table+" has not: write a migration")
		}
	}
	return faults
}

func (s *Suite) described(t testing.TB, object string) entity.Described {
	t.Helper()
	for _, described := range s.registry.Nouns() {
		if described.Object == object {
			return described
		}
	}
	require.Fail(t, "no noun is declared for "+object)
	return entity.Described{}
}

// kindOf is the noun whose ids have a kind.
func (s *Suite) kindOf(kind models.Kind) (entity.Described, bool) {
	for _, described := range s.registry.Nouns() {
		if described.Kind == kind {
			return described, true
		}
	}
	return entity.Described{}, false
}

// as is a client of a clinic's member who has a role.
func (s *Suite) as(t testing.TB, clinic *testkit.Clinic, role models.Role) *api.Client {
	t.Helper()
	return s.server.As(t, clinic, role)
}

// ask asks as a role of the own clinic.
func (s *Suite) ask(t testing.TB, role models.Role, q question) *api.Response {
	t.Helper()
	return s.askIn(t, s.own, role, q)
}

func (s *Suite) askIn(t testing.TB, clinic *testkit.Clinic, role models.Role, q question, headers ...string) *api.Response {
	t.Helper()
	answer := s.as(t, clinic, role).Do(t, q.text, q.variables, headers...)
	if s.Planted.Answer != nil {
		s.Planted.Answer(q.variables, answer)
	}
	return answer
}

func (s *Suite) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	_, err := s.psql.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

// developer is an owner who is shown what a request cost.
func developer(clinic *testkit.Clinic) string { return "developer@" + clinic.Slug + ".test" }

// ids asks for ids by SQL.
func (s *Suite) ids(t testing.TB, sql string, args ...any) []uuid.UUID {
	t.Helper()
	rows, err := s.psql.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	require.NoError(t, err, sql)
	return ids
}

// tenantColumn is the column that says whose a row is.
func tenantColumn(table string) string {
	if table == "clinics" {
		return "id"
	}
	return "clinic_id"
}

// watcher notes what the last answer depends on and shows.
type watcher struct {
	mu   sync.Mutex
	last *touched.Collector
}

// ExtensionName implements graphql.HandlerExtension.
func (*watcher) ExtensionName() string { return "Conform" }

// Validate implements graphql.HandlerExtension.
func (*watcher) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptOperation implements graphql.OperationInterceptor.
func (w *watcher) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	ctx, collector := touched.Collect(ctx)
	w.mu.Lock()
	w.last = collector
	w.mu.Unlock()
	return next(ctx)
}

func (w *watcher) noted() *touched.Collector {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}
