package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/internal/testkit/compose"
	"github.com/taskmed/taskmed/models"
)

// fingerprint tells states of a clinic's rows apart, in every tenant table.
func fingerprint(t testing.TB, conn *pgx.Conn, clinic *testkit.Clinic) map[string]string {
	t.Helper()
	tables := column[string](t, conn, `SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attname = 'clinic_id' AND NOT a.attisdropped ORDER BY 1`)
	require.Greater(t, len(tables), 20)
	rows := map[string]string{}
	for _, table := range append(tables, "clinics") {
		if table == "idempotency_keys" {
			continue // a key that is taken is no change of the clinic's
		}
		var all string
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) || ' ' || coalesce(md5(string_agg(md5(r::text), '' ORDER BY md5(r::text))), '') FROM "+
			pgx.Identifier{table}.Sanitize()+" r WHERE "+ownRows(table), clinic.ID).Scan(&all))
		rows[table] = all
	}
	return rows
}

// TestOnce_EveryMutationOfTheSchema runs each mutation with a key: again with it nothing
// is written and the answer is the first; with another key it is another write; and to
// another subject the key says nothing.
func TestOnce_EveryMutationOfTheSchema(t *testing.T) {
	t.Parallel()
	world := newSeeded(t, unbounded)
	conn := world.database.Connect(t, world.database.SuperuserURL)
	owner := world.as(t, world.aurora, "owner")
	other := ownerOf(t, world, world.aurora)
	foreign := world.as(t, world.horizonte, "owner")
	g := generatorFor(t, world.database, world.aurora, models.RoleOwner, owner, composedSeed)
	g.Faultless, g.Leaves = true, 12
	g.Pool.Instants = officeHours()
	ran := 0
	for _, mutation := range g.Schema.Mutation.Fields {
		if strings.HasPrefix(mutation.Name, "__") || mutation.Name == "testWebhookEndpoint" { // which writes nothing (internal/webhooks)
			continue
		}
		t.Run(mutation.Name, func(t *testing.T) { //nolint:paralleltest // they change one clinic
			g.Pool.IDs = widePool(t, world, conn)
			next := g.Written
			if prepare, has := prepared()[mutation.Name]; has {
				next = func(...string) compose.Question { return prepare(t, world, conn) }
			}
			q, first, key := written(t, next, owner, mutation.Name)
			ran++
			state := fingerprint(t, conn, world.aurora)
			again := owner.Do(t, q.Text, q.Variables, "Idempotency-Key", `"`+key+`"`)
			require.Equal(t, http.StatusOK, again.Status, "%s", again.Body)
			require.JSONEq(t, string(first.Data), string(again.Data), "the repetition is answered as the first time: %s", q.Text)
			require.Equal(t, state, fingerprint(t, conn, world.aurora), "the repetition writes nothing: %s", q.Text)

			const keys = "SELECT count(*) FROM idempotency_keys"
			wrote := false
			for _, client := range []*api.Client{other, foreign} {
				before := world.database.Count(t, keys)
				answer := client.Do(t, q.Text, q.Variables, "Idempotency-Key", key)
				if strings.Contains(string(answer.Data), `"userErrors":[]`) {
					require.Equal(t, before+2, world.database.Count(t, keys), "a key is one subject's: %s", q.Text)
					state, wrote = fingerprint(t, conn, world.aurora), true
				}
			}
			again = owner.Do(t, q.Text, q.Variables, "Idempotency-Key", key)
			if !wrote { // or what hangs below the payload is another by now
				require.JSONEq(t, string(first.Data), string(again.Data), "others' use of the key is nothing to its owner: %s", q.Text)
			}
			require.Contains(t, string(again.Data), `"userErrors":[]`, "others' use of the key is nothing to its owner: %s", q.Text)
			require.Equal(t, state, fingerprint(t, conn, world.aurora))
		})
	}
	require.Greater(t, ran, 30)
}

