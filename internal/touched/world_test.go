package touched_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/people"
	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/graph"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// world is a clinic with a little of everything, in which the same few rows are
// read and written again and again.
type world struct {
	*testkit.Database
	clinic *testkit.Clinic
	ctx    context.Context // the clinic's owner's
	now    time.Time
	dice   *rand.Rand

	graph  *graph.Graph
	people *people.Directory
	diary  *scheduling.Diary
	chart  *records.Chart
	raised *raises
	// forgets is a family of tags that reads are taken not to have declared.
	forgets string

	// psql is a writer past the API; it hears the notifications, too.
	psql *pgx.Conn
	// Ids that rows have, had, or may have yet.
	contacts, practitioners, services, appointments, records, invoices []uuid.UUID
}

// raises is a Coherence that keeps the tags of transactions.
type raises struct {
	mu       sync.Mutex
	tags     []touched.Tag
	outcomes []touched.Outcome
}

func (r *raises) Raise(_ context.Context, _ uuid.UUID, tags []touched.Tag) (func(context.Context, touched.Outcome), error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tags = append(r.tags, tags...)
	return func(_ context.Context, outcome touched.Outcome) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.outcomes = append(r.outcomes, outcome)
	}, nil
}

func (*raises) AwaitNotified(context.Context, string) error { return nil }

// taken gives what was raised since the last time.
func (r *raises) taken() []touched.Tag {
	r.mu.Lock()
	defer r.mu.Unlock()
	tags := r.tags
	r.tags = nil
	return tags
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	d := testkit.NewDatabase(t)
	w := &world{
		Database: d, clinic: d.NewClinic(t, "aurora"), now: time.Now().Truncate(time.Hour),
		dice: rand.New(rand.NewPCG(seed, 0)), raised: &raises{}, psql: d.Connect(t, d.SuperuserURL),
	}
	w.ctx = w.clinic.As(t.Context(), models.RoleOwner)
	db, err := database.Open(t.Context(), database.Config{URL: d.AppURL, MaxConns: 4, Coherence: w.raised})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	clock := func() time.Time { return w.now }
	w.graph = graph.New(t, db, d.Cursors, clock)
	w.people, w.diary, w.chart = people.New(db, w.graph.Entities, d.Cursors, clock), scheduling.New(db, clock), records.New(db, clock)
	w.contacts, w.practitioners, w.services = w.clinic.Contacts, w.clinic.Practitioners, w.clinic.Services
	for range 20 {
		w.appointments = append(w.appointments, models.NewID())
		w.records = append(w.records, models.NewID())
		w.invoices = append(w.invoices, models.NewID())
	}
	w.contacts = append(w.contacts, models.NewID(), models.NewID(), models.NewID())
	w.practitioners = append(w.practitioners, models.NewID())
	w.services = append(w.services, models.NewID())
	w.exec(t, "SELECT set_config('app.clinic', $1, false)", w.clinic.ID.String())
	w.exec(t, "LISTEN "+database.NotifyChannel)
	for range 60 {
		_, _ = w.psql.Exec(t.Context(), insertOf("appointments"), w.row("appointments"))
		_, _ = w.psql.Exec(t.Context(), insertOf("medical_records"), w.row("medical_records"))
		_, _ = w.psql.Exec(t.Context(), insertOf("invoices"), w.row("invoices"))
		_, _ = w.psql.Exec(t.Context(), insertOf("time_off"), w.row("time_off"))
		_, _ = w.psql.Exec(t.Context(), insertOf("slot_holds"), w.row("slot_holds"))
	}
	w.notified(t)
	return w
}

func (w *world) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	_, err := w.psql.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

// payload is a notification of a write past the API.
type payload struct {
	Clinic *uuid.UUID    `json:"c"`
	Tags   []touched.Tag `json:"t"`
	Token  string        `json:"k"`
}

