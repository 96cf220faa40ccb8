package outbox_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/maintenance"
	"github.com/taskmed/taskmed/internal/outbox"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func decode(t *testing.T, answer *api.Response, into any) {
	t.Helper()
	assert.NoError(t, json.Unmarshal(answer.Data, into), "%s", answer.Body)
}

// What the schema calls an event has a trigger of that name, or says why not.
func TestEvents_EachHasASourceOrSaysWhyNot(t *testing.T) {
	t.Parallel()
	require.NoError(t, outbox.Check())
	d := testkit.NewDatabase(t)
	rows, err := d.Connect(t, d.SuperuserURL).Query(t.Context(),
		`SELECT tgrelid::regclass::text || ' ' || array_to_string((string_to_array(encode(tgargs, 'escape'), '\000'))[1:2], ' ')
		FROM pg_trigger WHERE tgfoid = 'outbox_raise'::regproc AND tgenabled = 'O'`)
	require.NoError(t, err)
	raised, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	slices.Sort(raised)
	raised = slices.Compact(raised)
	var declared []string
	for event, of := range outbox.Events() {
		table := string(of.Kind) + "s"
		if of.Kind == models.KindWaitlistEntry {
			table = "waitlist_entries"
		}
		declared = append(declared, fmt.Sprintf("%s %s %s", table, event.Word(), of.Kind))
	}
	slices.Sort(declared)
	require.Equal(t, declared, raised, "triggers that execute outbox_raise, and internal/outbox/events.go")
	for event, why := range outbox.Unraised() {
		require.NotEmpty(t, why, event)
	}
	// Each word fits the tables' checks, though nothing raises it yet.
	clinic := d.NewClinic(t, "aurora")
	for _, event := range models.AllWebhookEvent {
		d.Exec(t, "INSERT INTO outbox (clinic_id, event, entity_kind, entity_id) VALUES ($1, $2, 'contact', $1)", clinic.ID, event)
	}
	stamp(t, d)
	require.Equal(t, len(models.AllWebhookEvent), d.Count(t, "SELECT count(DISTINCT event) FROM changes"))
}

// stamp gives everything its position, as a leader does.
func stamp(t *testing.T, d *testkit.Database) {
	t.Helper()
	conn := d.Connect(t, d.AppURL)
	for d.Count(t, "SELECT count(*) FROM outbox") > 0 {
		_, err := conn.Exec(t.Context(), "SELECT outbox_stamp(500)")
		require.NoError(t, err)
	}
}

// raised are the events of an entity in the order of their positions.
func raised(t *testing.T, d *testkit.Database, entity uuid.UUID) []string {
	t.Helper()
	stamp(t, d)
	rows, err := d.Connect(t, d.SuperuserURL).Query(t.Context(), "SELECT event FROM changes WHERE entity_id = $1 ORDER BY position", entity)
	require.NoError(t, err)
	events, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return events
}