// widePool are ids of every kind, of each state that rows are in.
func widePool(t testing.TB, world *seeded, conn *pgx.Conn) map[string][]string {
	t.Helper()
	states := map[string]string{
		"appointments":    "status, CASE WHEN starts_at > $2::timestamptz + interval '1 day' THEN 1 WHEN starts_at BETWEEN $2::timestamptz - interval '9 hours' AND $2::timestamptz THEN 2 ELSE 3 END",
		"medical_records": "signed_at IS NULL, amends_id IS NULL",
		"invoices":        "status",
		"contacts":        "status",
		// Of those who wait, who are offered something.
		"waitlist_entries": "status, offer_expires_at IS NULL",
	}
	ids, nouns := map[string][]string{}, nounsOf(t, world.database)
	for _, node := range liveSchema().PossibleTypes["Node"] {
		noun := nouns[node.Name]
		own, state := ownRows(noun.Table), states[noun.Table]
		if state == "" {
			state = "clinic_id"
			if noun.Table == "clinics" {
				state = "id"
			}
		}
		if noun.Table == "memberships" { // who asks must not be sent away
			own += " AND role <> 'owner'"
		}
		for _, some := range column[[]uuid.UUID](t, conn, "SELECT (array_agg(id ORDER BY md5(id::text)))[:4] FROM "+noun.Table+
			" WHERE "+own+" AND $2::timestamptz IS NOT NULL GROUP BY "+state+" ORDER BY 1", world.aurora.ID, noon()) {
			for n := range 4 { // each state is as likely as another
				ids[node.Name] = append(ids[node.Name], noun.Kind.Global(some[n%len(some)]))
			}
		}
		require.NotEmpty(t, ids[node.Name], "rows of %s", noun.Table)
	}
	return ids
}

// ownerOf is another owner of a clinic.
func ownerOf(t testing.TB, world *seeded, clinic *testkit.Clinic) *api.Client {
	t.Helper()
	const subject = "second-owner@example.com"
	world.database.LetMembersBeWritten(t)
	world.database.Exec(t, "INSERT INTO memberships (clinic_id, id, subject, name, role) VALUES ($1, $2, $3, 'x', 'owner')", clinic.ID, models.NewID(), subject)
	return world.server.AsSubject(t, clinic, subject)
}

// written has a mutation write something, with a key of its own.
func written(t *testing.T, next func(...string) compose.Question, client *api.Client, mutation string) (compose.Question, *api.Response, string) {
	t.Helper()
	var last *api.Response
	for range 300 { // most draws are refused, and each further mutation changes them
		q, key := next(mutation), uuid.NewString()
		last = client.Do(t, q.Text, q.Variables, "Idempotency-Key", key)
		// One mutation and no errors: part of an answer is no answer to compare.
		if strings.Count(q.Text, mutation) == 1 && !strings.Contains(q.Text, "last:") && last.Status == http.StatusOK && len(last.Errors) == 0 &&
			strings.Contains(string(last.Data), `"userErrors":[]`) {
			return q, last, key
		}
	}
	require.Fail(t, "no call of "+mutation+" was found that writes", "the last was answered %s", last.Body)
	return compose.Question{}, nil, ""
}

// TestOnce_AKeyIsForOneInput refuses a key's other use, and says so by its status.
func TestOnce_AKeyIsForOneInput(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	owner := api.NewServer(t, d, api.At(noon())).As(t, clinic, models.RoleOwner)
	create := func(name, directive string) string {
		return fmt.Sprintf(`mutation { createContact(input: {name: %q})%s { contact { id name } userErrors { code } } }`, name, directive)
	}
	count := func(name string) int {
		return d.Count(t, "SELECT count(*) FROM contacts WHERE name = $1", name)
	}

	// What the fault was: a client that repeats a mutation makes a second contact.
	for range 2 {
		owner.Do(t, create("Sem Chave", ""), nil)
	}
	require.Equal(t, 2, count("Sem Chave"))

	first := owner.Do(t, create("Ana Uma Vez", ` @idempotent(key: "k1")`), nil)
	again := owner.Do(t, create("Ana Uma Vez", ` @idempotent(key: "k1")`), nil)
	require.JSONEq(t, string(first.Data), string(again.Data))
	require.Equal(t, 1, count("Ana Uma Vez"))
	// What is selected may be another thing.
	more := owner.Do(t, `mutation { createContact(input: {name: "Ana Uma Vez"}) @idempotent(key: "k1") { contact { id name status appointments { totalCount } } userErrors { code } } }`, nil)
	require.Contains(t, string(more.Data), `"totalCount":0`)

	other := owner.Do(t, create("Outra", ` @idempotent(key: "k1")`), nil)
	require.Equal(t, http.StatusConflict, other.Status, "%s", other.Body)
	require.Equal(t, "CONFLICT", other.Errors[0].Extensions.Code)
	require.Zero(t, count("Outra"))

	// A request's key is for the request as a whole.
	two := `mutation { a: createContact(input: {name: "Um"}) { contact { id } } b: createContact(input: {name: "Dois"}) { contact { id } } }`
	first, again = owner.Do(t, two, nil, "Idempotency-Key", "k1"), owner.Do(t, two, nil, "Idempotency-Key", `"k1"`)
	require.JSONEq(t, string(first.Data), string(again.Data))
	require.Equal(t, 2, count("Um")+count("Dois"))
	other = owner.Do(t, strings.Replace(two, "Dois", "Três", 1), nil, "Idempotency-Key", "k1")
	require.Equal(t, http.StatusConflict, other.Status, "%s", other.Body)
	other = owner.Do(t, `mutation { c: createContact(input: {name: "Três"}) { contact { id } } }`, nil, "Idempotency-Key", "k1")
	require.Equal(t, http.StatusConflict, other.Status, "%s", other.Body)
	require.Zero(t, count("Três"))

	for _, bad := range []string{`""`, `"open`, `"a" b`, strings.Repeat("x", 201)} {
		refused := owner.Do(t, create("Nunca", ""), nil, "Idempotency-Key", bad)
		require.Equal(t, "BAD_USER_INPUT", refused.Errors[0].Extensions.Code, bad)
	}
	require.Zero(t, count("Nunca"))
}

