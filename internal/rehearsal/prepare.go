package rehearsal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/models"
	"github.com/taskmed/taskmed/web"
)

// prepare reads what is to be run, and whose ids it is run with.
func (s *Stage) prepare(ctx context.Context) ([]document, []Filler, error) {
	conn, err := pgx.Connect(ctx, s.URL)
	if err != nil {
		return nil, nil, fmt.Errorf("connect as the role that serves: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is left to lose
	rows, err := conn.Query(ctx, "SELECT name, body FROM registered_operations WHERE kind <> 'subscription' ORDER BY name, id")
	if err != nil {
		return nil, nil, fmt.Errorf("list the registered operations: %w", err)
	}
	documents, err := pgx.CollectRows(rows, pgx.RowToStructByPos[document])
	if err != nil {
		return nil, nil, fmt.Errorf("list the registered operations: %w", err)
	}
	for _, example := range web.Requests() {
		documents = append(documents, document{example.Name, example.Query})
	}
	if _, err := conn.Exec(ctx, "SELECT set_config('app.clinic', $1, false)", s.Clinic.String()); err != nil {
		return nil, nil, fmt.Errorf("set the clinic: %w", err)
	}
	fillers, err := s.fillers(ctx, conn)
	return documents, fillers, err
}

// fillers make variables of entities that the clinic has, each filler with an
// appointment and a record in another state, since what an operation may do
// depends on it. For what the clinic has none of there is an id that is not
// there: that has its statements, too.
func (s *Stage) fillers(ctx context.Context, conn *pgx.Conn) ([]Filler, error) {
	now := time.Now()
	values, err := web.Values(ctx, s.data, now)
	if err != nil {
		return nil, fmt.Errorf("look for what operations can be run with: %w", err)
	}
	free, err := time.Parse(time.RFC3339, values["freeSlotStart"])
	if err != nil {
		free = time.Time{} // nothing is free: a time is made up
	}
	common := map[string]string{"Clinic": models.KindClinic.Global(s.Clinic)}
	for schema, kind := range map[string]models.Kind{"Contact": models.KindContact, "Practitioner": models.KindPractitioner, "Service": models.KindService} {
		common[schema] = values[string(kind)+"Id"]
		if common[schema] == "" {
			common[schema] = kind.Global(models.NewID())
		}
	}
	common["Series"] = models.KindSeries.Global(models.NewID())
	for _, of := range others() {
		found, err := s.each(ctx, conn, of.kind, of.table, of.condition)
		if err != nil {
			return nil, err
		}
		common[of.schema] = found[0]
	}
	// The states that a step may follow from, as graph/appointment.graphqls has them.
	appointments, err := s.each(ctx, conn, models.KindAppointment, "appointments", "true",
		"status = 'agendado' AND starts_at > now()", "status IN ('agendado', 'confirmado') AND starts_at < now()",
		"status = 'recepcionado'", "status = 'em_atendimento'", "series_id IS NOT NULL AND status = 'agendado' AND starts_at > now()")
	if err != nil {
		return nil, err
	}
	contacts, err := s.contacts(ctx, conn, appointments)
	if err != nil {
		return nil, err
	}
	records, err := s.each(ctx, conn, models.KindMedicalRecord, "medical_records", "signed_at IS NULL", "signed_at IS NOT NULL")
	if err != nil {
		return nil, err
	}
	invoices, err := s.each(ctx, conn, models.KindInvoice, "invoices", "number IS NULL", "number IS NOT NULL AND paid_minor = 0", "number IS NOT NULL")
	if err != nil {
		return nil, err
	}
	fillers := make([]Filler, max(len(appointments), len(records), len(invoices)))
	for i := range fillers {
		ids := maps.Clone(common)
		ids["Appointment"], ids["MedicalRecord"] = appointments[i%len(appointments)], records[i%len(records)]
		ids["Invoice"] = invoices[i%len(invoices)]
		// What is of an appointment is of its contact.
		if contact := contacts[i%len(contacts)]; contact != "" {
			ids["Contact"] = contact
		}
		// Series are asked for with the last one, which is of a series.
		fillers[i] = Filler{Schema: s.Schema, IDs: ids, Now: now, Free: free, Recurs: i%len(appointments) == len(appointments)-1}
	}
	return fillers, nil
}

// other is a type of which the clinic's latest entity does that is so.
type other struct {
	schema           string
	kind             models.Kind
	table, condition string
}

func others() []other {
	return []other{
		{"TimeOff", models.KindTimeOff, "time_off", "true"},
		{"Conversation", models.KindConversation, "conversations", "true"},
		{"Member", models.KindMember, "memberships", "revoked_at IS NULL"},
		{"WaitlistEntry", models.KindWaitlistEntry, "waitlist_entries", "status = 'aguardando'"},
		{"SlotHold", models.KindSlotHold, "slot_holds", "waitlist_entry_id IS NULL"},
		{"CalendarFeed", models.KindCalendarFeed, "calendar_feeds", "revoked_at IS NULL"},
		{"ChannelAccount", models.KindChannelAccount, "channel_accounts", "true"},
		{"WebhookEndpoint", models.KindWebhookEndpoint, "webhook_endpoints", "true"},
		{"Payment", models.KindPayment, "payments", "refunded_minor < amount_minor"},
	}
}

// contacts are those of appointments; "" where there is no such appointment.
func (s *Stage) contacts(ctx context.Context, conn *pgx.Conn, appointments []string) ([]string, error) {
	found := make([]string, len(appointments))
	for i, appointment := range appointments {
		id, err := models.KindAppointment.Parse(appointment)
		if err != nil {
			return nil, fmt.Errorf("read an appointment's id: %w", err)
		}
		var contact uuid.UUID
		err = conn.QueryRow(ctx, "SELECT contact_id FROM appointments WHERE clinic_id = $1 AND id = $2", s.Clinic, id).Scan(&contact)
		if errors.Is(err, pgx.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look for an appointment's contact: %w", err)
		}
		found[i] = models.KindContact.Global(contact)
	}
	return found, nil
}

// data is what the clinic answers to one of the page's own questions.
func (s *Stage) data(ctx context.Context, query string, variables map[string]any) (json.RawMessage, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return nil, fmt.Errorf("write a request: %w", err)
	}
	data, refused := s.run(ctx, body)
	if refused != "" {
		return nil, errors.New(refused)
	}
	return data, nil
}

// each gives, for each condition, the id of the clinic's latest entity for which
// it is true.
func (s *Stage) each(ctx context.Context, conn *pgx.Conn, kind models.Kind, table string, conditions ...string) ([]string, error) {
	ids := make([]string, len(conditions))
	for i, condition := range conditions {
		var id uuid.UUID
		err := conn.QueryRow(ctx, "SELECT id FROM "+table+" WHERE clinic_id = $1 AND "+condition+" ORDER BY id DESC LIMIT 1", s.Clinic).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			id, err = models.NewID(), nil
		}
		if err != nil {
			return nil, fmt.Errorf("look for one of %s: %w", table, err)
		}
		ids[i] = kind.Global(id)
	}
	return ids, nil
}