// Whoever writes raises them, psql too.
func TestEvents_AreRaisedByWhatHappens(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	c := d.NewClinic(t, "aurora")
	start := time.Date(2026, time.November, 30, 13, 0, 0, 0, time.UTC)
	appointment := d.Appointment(t, c, 0, 0, start, 30*time.Minute)
	record, draft, invoice, payment := models.NewID(), models.NewID(), models.NewID(), models.NewID()
	talk, said, told, waits := models.NewID(), models.NewID(), models.NewID(), models.NewID()
	made := map[uuid.UUID]bool{}
	for _, write := range []struct {
		entity uuid.UUID
		sql    string
		events []string
	}{
		{c.Contacts[0], "UPDATE contacts SET notes = 'x' WHERE id = $1", []string{"contact.created", "contact.updated"}},
		{appointment, "UPDATE appointments SET notes = 'x' WHERE id = $1", []string{"appointment.scheduled", "appointment.updated"}},
		{appointment, "UPDATE appointments SET status = 'confirmado' WHERE id = $1", []string{"appointment.status_changed"}},
		{appointment, "UPDATE appointments SET starts_at = starts_at + interval '1 day', ends_at = ends_at + interval '1 day' WHERE id = $1", []string{"appointment.rescheduled"}},
		{appointment, "UPDATE clinics SET time_zone = 'Asia/Tokyo' WHERE id = (SELECT clinic_id FROM appointments WHERE id = $1)", nil},
		{appointment, "UPDATE appointments SET status = 'cancelado', cancellation_reason = 'x' WHERE id = $1", []string{"appointment.cancelled"}},
		{draft, `INSERT INTO medical_records (clinic_id, id, contact_id, practitioner_id, kind, title, body)
			SELECT clinic_id, $1, id, (SELECT id FROM practitioners LIMIT 1), 'evolution', 't', 'b' FROM contacts LIMIT 1`, nil},
		{c.Contacts[1], `UPDATE practitioners p SET member_id = (SELECT id FROM memberships WHERE role = 'practitioner') WHERE $1::uuid IS NOT NULL AND p.id = (SELECT id FROM practitioners LIMIT 1)`, []string{"contact.created"}},
		{draft, "UPDATE medical_records SET signed_at = now(), signed_by = (SELECT subject FROM memberships WHERE role = 'practitioner'), digest = repeat('0', 64) WHERE id = $1", []string{"record.signed"}},
		{draft, "UPDATE medical_records SET withdrawn_at = now(), withdrawn_by = 'x', withdrawal_reason = 'x' WHERE id = $1", []string{"record.withdrawn"}},
		{record, `INSERT INTO medical_records (clinic_id, id, contact_id, practitioner_id, kind, title, body, signed_at, signed_by, digest)
			SELECT clinic_id, $1, contact_id, practitioner_id, kind, title, body, signed_at, signed_by, digest FROM medical_records LIMIT 1`, []string{"record.signed"}},
		{invoice, `INSERT INTO invoices (clinic_id, id, contact_id, total_minor, due_date) SELECT clinic_id, $1, id, 100, '2026-12-01' FROM contacts LIMIT 1`, nil},
		{invoice, "UPDATE invoices SET number = '1', status = 'aberta' WHERE id = $1", []string{"invoice.issued"}},
		{invoice, "UPDATE invoices SET paid_minor = 50, status = 'paga_parcialmente' WHERE id = $1", nil},
		{invoice, "UPDATE invoices SET paid_minor = 100, status = 'paga' WHERE id = $1", []string{"invoice.paid"}},
		{payment, "INSERT INTO payments (clinic_id, id, invoice_id, amount_minor, method, paid_at) SELECT clinic_id, $1, id, 100, 'pix', now() FROM invoices", nil},
		{payment, "UPDATE payments SET refunded_minor = 60 WHERE id = $1", []string{"payment.refunded"}},
		{payment, "UPDATE payments SET refunded_minor = 100 WHERE id = $1", []string{"payment.refunded"}},
		{invoice, "UPDATE invoices SET paid_minor = 0, status = 'anulada' WHERE id = $1", []string{"invoice.voided"}},
		{talk, "INSERT INTO conversations (clinic_id, id, contact_id, channel) SELECT clinic_id, $1, id, 'web' FROM contacts LIMIT 1", []string{"conversation.changed"}},
		{said, "INSERT INTO messages (clinic_id, id, conversation_id, direction, body, status) SELECT clinic_id, $1, id, 'inbound', 'x', 'entregue' FROM conversations", []string{"message.received"}},
		{told, "INSERT INTO messages (clinic_id, id, conversation_id, direction, body, status) SELECT clinic_id, $1, id, 'outbound', 'x', 'na_fila' FROM conversations", nil},
		{told, "UPDATE messages SET status = 'enviada' WHERE id = $1", []string{"message.status_changed"}},
		{talk, "UPDATE conversations SET status = 'fechada' WHERE id = $1", []string{"conversation.changed"}},
		{waits, "INSERT INTO waitlist_entries (clinic_id, id, contact_id, service_id, joined_by) SELECT clinic_id, $1, (SELECT id FROM contacts LIMIT 1), id, 's' FROM services LIMIT 1", nil},
		{waits, `UPDATE waitlist_entries SET offered_practitioner_id = (SELECT id FROM practitioners LIMIT 1), offered_starts_at = now() + interval '1 day',
			offered_ends_at = now() + interval '25 hours', offer_expires_at = now() + interval '10 minutes' WHERE id = $1`, []string{"waitlist.offered"}},
	} {
		before := raised(t, d, write.entity)
		if !made[write.entity] {
			before = nil // the first line has what made it, too
		}
		made[write.entity] = true
		d.Exec(t, write.sql, write.entity)
		require.Equal(t, append(append([]string{}, before...), write.events...), append([]string{}, raised(t, d, write.entity)...), write.sql)
	}
}

