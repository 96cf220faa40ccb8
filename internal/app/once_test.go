package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/seed"
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

// officeHours are half hours of the days after today.
func officeHours() (all []time.Time) {
	for day := range 4 {
		for half := range 14 {
			all = append(all, noon().AddDate(0, 0, day+1).Add(time.Duration(half-6)*30*time.Minute))
		}
	}
	return all
}

// prepared are calls of mutations that nobody finds by chance.
func prepared() map[string]func(t *testing.T, world *seeded, conn *pgx.Conn) compose.Question {
	return map[string]func(t *testing.T, world *seeded, conn *pgx.Conn) compose.Question{
		"importCalendar": func(t *testing.T, world *seeded, conn *pgx.Conn) compose.Question {
			t.Helper()
			ics := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Example//EN\r\nBEGIN:VEVENT\r\nUID:a@example.com\r\nDTSTAMP:20261101T120000Z\r\n" +
				"DTSTART;VALUE=DATE:20270308\r\nDTEND;VALUE=DATE:20270311\r\nSUMMARY:Congresso\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
			of := column[uuid.UUID](t, conn, "SELECT id FROM practitioners WHERE clinic_id = $1 LIMIT 1", world.aurora.ID)[0]
			return compose.Question{
				Text:      `mutation($i: ImportCalendarInput!) { importCalendar(input: $i) { added updated skipped userErrors { code } } }`,
				Variables: map[string]any{"i": map[string]any{"practitionerId": models.KindPractitioner.Global(of), "ics": ics}},
			}
		},
		"acceptWaitlistOffer": func(t *testing.T, world *seeded, conn *pgx.Conn) compose.Question {
			t.Helper()
			return compose.Question{
				Text:      `mutation($i: ID!) { acceptWaitlistOffer(input: {id: $i, overbook: true, allowOutsideHours: true}) { appointment { id startsAt status overbooked } userErrors { code } } }`,
				Variables: map[string]any{"i": offeredEntry(t, world, conn)},
			}
		},
		"markNoShow": func(t *testing.T, world *seeded, conn *pgx.Conn) compose.Question {
			t.Helper()
			// Of those who were to come already few have not, and mutations before this one use them up.
			missed := column[uuid.UUID](t, conn, `UPDATE appointments SET status = 'agendado' WHERE clinic_id = $1 AND id =
				(SELECT id FROM appointments WHERE clinic_id = $1 AND status = 'concluido' AND ends_at < $2 ORDER BY starts_at DESC, id LIMIT 1) RETURNING id`, world.aurora.ID, noon())[0]
			return compose.Question{
				Text:      `mutation($i: ID!) { markNoShow(input: {id: $i}) { appointment { id status } userErrors { code } } }`,
				Variables: map[string]any{"i": models.KindAppointment.Global(missed)},
			}
		},
		"createChannelAccount": func(t *testing.T, _ *seeded, _ *pgx.Conn) compose.Question {
			t.Helper()
			return compose.Question{
				Text: `mutation($i: CreateChannelAccountInput!) { createChannelAccount(input: $i) { channelAccount { id name active } userErrors { code } } }`,
				Variables: map[string]any{"i": map[string]any{
					"channel": "WEB", "name": "Página", "address": "https://aurora.example/" + uuid.NewString(), "settings": map[string]any{"signingSecret": uuid.NewString()},
				}},
			}
		},
		"requestAttachmentUpload": func(t *testing.T, world *seeded, conn *pgx.Conn) compose.Question {
			t.Helper()
			draft := column[uuid.UUID](t, conn, "SELECT id FROM medical_records WHERE clinic_id = $1 AND signed_at IS NULL ORDER BY id LIMIT 1", world.aurora.ID)[0]
			return compose.Question{
				Text: `mutation($i: RequestAttachmentUploadInput!) { requestAttachmentUpload(input: $i) { uploadUrl expiresAt attachment { id fileName url } userErrors { code } } }`,
				Variables: map[string]any{"i": map[string]any{
					"medicalRecordId": models.KindMedicalRecord.Global(draft), "fileName": "a.pdf", "mediaType": "application/pdf", "byteSize": 5, "digest": strings.Repeat("0", 64),
				}},
			}
		},
		"createWebhookEndpoint": func(t *testing.T, _ *seeded, _ *pgx.Conn) compose.Question {
			t.Helper()
			return compose.Question{
				Text:      `mutation($i: CreateWebhookEndpointInput!) { createWebhookEndpoint(input: $i) { webhookEndpoint { id url events } secret userErrors { code } } }`,
				Variables: map[string]any{"i": map[string]any{"url": "https://example.com/" + uuid.NewString(), "events": []string{"CONTACT_CREATED"}}},
			}
		},
		"updateWebhookEndpoint": func(t *testing.T, world *seeded, conn *pgx.Conn) compose.Question {
			t.Helper()
			return compose.Question{
				Text:      `mutation($i: ID!) { updateWebhookEndpoint(input: {id: $i, events: [INVOICE_PAID]}) { webhookEndpoint { id events } userErrors { code } } }`,
				Variables: map[string]any{"i": webhookEndpoint(t, world, conn)},
			}
		},
		"replayWebhook": func(t *testing.T, world *seeded, conn *pgx.Conn) compose.Question {
			t.Helper()
			return compose.Question{
				Text:      `mutation($i: ID!) { replayWebhook(input: {id: $i, fromPosition: 2}) { webhookEndpoint { id } userErrors { code } } }`,
				Variables: map[string]any{"i": webhookEndpoint(t, world, conn)},
			}
		},
		"updateInvoice": func(t *testing.T, world *seeded, _ *pgx.Conn) compose.Question {
			t.Helper()
			return compose.Question{
				Text:      `mutation($i: ID!) { updateInvoice(input: {id: $i, dueDate: "2027-01-31"}) { invoice { id dueDate status } userErrors { code } } }`,
				Variables: map[string]any{"i": draftInvoice(t, world)},
			}
		},
		"issueInvoice": func(t *testing.T, world *seeded, _ *pgx.Conn) compose.Question {
			t.Helper()
			return compose.Question{
				Text:      `mutation($i: ID!) { issueInvoice(input: {id: $i}) { invoice { id number status issuedAt } userErrors { code } } }`,
				Variables: map[string]any{"i": draftInvoice(t, world)},
			}
		},
		"signMedicalRecord": func(t *testing.T, world *seeded, conn *pgx.Conn) compose.Question {
			t.Helper()
			// Who asks becomes the practitioner of a draft.
			draft := column[uuid.UUID](t, conn, `UPDATE medical_records SET practitioner_id = p.id FROM practitioners p
				JOIN memberships m ON m.clinic_id = p.clinic_id AND m.id = p.member_id
				WHERE medical_records.clinic_id = $1 AND p.clinic_id = $1 AND signed_at IS NULL AND amends_id IS NULL AND m.subject = $2 RETURNING medical_records.id`,
				world.aurora.ID, becomePractitioner(t, world))[0]
			return compose.Question{
				Text:      `mutation($i: ID!) { signMedicalRecord(input: {id: $i}) { medicalRecord { id status signedAt digest } userErrors { code } } }`,
				Variables: map[string]any{"i": models.KindMedicalRecord.Global(draft)},
			}
		},
	}
}