// notified gives the tags of all writes past the API since the last time. It
// writes itself and waits until it hears that, since Postgres keeps the order.
func (w *world) notified(t testing.TB) []touched.Tag {
	t.Helper()
	mark := uuid.NewString()
	w.exec(t, "SELECT pg_notify($1, $2)", database.NotifyChannel, `{"k": "`+mark+`"}`)
	var tags []touched.Tag
	for {
		ctx, done := context.WithTimeout(t.Context(), 10*time.Second)
		heard, err := w.psql.WaitForNotification(ctx)
		done()
		require.NoError(t, err)
		var p payload
		require.NoError(t, json.Unmarshal([]byte(heard.Payload), &p))
		switch {
		case p.Token == mark:
			return tags
		case p.Clinic == nil || (*p.Clinic == w.clinic.ID && p.Tags == nil):
			tags = append(tags, touched.Everything)
		case *p.Clinic == w.clinic.ID:
			tags = append(tags, p.Tags...)
		}
	}
}

func one[T any](w *world, of []T) T { return of[w.dice.IntN(len(of))] }

func some[T any](w *world, of []T) []T {
	var picked []T
	for range 1 + w.dice.IntN(3) {
		picked = append(picked, one(w, of))
	}
	return picked
}

func perhaps[T any](w *world, value T) *T {
	if w.dice.IntN(2) == 0 {
		return nil
	}
	return &value
}

// instant is in the days around now, often at their ends in the clinic's zone.
func (w *world) instant() time.Time {
	zone, _ := time.LoadLocation("America/Sao_Paulo")
	day := w.now.In(zone)
	hour := one(w, []int{0, 8, 9, 10, 11, 14, 16, 23})
	return time.Date(day.Year(), day.Month(), day.Day()+w.dice.IntN(6)-2, hour, one(w, []int{0, 30}), 0, 0, zone)
}

func (w *world) span() *models.DateTimeRange {
	from := w.instant()
	to := from.Add(time.Duration(1+w.dice.IntN(60)) * time.Hour)
	return &models.DateTimeRange{From: &from, To: &to}
}

// openSpan may lack an end, or be longer than what is named day by day.
func (w *world) openSpan() *models.DateTimeRange {
	span := w.span()
	switch w.dice.IntN(8) {
	case 0:
		span.From = nil
	case 1:
		span.To = nil
	case 2:
		span.To = new(span.From.AddDate(0, 3, 0))
	}
	return span
}

// days is an open or closed range of days around now.
func (w *world) days() map[string]any {
	from := w.now.AddDate(0, 0, w.dice.IntN(6)-3)
	days := map[string]any{"from": from.Format(time.DateOnly), "to": from.AddDate(0, 0, 1+w.dice.IntN(3)).Format(time.DateOnly)}
	if end := one(w, []string{"", "from", "to"}); end != "" {
		delete(days, end)
	}
	return days
}

// restock sees to it that there is enough to write about: whom the random writes
// refer to is there and active.
func (w *world) restock(t testing.TB) {
	t.Helper()
	for _, id := range w.contacts[:3] {
		w.exec(t, "INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, 'Ana') ON CONFLICT (clinic_id, id) DO UPDATE SET status = 'ativo'", w.clinic.ID, id)
	}
	for _, id := range w.practitioners[:2] {
		w.exec(t, "INSERT INTO practitioners (clinic_id, id, name) VALUES ($1, $2, 'Dr. A') ON CONFLICT (clinic_id, id) DO UPDATE SET active = true", w.clinic.ID, id)
	}
	if w.dice.IntN(4) == 0 {
		// What was signed would stay for ever, and what has an id that nobody asks
		// for is in the way. Nothing is cached here, so nobody needs to be told.
		w.exec(t, "SET session_replication_role = replica")
		w.exec(t, "DELETE FROM medical_records")
		for _, table := range []string{"invoices", "appointments", "time_off", "slot_holds"} {
			w.exec(t, "DELETE FROM "+table+" WHERE random() < 0.3")
		}
		w.exec(t, "SET session_replication_role = DEFAULT")
		w.records = w.records[:20]
	}
	for range 12 {
		_, _ = w.psql.Exec(t.Context(), insertOf("appointments"), w.row("appointments"))
		_, _ = w.psql.Exec(t.Context(), insertOf("medical_records"), w.row("medical_records"))
		_, _ = w.psql.Exec(t.Context(), insertOf("invoices"), w.row("invoices"))
	}
	for range 2 {
		_, _ = w.psql.Exec(t.Context(), insertOf("time_off"), w.row("time_off"))
		_, _ = w.psql.Exec(t.Context(), insertOf("slot_holds"), w.row("slot_holds"))
	}
	w.notified(t)
}