// world is a clinic with a server, and changes to it.
type world struct {
	t      *testing.T
	d      *testkit.Database
	clinic *testkit.Clinic
	server *api.Server
}

func newWorld(t *testing.T, options ...api.Option) world {
	t.Helper()
	d := testkit.NewDatabase(t)
	w := world{t: t, d: d, clinic: d.NewClinic(t, "aurora")}
	w.server = api.NewServer(t, d, options...)
	return w
}

type page struct {
	Changes struct {
		Edges []struct {
			Cursor string
			Node   struct {
				ID, Event, EntityID string
				Position            int64
				Entity              *struct {
					Typename string `json:"__typename"`
					ID, Name string
				}
			}
		}
		TotalCount int
	}
}

func (w world) changes(role models.Role, variables map[string]any) (page, *api.Response) {
	w.t.Helper()
	answer := w.server.As(w.t, w.clinic, role).Do(w.t, `query Changes($events: [WebhookEvent!], $first: Int, $after: String, $last: Int) {
		changes(events: $events, first: $first, after: $after, last: $last) { totalCount edges { cursor node {
			id position event entityId entity { __typename id ... on Contact { name } } } } } }`, variables)
	var got page
	if len(answer.Errors) == 0 {
		decode(w.t, answer, &got)
	}
	return got, answer
}

// A role does not hear of what it may not read: not in lists, not in counts, not by ids.
func TestChanges_TellNobodyOfWhatHeMayNotRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for event := range outbox.Events() {
		w.d.Exec(t, "INSERT INTO outbox (clinic_id, event, entity_kind, entity_id) VALUES ($1, $2, 'contact', $3)", w.clinic.ID, event, w.clinic.Contacts[0])
	}
	stamp(t, w.d)
	everything, answer := w.changes(models.RoleOwner, map[string]any{"first": 100})
	require.Empty(t, answer.Errors, "%s", answer.Body)
	require.Len(t, everything.Changes.Edges, len(outbox.Events())+3, "three contacts were made")
	hidden := 0
	for role, record := range map[models.Role]bool{
		models.RoleOwner: true, models.RoleAdmin: true, models.RolePractitioner: true, models.RoleReceptionist: true, models.RoleFinance: false, models.RolePartner: false,
	} {
		got, answer := w.changes(role, map[string]any{"first": 100})
		require.Empty(t, answer.Errors, "%s", answer.Body)
		shown := map[string]bool{}
		for _, edge := range got.Changes.Edges {
			shown[edge.Node.Event] = true
		}
		require.Equal(t, record, shown["RECORD_SIGNED"], "%s", role)
		require.Len(t, got.Changes.Edges, got.Changes.TotalCount)
		for _, edge := range everything.Changes.Edges {
			node := w.server.As(t, w.clinic, role).Do(t, "query Node($id: ID!) { node(id: $id) { id } }", map[string]any{"id": edge.Node.ID})
			require.Equal(t, shown[edge.Node.Event], string(node.Data) != `{"node":null}`, "%s: %s %s", role, edge.Node.Event, node.Body)
			if !shown[edge.Node.Event] {
				hidden++
			}
		}
		only, answer := w.changes(role, map[string]any{"events": []string{"RECORD_SIGNED", "CONTACT_UPDATED"}})
		require.Empty(t, answer.Errors, "%s", answer.Body)
		for _, edge := range only.Changes.Edges {
			require.True(t, shown[edge.Node.Event], "%s: %s", role, edge.Node.Event)
		}
	}
	require.Positive(t, hidden)
}