// offeredEntry is the global id of an entry of the waiting list to which a time is
// offered at which nobody works.
func offeredEntry(t testing.TB, world *seeded, conn *pgx.Conn) string {
	t.Helper()
	return models.KindWaitlistEntry.Global(column[uuid.UUID](t, conn, `WITH held AS (
			INSERT INTO slot_holds (clinic_id, id, practitioner_id, subject, waitlist_entry_id, starts_at, ends_at, created_at, expires_at)
			SELECT e.clinic_id, gen_random_uuid(), o.practitioner_id, 'x', e.id, at, at + interval '30 minutes', now(), now() + interval '1 hour'
			FROM waitlist_entries e JOIN services s ON s.clinic_id = e.clinic_id AND s.id = e.service_id AND s.active
			JOIN contacts c ON c.clinic_id = e.clinic_id AND c.id = e.contact_id AND c.status <> 'arquivado'
			JOIN practitioner_services o ON o.clinic_id = e.clinic_id AND o.service_id = e.service_id
			JOIN practitioners p ON p.clinic_id = e.clinic_id AND p.id = o.practitioner_id AND p.active
			CROSS JOIN LATERAL (SELECT $2::timestamptz + interval '3 days' - interval '9 hours' AS at) a
			WHERE e.clinic_id = $1 AND e.status = 'aguardando' AND e.offer_expires_at IS NULL
			ORDER BY e.id, p.id LIMIT 1 RETURNING *
		), written AS (
			INSERT INTO waitlist_offers (clinic_id, id, entry_id, practitioner_id, starts_at, ends_at, offered_at, expires_at)
			SELECT clinic_id, id, waitlist_entry_id, practitioner_id, starts_at, ends_at, created_at, expires_at FROM held
		)
		UPDATE waitlist_entries e SET offered_practitioner_id = h.practitioner_id, offered_starts_at = h.starts_at, offered_ends_at = h.ends_at, offer_expires_at = h.expires_at
		FROM held h WHERE e.clinic_id = h.clinic_id AND e.id = h.waitlist_entry_id RETURNING e.id`, world.aurora.ID, noon())[0])
}

