package app_test

import (
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/graph/generated"
	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/internal/testkit/compose"
	"github.com/taskmed/taskmed/internal/testkit/graph"
	"github.com/taskmed/taskmed/models"
)

// unbounded lifts the limits that random operations reach, and keeps what is slow
// for that out of the log.
func unbounded(settings *config.Config, options *app.Options) {
	options.Log = slog.New(slog.DiscardHandler)
	settings.CostLimit, settings.DepthLimit, settings.TokenLimit = 1_000_000_000, 60, 20_000
}

// rounds is how many rounds an environment variable asks for.
func rounds(t testing.TB, variable string, otherwise int) int {
	t.Helper()
	said := os.Getenv(variable)
	if said == "" {
		return otherwise
	}
	n, err := strconv.Atoi(said)
	require.NoError(t, err, variable)
	return n
}

func liveSchema() *ast.Schema { return generated.NewExecutableSchema(generated.Config{}).Schema() }

// asking is a client as package compose asks.
func asking(t testing.TB, client *api.Client) compose.Ask {
	t.Helper()
	return func(q compose.Question) compose.Answer { return answered(client.Do(t, q.Text, q.Variables)) }
}

func answered(response *api.Response) compose.Answer {
	answer := compose.Answer{Data: response.Data}
	for _, e := range response.Errors {
		answer.Errors = append(answer.Errors, compose.Error{Message: e.Message, Path: e.Path, Code: e.Extensions.Code})
	}
	return answer
}

// nounsOf are the nouns by their object types, as they are declared.
func nounsOf(t testing.TB, d *testkit.Database) map[string]entity.Described {
	t.Helper()
	of := map[string]entity.Described{}
	for _, described := range graph.New(t, d.DB, d.Cursors, time.Now).Entities.Nouns() {
		of[described.Object] = described
	}
	return of
}

// ownRows is what a table's rows of a clinic satisfy, with the clinic as $1.
func ownRows(table string) string {
	if table == "clinics" {
		return "id = $1"
	}
	return "clinic_id = $1"
}

// column reads one column of some rows.
func column[T any](t testing.TB, conn *pgx.Conn, sql string, args ...any) []T {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(t, err, sql)
	return all
}

// poolOf is what random arguments about a clinic are drawn from.
func poolOf(t testing.TB, d *testkit.Database, clinic *testkit.Clinic, now time.Time) *compose.Pool {
	t.Helper()
	conn := d.Connect(t, d.SuperuserURL)
	pool := &compose.Pool{IDs: poolIDs(t, conn, nounsOf(t, d), clinic, now), References: []string{"ref-1", "ref-2"}, TaxIDs: []string{"529.982.247-25", "11144477735"}}
	for _, node := range liveSchema().PossibleTypes["Node"] {
		require.Greater(t, len(pool.IDs[node.Name]), 1, "%s that there are, and one that there is not", node.Name)
	}
	names := column[string](t, conn, "SELECT name FROM contacts WHERE clinic_id = $1 ORDER BY id LIMIT 6", clinic.ID)
	pool.Words = append(names, "mari", "silva", "joao", "98765", "nobody at all")
	pool.Tags = append(column[string](t, conn, "SELECT DISTINCT tag FROM contacts, unnest(tags) AS tag WHERE clinic_id = $1 ORDER BY tag LIMIT 4", clinic.ID), "vip")
	for _, days := range []int{-400, -30, -3, -1, 0, 1, 2, 7, 30, 200} {
		pool.Instants = append(pool.Instants, now.AddDate(0, 0, days))
	}
	return pool
}

// poolIDs are some of a clinic's of each kind, by object types, and of each one that nobody has.
func poolIDs(t testing.TB, conn *pgx.Conn, nouns map[string]entity.Described, clinic *testkit.Clinic, now time.Time) map[string][]string {
	t.Helper()
	ids := map[string][]string{}
	// Few, so that several places of a query are about the same one; those that
	// have to do with each other; and an appointment of each status.
	appointments := column[uuid.UUID](t, conn, "SELECT DISTINCT ON (status) id FROM appointments WHERE clinic_id = $1 ORDER BY status, abs(extract(epoch FROM starts_at - $2)), id", clinic.ID, now)
	theirs := map[string]string{
		"appointments":    "id = ANY($2)",
		"contacts":        "id IN (SELECT contact_id FROM appointments WHERE id = ANY($2))",
		"medical_records": "contact_id IN (SELECT contact_id FROM appointments WHERE id = ANY($2))",
	}
	for _, node := range liveSchema().PossibleTypes["Node"] {
		noun := nouns[node.Name]
		table, related := noun.Table, "$2::uuid[] IS NULL"
		if known, ok := theirs[table]; ok {
			related = known
		}
		own := ownRows(table)
		if table == "memberships" { // who asks must not be sent away by what he asks
			own += " AND role <> 'owner'"
		}
		for _, id := range column[uuid.UUID](t, conn, "SELECT id FROM "+table+" WHERE "+own+" ORDER BY ("+related+") DESC, md5(id::text) LIMIT 7", clinic.ID, appointments) {
			ids[node.Name] = append(ids[node.Name], noun.Kind.Global(id))
		}
		ids[node.Name] = append(ids[node.Name], noun.Kind.Global(models.NewID()))
	}
	for _, id := range column[uuid.UUID](t, conn, "SELECT series_id FROM appointments WHERE clinic_id = $1 AND series_id IS NOT NULL GROUP BY 1 ORDER BY 1 LIMIT 3", clinic.ID) {
		ids["Series"] = append(ids["Series"], models.KindSeries.Global(id))
	}
	return ids
}

// generatorFor writes operations that a clinic's member with a role may ask.
func generatorFor(t testing.TB, d *testkit.Database, clinic *testkit.Clinic, role models.Role, client *api.Client, seed uint64) *compose.Generator {
	t.Helper()
	g := &compose.Generator{
		Schema: liveSchema(), Pool: poolOf(t, d, clinic, noon()), Role: string(role), Dice: rand.New(rand.NewPCG(seed, seed)),
		Try: asking(t, client),
	}
	if !models.SeesWholeTaxID(role) {
		g.Pool.TaxIDs = []string{"529.982.247-00"} // of right ones they have a few tries an hour
	}
	require.NoError(t, g.FillCursors(asking(t, client)))
	return g
}