// What an event is of is read as it is now; what the role may not read, or is gone, is null.
func TestChanges_ShowWhatTheyAreOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	invoice := models.NewID()
	w.d.Exec(t, "INSERT INTO invoices (clinic_id, id, contact_id, number, status, total_minor, due_date) VALUES ($1, $2, $3, '1', 'aberta', 100, '2026-12-01')", w.clinic.ID, invoice, w.clinic.Contacts[0])
	w.d.Exec(t, "INSERT INTO outbox (clinic_id, event, entity_kind, entity_id) VALUES ($1, 'contact.updated', 'contact', gen_random_uuid())", w.clinic.ID)
	stamp(t, w.d)
	got, answer := w.changes(models.RoleOwner, map[string]any{"first": 100})
	require.Empty(t, answer.Errors, "%s", answer.Body)
	types := map[string]int{}
	for _, edge := range got.Changes.Edges {
		entity := edge.Node.Entity
		if entity == nil {
			types["gone"]++
			continue
		}
		require.Equal(t, edge.Node.EntityID, entity.ID)
		types[entity.Typename]++
		if entity.Typename == "Contact" {
			require.NotEmpty(t, entity.Name)
		}
	}
	require.Equal(t, map[string]int{"Contact": 3, "Invoice": 1, "gone": 1}, types)
}

// A reader whose next change was deleted is told so, and not given what comes later.
func TestChanges_ThatAreNoLongerKeptAreToldOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 20 {
		w.d.Exec(t, "UPDATE contacts SET notes = notes || 'x' WHERE clinic_id = $1 AND id = $2", w.clinic.ID, w.clinic.Contacts[0])
	}
	stamp(t, w.d)
	all, _ := w.changes(models.RoleOwner, map[string]any{"first": 100})
	require.Len(t, all.Changes.Edges, 23)
	code := func(position int) string {
		got, answer := w.changes(models.RoleOwner, map[string]any{"first": 100, "after": all.Changes.Edges[position-1].Cursor})
		if len(answer.Errors) > 0 {
			return answer.Errors[0].Extensions.Code
		}
		require.Len(t, got.Changes.Edges, 23-position)
		return ""
	}
	require.Empty(t, code(1))

	// The eleventh is young, so that the one after it, which seems old, stays, too.
	w.d.Exec(t, "UPDATE changes SET stamped_at = now() - interval '31 days' WHERE position <> 11 AND position <= 12")
	result, err := maintenance.Run(t.Context(), w.d.OwnerURL)
	require.NoError(t, err)
	require.EqualValues(t, 10, result.Changes)
	require.Equal(t, string(models.Expired), code(9))
	require.Empty(t, code(10), "it was the last to go: nothing after it did")
	require.Empty(t, code(11))
	require.Empty(t, code(23))

	// A restored database gave the position to another change.
	w.d.Exec(t, "UPDATE changes SET id = gen_random_uuid() WHERE position = 20")
	require.Equal(t, string(models.Expired), code(20))
	w.d.Exec(t, "DELETE FROM changes WHERE position > 21")
	w.d.Exec(t, "UPDATE counters SET last = 21 WHERE name = 'changes'")
	require.Equal(t, string(models.Expired), code(23), "this position has not been yet")
	w.d.Exec(t, "DELETE FROM changes")
	require.Equal(t, string(models.Expired), code(20))
	require.NotEqual(t, string(models.Expired), codeOf(w, all.Changes.Edges[20].Cursor), "all are gone, and nothing came after it")
}

func codeOf(w world, cursor string) string {
	w.t.Helper()
	_, answer := w.changes(models.RoleOwner, map[string]any{"after": cursor})
	if len(answer.Errors) > 0 {
		return answer.Errors[0].Extensions.Code
	}
	return ""
}