// webhookEndpoint is the global id of a webhook endpoint.
func webhookEndpoint(t testing.TB, world *seeded, conn *pgx.Conn) string {
	t.Helper()
	return models.KindWebhookEndpoint.Global(column[uuid.UUID](t, conn, "SELECT id FROM webhook_endpoints WHERE clinic_id = $1 ORDER BY id LIMIT 1", world.aurora.ID)[0])
}

// draftInvoice is the global id of a new draft.
func draftInvoice(t testing.TB, world *seeded) string {
	t.Helper()
	contact := world.database.Connect(t, world.database.SuperuserURL)
	of := column[uuid.UUID](t, contact, "SELECT id FROM contacts WHERE clinic_id = $1 AND status = 'ativo' LIMIT 1", world.aurora.ID)[0]
	var made struct {
		CreateInvoice struct{ Invoice struct{ ID string } }
	}
	world.as(t, world.aurora, "owner").Must(t, `mutation($c: ID!) { createInvoice(input: {contactId: $c, dueDate: "2026-12-31", issue: false,
		items: [{description: "Consulta", unitPrice: {amountMinor: 15000}}]}) { invoice { id } } }`, map[string]any{"c": models.KindContact.Global(of)}, &made)
	return made.CreateInvoice.Invoice.ID
}