// TestOnce_NothingIsRememberedOfWhatWasRefused lets a user mend his mistake and send it
// with the same key.
func TestOnce_NothingIsRememberedOfWhatWasRefused(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	owner := api.NewServer(t, d, api.At(noon())).As(t, clinic, models.RoleOwner)
	create := func(name string) *api.Response {
		return owner.Do(t, `mutation($n: String!) { createContact(input: {name: $n}) @idempotent(key: "k") { contact { name } userErrors { code } } }`, map[string]any{"n": name})
	}
	require.Contains(t, string(create(" ").Data), `"REQUIRED"`)
	require.Zero(t, d.Count(t, "SELECT count(*) FROM idempotency_keys"))
	require.Contains(t, string(create("Ana").Data), `"name":"Ana"`)
	require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM idempotency_keys WHERE expires_at BETWEEN clock_timestamp() + interval '23 hours 59 minutes' AND clock_timestamp() + interval '24 hours'"))
	require.Zero(t, d.Count(t, "SELECT count(*) FROM idempotency_keys WHERE response::text LIKE '%416e61%'"), "it is sealed")

	// After 24 hours the key is as good as new.
	d.Exec(t, "UPDATE idempotency_keys SET expires_at = clock_timestamp() - interval '1 second'")
	require.Contains(t, string(create("Bia").Data), `"name":"Bia"`)
}

// TestOnce_OfManyAtOnceOneWrites sends one key from many connections to two servers.
func TestOnce_OfManyAtOnceOneWrites(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	clients := []*api.Client{api.NewServer(t, d, api.At(noon())).As(t, clinic, models.RoleOwner), api.NewServer(t, d, api.At(noon())).As(t, clinic, models.RoleOwner)}
	answers := make([]string, 24)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			answers[i] = string(clients[i%2].Do(t, `mutation { createContact(input: {name: "Uma Só"}) { contact { id version } userErrors { code } } }`, nil, "Idempotency-Key", "once").Data)
		})
	}
	all.Wait()
	for _, answer := range answers {
		assert.JSONEq(t, answers[0], answer)
	}
	require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM contacts WHERE name = 'Uma Só'"))

	// One that is still running when others have waited long enough.
	tx, err := d.Connect(t, d.SuperuserURL).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "UPDATE idempotency_keys SET expires_at = expires_at")
	require.NoError(t, err)
	impatient := api.NewServer(t, d, api.At(noon()), impatient).As(t, clinic, models.RoleOwner)
	busy := impatient.Do(t, `mutation { createContact(input: {name: "Uma Só"}) { contact { id version } userErrors { code } } }`, nil, "Idempotency-Key", "once")
	require.NoError(t, tx.Rollback(t.Context()))
	require.Equal(t, http.StatusConflict, busy.Status, "%s", busy.Body)
}
