package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
	"github.com/taskmed/taskmed/web"
)

var canaryFor = flag.Duration("canary", 4*time.Second, "how long clinics ask while a canary is looked for") //nolint:gochecknoglobals // a test flag

// canary stands in every text field of one clinic. Nobody of another ever sends
// it: they look for its beginning, nearCanary.
const (
	canary     = "canaryqzxvw"
	nearCanary = "canaryqz"
)

// TestCanary_IsSeenByItsOwnClinicAlone is promise I5: two clinics ask for
// everything at once, with the cache on and Redis hanging and dying, and what
// stands in every text field of one is in no answer, header, log line, metric or
// key of the other's.
func TestCanary_IsSeenByItsOwnClinicAlone(t *testing.T) {
	t.Parallel()
	d, shared := testkit.NewDatabase(t), testkit.NewRedis(t)
	own, other := twoSeeded(t, d)
	fields := putCanary(t, d, other)
	require.Subset(t, fields, []string{
		"clinics.name", "contacts.name", "contacts.email", "contacts.notes", "contacts.tags", "contacts.source", "practitioners.name",
		"practitioners.specialty", "services.name", "appointments.notes", "medical_records.title", "medical_records.body",
		"medical_records.data", "memberships.name",
	})
	// Developers see most: statements, costs and reasons.
	d.Exec(t, "UPDATE memberships SET permissions = '{developer}' WHERE role = 'owner'")
	var log testkit.Logbook
	server := api.NewServer(t, d, api.WithLog(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		func(settings *config.Config, _ *app.Options) { settings.RedisURL = shared.URL })

	c := &canaryWatch{t: t, server: server}
	mine, theirs := c.clients(own), c.clients(other)
	ours, foreign := c.questions(own, nearCanary), c.questions(other, canary)
	ours = append(ours, c.pry(t, own, other)...)
	require.Greater(t, len(ours), 60)
	require.Positive(t, mine[0].Do(t, `query Fresh { contacts { totalCount } }`, nil).Extensions.TaskMed.Cost, "the owner is a developer")

	ctx, done := context.WithTimeout(t.Context(), *canaryFor+2*time.Minute)
	defer done()
	var all sync.WaitGroup
	all.Go(func() { // A busy machine is given the time to ask enough.
		defer done()
		enough := func() bool { return c.asked.Load() > 300 && c.hits.Load() > 10 && c.seen.Load() > 10 }
		for began := time.Now(); ctx.Err() == nil && (time.Since(began) < *canaryFor || !enough()); {
			pause(ctx, 20*time.Millisecond)
		}
	})
	for range 3 {
		all.Go(func() { c.ask(ctx, mine, ours, true) })
	}
	all.Go(func() { c.ask(ctx, theirs, foreign, false) })
	all.Go(func() { trouble(ctx, t, shared) })
	all.Wait()
	require.Greater(t, c.asked.Load(), int64(300))
	require.Greater(t, c.hits.Load(), int64(10), "answers came from the cache")
	require.Greater(t, c.seen.Load(), int64(10), "the canary's own clinic is shown it: the detector works")
	require.Zero(t, c.leaks.Load())

	// With Redis whole again both clinics' answers stand in it.
	owner := server.AsSubject(t, own, seed.Subject(own.Slug, "owner"))
	theirOwner := server.AsSubject(t, other, seed.Subject(other.Slug, "owner"))
	list := `{ contacts(first: 50) { nodes { id name email notes } } }`
	untilHit(t, owner, list, nil)
	require.Contains(t, string(untilHit(t, theirOwner, list, nil).Body), canary)
	inOwn := 0
	for place, text := range everythingIn(t, shared) {
		held := strings.Contains(strings.ToLower(place+text), canary)
		if strings.Contains(place, "{"+other.ID.String()+"}") {
			if held {
				inOwn++
			}
			continue
		}
		assert.False(t, held, "in Redis at %s", place)
	}
	require.Positive(t, inOwn, "it is in its own clinic's values: the detector works")
	for line := range strings.Lines(log.String()) {
		require.NotContains(t, strings.ToLower(line), canary, "nobody's data is logged")
	}
	require.Contains(t, log.String(), other.ID.String(), "the log is about that clinic, too")
	for _, path := range []string{"/metrics", "/dashboard/history.json", "/dashboard/plan.json", "/readyz"} {
		out := httptest.NewRecorder()
		server.App.Admin().ServeHTTP(out, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
		require.NotContains(t, strings.ToLower(out.Body.String()), canary, path)
	}
	t.Logf("%d requests, %d hits, %d answers with the canary for its own clinic, in %d fields", c.asked.Load(), c.hits.Load(), c.seen.Load(), len(fields))
}

// twoSeeded are two clinics with plausible data, small ones.
func twoSeeded(t *testing.T, d *testkit.Database) (own, other *testkit.Clinic) {
	t.Helper()
	result, err := seed.Run(t.Context(), d.OwnerURL, seed.Options{
		Clinics: 2, Contacts: 40, Practitioners: 2, Appointments: 150, Records: 40, Seed: 11, Today: seed.Today(time.Now()),
	}, nil)
	require.NoError(t, err)
	return clinicOf(result, 0), clinicOf(result, 1)
}

// putCanary puts the canary into every field of a clinic's that takes text, and
// gives those that took it. Each row's differs, for those that must.
func putCanary(t *testing.T, d *testkit.Database, clinic *testkit.Clinic) (fields []string) {
	t.Helper()
	conn := d.Connect(t, d.SuperuserURL)
	rows, err := conn.Query(t.Context(), `SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c
		JOIN information_schema.tables USING (table_schema, table_name)
		WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND c.is_generated = 'NEVER'
			AND c.data_type IN ('text', 'character varying', 'ARRAY', 'jsonb', 'json') AND c.column_name NOT IN ('subject', 'time_zone', 'currency') AND c.table_name !~ '^contact_search'
			AND (c.table_name = 'clinics' OR EXISTS (SELECT FROM information_schema.columns k
				WHERE k.table_schema = c.table_schema AND k.table_name = c.table_name AND k.column_name = 'clinic_id'))
		ORDER BY 1, 2`)
	require.NoError(t, err)
	type column struct{ Table, Name, Type string }
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	require.NoError(t, err)
	const number = `regexp_replace(ctid::text, '\D', '', 'g')`
	for _, c := range columns {
		key := "clinic_id"
		if c.Table == "clinics" {
			key = "id"
		}
		for _, value := range []string{
			"'" + canary + " ' || " + number, "'" + canary + "' || " + number + " || '@example.com'", "'" + canary + "' || " + number,
			"ARRAY['" + canary + "']", `'{"` + canary + `": "` + canary + `"}'`,
		} {
			for _, mode := range []string{"origin", "replica"} { // a signed record changes for nobody else
				_, err := conn.Exec(t.Context(), fmt.Sprintf("SET session_replication_role = %s; UPDATE %s SET %s = %s WHERE %s = '%s'",
					mode, pgx.Identifier{c.Table}.Sanitize(), pgx.Identifier{c.Name}.Sanitize(), value, key, clinic.ID))
				if err == nil {
					fields = append(fields, c.Table+"."+c.Name)
					break
				}
			}
			if len(fields) > 0 && fields[len(fields)-1] == c.Table+"."+c.Name {
				break
			}
		}
	}
	return fields
}

type canaryWatch struct {
	t      *testing.T
	server *api.Server

	asked, hits, seen, leaks atomic.Int64
}

// ask asks random questions until the context ends. Whoever is watched must not
// be shown the canary.
func (c *canaryWatch) ask(ctx context.Context, clients []*api.Client, questions []question, watched bool) {
	client, q := clients[0], questions[0]
	for ctx.Err() == nil {
		if rand.N(2) == 0 { // else the same once more: it may be kept by now
			client, q = clients[rand.N(len(clients))], questions[rand.N(len(questions))]
		}
		var answer *api.Response
		switch rand.N(4) {
		case 0:
			answer = client.Do(c.t, q.text, q.variables, "Cache-Control", "no-cache")
		case 1:
			answer = client.Do(c.t, q.text, q.variables, "X-TaskMed-Explain", "plans")
		case 2:
			answer = client.Get(c.t, q.text, q.variables)
		default:
			answer = client.Do(c.t, q.text, q.variables)
		}
		c.asked.Add(1)
		if status(answer) == "taskmed; hit" {
			c.hits.Add(1)
		}
		if !holdsCanary(answer) {
			continue
		}
		if c.seen.Add(1); watched {
			c.leaks.Add(1)
			assert.Fail(c.t, "the canary got out", "%s\n%s", q.text, answer.Body)
		}
	}
}

func holdsCanary(answer *api.Response) bool {
	var header bytes.Buffer
	_ = answer.Header.Write(&header)
	return strings.Contains(strings.ToLower(header.String()+string(answer.Body)), canary)
}

// clients are one per role.
func (c *canaryWatch) clients(clinic *testkit.Clinic) []*api.Client {
	var clients []*api.Client
	for _, role := range models.AllRole {
		clients = append(clients, c.server.AsSubject(c.t, clinic, seed.Subject(clinic.Slug, strings.ToLower(string(role)))))
	}
	return clients
}

// questions are all operations that there are: the playground's, those with
// golden answers, everything of the schema, and searches for some words.
func (c *canaryWatch) questions(clinic *testkit.Clinic, words string) []question {
	c.t.Helper()
	owner := c.server.AsSubject(c.t, clinic, seed.Subject(clinic.Slug, "owner"))
	values, err := web.Values(c.t.Context(), func(_ context.Context, query string, variables map[string]any) (json.RawMessage, error) {
		return owner.Must(c.t, query, variables, nil).Data, nil
	}, time.Now())
	require.NoError(c.t, err)
	var questions []question
	add := func(text string, variables json.RawMessage) {
		q := question{text: text}
		require.NoError(c.t, json.Unmarshal(variables, &q.variables))
		questions = append(questions, q)
	}
	for _, example := range web.Requests() {
		variables, err := web.Resolve(example.Variables, values)
		require.NoError(c.t, err, example.Name)
		add(example.Query, variables)
	}
	golden, err := filepath.Glob("testdata/*.graphql")
	require.NoError(c.t, err)
	for _, file := range golden {
		text, variables := readQuery(c.t, strings.TrimSuffix(filepath.Base(file), ".graphql"))
		for name, value := range map[string]string{"patient": values["contactId"], "cursor": "cursor"} {
			variables = bytes.ReplaceAll(variables, []byte("{{"+name+"}}"), []byte(value))
		}
		add(text, variables)
	}
	ids := map[models.Kind]string{models.KindClinic: models.KindClinic.Global(clinic.ID)}
	var records struct {
		MedicalRecords struct{ Nodes []struct{ ID string } }
	}
	owner.Must(c.t, `query ($id: ID!) { medicalRecords(contactId: $id) { nodes { id } } }`, map[string]any{"id": values["contactId"]}, &records)
	for kind, id := range map[models.Kind]string{
		models.KindContact: values["contactId"], models.KindPractitioner: values["practitionerId"], models.KindService: values["serviceId"],
		models.KindAppointment: values["appointmentId"],
	} {
		require.NotEmpty(c.t, id, kind)
		ids[kind] = id
	}
	ids[models.KindMedicalRecord] = models.KindMedicalRecord.Global(models.NewID())
	if len(records.MedicalRecords.Nodes) > 0 {
		ids[models.KindMedicalRecord] = records.MedicalRecords.Nodes[0].ID
	}
	for _, q := range everyQuery(&furniture{clinic: clinic, ids: ids}) {
		questions = append(questions, q)
	}
	for _, text := range []string{words, words[:5], words + "%", "%", "' OR '1'='1", "\u0000" + words} {
		questions = append(questions,
			question{`query Look($q: String!) { searchContacts(query: $q) { totalCount nodes { id name email notes } } }`, map[string]any{"q": text}},
			question{`query Tagged($q: String!) { contacts(filter: {tag: $q}) { totalCount nodes { id name } } }`, map[string]any{"q": text}},
			question{`query Known($q: String!) { contacts(filter: {externalReference: $q}) { nodes { id name } } }`, map[string]any{"q": text}},
			question{`mutation Make($q: String!) { createContact(input: {name: $q, email: $q, notes: $q}) { contact { id name } userErrors { code message } } }`, map[string]any{"q": text}},
			question{`query Odd($q: ID!) { node(id: $q) { id } contact(id: $q) { name } }`, map[string]any{"q": text}},
			question{`query Broken { contacts(after: "` + words[:5] + `") { nodes { name } } nothing }`, nil},
		)
	}
	return questions
}

// pry are questions of one clinic's people about another's.
func (c *canaryWatch) pry(t *testing.T, own, other *testkit.Clinic) []question {
	t.Helper()
	theirs := c.server.AsSubject(t, other, seed.Subject(other.Slug, "owner"))
	var known struct {
		Contacts struct {
			Nodes    []struct{ ID string }
			PageInfo struct{ EndCursor string }
		}
		Appointments struct{ Nodes []struct{ ID string } }
	}
	theirs.Must(t, `{ contacts(first: 3) { nodes { id } pageInfo { endCursor } } appointments(first: 3) { nodes { id } } }`, nil, &known)
	contact, appointment := known.Contacts.Nodes[0].ID, known.Appointments.Nodes[0].ID
	mine := c.server.AsSubject(t, own, seed.Subject(own.Slug, "owner"))
	require.Equal(t, http.StatusForbidden, mine.In(models.KindClinic.Global(other.ID)).Do(t, `{ clinic { name } }`, nil).Status)
	return []question{
		{`query Theirs($id: ID!) { contact(id: $id) { name notes } node(id: $id) { ... on Contact { name } } medicalRecords(contactId: $id) { nodes { title body } } }`, map[string]any{"id": contact}},
		{`query Their($ids: [ID!]!) { nodes(ids: $ids) { ... on Contact { name } ... on Appointment { notes contact { name } } ... on Clinic { name } } }`, map[string]any{"ids": []string{contact, appointment, models.KindClinic.Global(other.ID)}}},
		{`query After($after: String!) { contacts(after: $after) { nodes { name } } }`, map[string]any{"after": known.Contacts.PageInfo.EndCursor}},
		{`mutation Rob($id: ID!) { updateContact(input: {id: $id, name: "Mallory"}) { contact { name notes } userErrors { message } } }`, map[string]any{"id": contact}},
		{`mutation Book($id: ID!) { confirmAppointment(input: {id: $id}) { appointment { notes contact { name } } userErrors { message } } }`, map[string]any{"id": appointment}},
	}
}

// trouble has Redis hang and die, again and again, until the context ends.
func trouble(ctx context.Context, t *testing.T, shared *testkit.Redis) {
	t.Helper()
	for n := 0; ctx.Err() == nil; n++ {
		// Whole for long enough that answers are kept.
		pause(ctx, 900*time.Millisecond)
		if n%2 == 0 {
			shared.Hang(t)
			pause(ctx, 300*time.Millisecond)
			shared.Resume(t)
			continue
		}
		shared.Kill(t)
		pause(ctx, 100*time.Millisecond)
		shared.Start(t)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// everythingIn is all that a Redis holds, by key.
func everythingIn(t *testing.T, shared *testkit.Redis) map[string]string {
	t.Helper()
	ctx, held := t.Context(), map[string]string{}
	keys := shared.Client.Scan(ctx, 0, "*", 1000).Iterator()
	for keys.Next(ctx) {
		key := keys.Val()
		var value any
		switch kind := shared.Client.Type(ctx, key).Val(); kind {
		case "string":
			value = shared.Client.Get(ctx, key).Val()
		case "hash":
			value = shared.Client.HGetAll(ctx, key).Val()
		case "zset":
			value = shared.Client.ZRange(ctx, key, 0, -1).Val()
		case "set":
			value = shared.Client.SMembers(ctx, key).Val()
		case "list":
			value = shared.Client.LRange(ctx, key, 0, -1).Val()
		case "stream":
			value = shared.Client.XRange(ctx, key, "-", "+").Val()
		case "none": // gone meanwhile
		default:
			require.Fail(t, "an unknown type", kind)
		}
		held[key] = fmt.Sprint(value)
	}
	require.NoError(t, keys.Err())
	return held
}