func TestPrune_KeepsAWeekAtLeast(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	_, err := d.Connect(t, d.AppURL).Exec(t.Context(), "SELECT outbox_prune('6 days', 10)")
	require.ErrorContains(t, err, "seven days")
}

// Of many old ones a run deletes all, some thousands at a time.
func TestPrune_DeletesInPortions(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	for _, slug := range []string{"aurora", "horizonte"} {
		c := d.NewClinic(t, slug)
		d.Exec(t, `INSERT INTO changes (clinic_id, id, position, event, entity_kind, entity_id, at, stamped_at)
			SELECT $1, gen_random_uuid(), n, 'contact.updated', 'contact', $1, now(), now() - CASE WHEN n <= 12000 THEN interval '40 days' ELSE '1 day' END FROM generate_series(1, 12010) n`, c.ID)
		d.Exec(t, "INSERT INTO counters (clinic_id, name, last) VALUES ($1, 'changes', 12010)", c.ID)
	}
	result, err := maintenance.Run(t.Context(), d.OwnerURL)
	require.NoError(t, err)
	require.EqualValues(t, 24_000, result.Changes)
	require.Equal(t, 20, d.Count(t, "SELECT count(*) FROM changes"))
}

// A dry run tells nobody anything.
func TestEvents_OfADryRunAreNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stamp(t, w.d)
	before := w.d.Count(t, "SELECT count(*) FROM changes")
	client := w.server.As(t, w.clinic, models.RoleOwner)
	client.Do(t, `mutation { createContact(input: {name: "Rita Lobo"}) @dryRun { contact { id } userErrors { code } } }`, nil)
	stamp(t, w.d)
	require.Equal(t, before, w.d.Count(t, "SELECT count(*) FROM changes"))
	client.Do(t, `mutation { createContact(input: {name: "Rita Lobo"}) { contact { id } userErrors { code } } }`, nil)
	stamp(t, w.d)
	require.Equal(t, before+1, w.d.Count(t, "SELECT count(*) FROM changes"))
}

// A kept answer falls with the next change.
func TestChanges_AreKeptUntilTheNext(t *testing.T) {
	t.Parallel()
	w := newWorld(t, api.WithOutbox())
	require.Eventually(t, func() bool { got, _ := w.changes(models.RoleOwner, nil); return len(got.Changes.Edges) == 3 }, time.Minute, 5*time.Millisecond)
	for n := range 20 {
		w.d.Exec(t, "UPDATE contacts SET notes = $3 WHERE clinic_id = $1 AND id = $2", w.clinic.ID, w.clinic.Contacts[0], fmt.Sprint(n))
		require.Eventually(t, func() bool {
			got, _ := w.changes(models.RoleOwner, map[string]any{"last": 1})
			return got.Changes.Edges[0].Node.Position == int64(4+n)
		}, time.Minute, time.Millisecond)
	}
}

// One clinic's flood does not keep another's events waiting.
func TestLeader_ServesEveryClinicAtATime(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	flood, other := d.NewClinic(t, "aurora"), d.NewClinic(t, "horizonte")
	d.Exec(t, "INSERT INTO outbox (clinic_id, event, entity_kind, entity_id) SELECT $1, 'contact.updated', 'contact', $1 FROM generate_series(1, 5000)", flood.ID)
	d.Exec(t, "UPDATE contacts SET notes = 'x' WHERE clinic_id = $1", other.ID)
	conn := d.Connect(t, d.AppURL)
	_, err := conn.Exec(t.Context(), "SELECT outbox_stamp(500)")
	require.NoError(t, err)
	require.Equal(t, 6, d.Count(t, "SELECT count(*) FROM changes WHERE clinic_id = $1", other.ID), "all of it, at once")
	require.Equal(t, 500, d.Count(t, "SELECT count(*) FROM changes WHERE clinic_id = $1", flood.ID))
}