// becomePractitioner makes the clinic's owner one of its practitioners, and gives their subject.
func becomePractitioner(t testing.TB, world *seeded) string {
	t.Helper()
	subject := seed.Subject(world.aurora.Slug, "owner")
	world.database.Exec(t, `UPDATE practitioners p SET member_id = (SELECT m.id FROM memberships m WHERE m.clinic_id = p.clinic_id AND m.subject = $2)
		WHERE p.clinic_id = $1 AND p.id = (SELECT min(x.id::text)::uuid FROM practitioners x WHERE x.clinic_id = $1)
			AND NOT EXISTS (SELECT FROM practitioners y JOIN memberships m ON m.clinic_id = y.clinic_id AND m.id = y.member_id WHERE y.clinic_id = $1 AND m.subject = $2)`,
		world.aurora.ID, subject)
	return subject
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

// TestDryRun_OfAnyMutationLeavesNoTrace dry-runs each mutation of the schema until one is
// answered without a user's mistakes.
func TestDryRun_OfAnyMutationLeavesNoTrace(t *testing.T) {
	t.Parallel()
	world := newSeeded(t, unbounded)
	owner := world.as(t, world.aurora, "owner")
	g := generatorFor(t, world.database, world.aurora, models.RoleOwner, owner, composedSeed)
	g.Faultless = true
	conn := world.database.Connect(t, world.database.SuperuserURL)
	g.Pool.IDs, g.Pool.Instants = widePool(t, world, conn), officeHours()
	before := fingerprint(t, conn, world.aurora)
	all, would := 0, 0
	for _, mutation := range g.Schema.Mutation.Fields {
		if strings.HasPrefix(mutation.Name, "__") {
			continue
		}
		if _, has := prepared()[mutation.Name]; has {
			continue
		}
		all++
		for range 40 {
			q := g.Rehearsed(mutation.Name)
			answer := owner.Do(t, q.Text, q.Variables)
			if strings.Contains(string(answer.Data), `"userErrors":[]`) && len(answer.Errors) == 0 {
				would++
				break
			}
		}
	}
	require.Greater(t, would, all*3/4, "of %d mutations few would have written anything", all)
	require.Equal(t, before, fingerprint(t, conn, world.aurora))
}

// TestDryRun_AnswersAsIfWrittenAtEveryDepth reads what was changed below the payload, by
// every way, and leaves no trace.
func TestDryRun_AnswersAsIfWrittenAtEveryDepth(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	d.Appointment(t, clinic, 0, 0, noon().AddDate(0, 0, 1), 30*time.Minute)
	owner := api.NewServer(t, d, api.At(noon())).As(t, clinic, models.RoleOwner)
	conn := d.Connect(t, d.SuperuserURL)
	before := fingerprint(t, conn, clinic)
	contact := contactID(clinic, 0)
	answer := owner.Do(t, `mutation {
		a: updateContact(input: {id: "`+contact+`", name: "Nome Novo"}) @dryRun {
			contact { name appointments { totalCount nodes { contact { name } } } }
			userErrors { code }
		}
		b: archiveContact(input: {id: "`+contact+`"}) @dryRun { contact { name status nextAppointment { contact { name status } } } userErrors { code } }
	}`, nil)
	require.Equal(t, http.StatusOK, answer.Status, "%s", answer.Body)
	require.Empty(t, answer.Errors)
	var data struct {
		A struct {
			Contact struct {
				Name         string
				Appointments struct {
					TotalCount int
					Nodes      []struct{ Contact struct{ Name string } }
				}
			}
		}
		B struct {
			Contact struct {
				Name, Status    string
				NextAppointment struct{ Contact struct{ Name, Status string } }
			}
		}
	}
	require.NoError(t, json.Unmarshal(answer.Data, &data))
	assert.Equal(t, "Nome Novo", data.A.Contact.Name)
	require.Equal(t, 1, data.A.Contact.Appointments.TotalCount)
	assert.Equal(t, "Nome Novo", data.A.Contact.Appointments.Nodes[0].Contact.Name, "what is below the payload is as it would be")
	assert.Equal(t, "ARCHIVED", data.B.Contact.NextAppointment.Contact.Status)
	assert.NotEqual(t, "Nome Novo", data.B.Contact.NextAppointment.Contact.Name, "the dry run before is taken back")
	require.Equal(t, before, fingerprint(t, conn, clinic))

	var told struct {
		Extensions struct {
			DryRun map[string]struct {
				Written, Invalidated []string
				Notified             []map[string]string
			}
		}
	}
	require.NoError(t, json.Unmarshal(answer.Body, &told))
	assert.Equal(t, []string{contact}, told.Extensions.DryRun["a"].Written)
	assert.Equal(t, []map[string]string{{"event": "CONTACT_UPDATED", "entityId": contact}}, told.Extensions.DryRun["a"].Notified)
	assert.Contains(t, told.Extensions.DryRun["b"].Invalidated, "contact/list")
	var after struct{ Contact struct{ Name string } }
	owner.Must(t, `{ contact(id: "`+contact+`") { name } }`, nil, &after)
	assert.NotEqual(t, "Nome Novo", after.Contact.Name)
}