// ids are those that rows of a table have, had, or may have yet.
func (w *world) ids(table string) []uuid.UUID {
	switch table {
	case "contacts":
		return w.contacts
	case "practitioners":
		return w.practitioners
	case "services":
		return w.services
	case "appointments":
		return w.appointments
	case "medical_records":
		return w.records
	case "invoices":
		return w.invoices
	}
	return []uuid.UUID{models.NewID()}
}

// row is a row for a table as JSON, which the table may refuse.
func (w *world) row(table string) string {
	starts := w.instant()
	row := map[string]any{"clinic_id": w.clinic.ID, "id": models.NewID()}
	switch table {
	case "contacts":
		row["id"], row["name"] = one(w, w.contacts), one(w, names())
	case "practitioners":
		row["id"], row["name"] = one(w, w.practitioners), one(w, names())
	case "services":
		row["id"], row["name"], row["duration_minutes"], row["price_minor"] = one(w, w.services), one(w, names()), 30, 100
	case "appointments":
		row["id"], row["contact_id"], row["practitioner_id"] = one(w, w.appointments), one(w, w.contacts[:3]), one(w, w.practitioners[:2])
		row["starts_at"], row["ends_at"] = starts, starts.Add(time.Duration(1+w.dice.IntN(4))*30*time.Minute)
		row["status"], row["overbooked"] = one(w, []string{"agendado", "confirmado", "concluido", "cancelado"}), w.dice.IntN(4) > 0
	case "medical_records":
		row["id"], row["contact_id"], row["practitioner_id"] = one(w, w.records), one(w, w.contacts[:3]), one(w, w.practitioners[:2])
		row["kind"], row["title"], row["body"] = one(w, []string{"evolution", "anamnesis"}), one(w, names()), "text"
		switch w.dice.IntN(3) {
		case 0:
			row["amends_id"], row["amendment_reason"] = one(w, w.records), "mistake"
		case 1:
			row["appointment_id"] = one(w, w.appointments)
		}
	case "invoices":
		row["id"], row["contact_id"], row["total_minor"] = one(w, w.invoices), one(w, w.contacts[:3]), 100
		row["due_date"], row["status"], row["currency"] = starts.Format(time.DateOnly), one(w, []string{"rascunho", "aberta", "vencida"}), "BRL"
		if w.dice.IntN(2) == 0 {
			row["appointment_id"] = one(w, w.appointments)
		}
	case "working_hours":
		from := w.dice.IntN(22) * 60
		row["practitioner_id"], row["weekday"], row["from_minute"], row["to_minute"] = one(w, w.practitioners), 1+w.dice.IntN(7), from, from+60
	case "time_off":
		row["practitioner_id"], row["starts_at"], row["ends_at"] = one(w, w.practitioners), starts, starts.Add(time.Hour)
	case "slot_holds":
		row["practitioner_id"], row["starts_at"], row["ends_at"] = one(w, w.practitioners), starts, starts.Add(time.Hour)
		row["subject"], row["expires_at"] = "x", time.Now().Add(50*time.Minute)
	}
	text, err := json.Marshal(row)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func names() []string {
	return []string{"Ana Souza", "Ana Sousa", "João Silva", "joão silva", "Maria Oliveira", "Zé", "Beatriz", "Carla Dias"}
}

// insertOf inserts what of a JSON object ($1) the table has columns for, with
// the defaults of the rest.
func insertOf(table string) string {
	columns := map[string]string{
		"contacts": "name", "practitioners": "name", "services": "name, duration_minutes, price_minor",
		"appointments":    "contact_id, practitioner_id, starts_at, ends_at, status, overbooked",
		"medical_records": "contact_id, practitioner_id, kind, title, body, amends_id, amendment_reason, appointment_id",
		"invoices":        "contact_id, appointment_id, total_minor, due_date, status, currency",
		"working_hours":   "practitioner_id, weekday, from_minute, to_minute",
		"time_off":        "practitioner_id, starts_at, ends_at",
		"slot_holds":      "practitioner_id, starts_at, ends_at, subject, expires_at",
	}[table]
	return fmt.Sprintf("INSERT INTO %[1]s (clinic_id, id, %[2]s) SELECT clinic_id, id, %[2]s FROM jsonb_populate_record(NULL::%[1]s, $1::jsonb)", table, columns)
}
