package touched_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// write runs one random write, through the use cases or past them, and gives
// what it did in words and its tags. Those that are refused must have none; it
// tries until one is not.
func (w *world) write(t *testing.T) (did string, tags []touched.Tag) {
	t.Helper()
	for {
		if did, tags, err := w.tryToWrite(t); err == nil {
			return did, tags
		}
	}
}

func (w *world) tryToWrite(t *testing.T) (did string, tags []touched.Tag, refused error) {
	t.Helper()
	if w.dice.IntN(2) == 0 {
		did, err := w.useCase()
		tags = w.raised.taken()
		if err != nil {
			require.Empty(t, tags, "%s was refused: %v", did, err)
		}
		require.Empty(t, w.notified(t), "%s of the API notified", did)
		return did, tags, err
	}
	sql, args := w.statement()
	_, err := w.psql.Exec(t.Context(), sql, args...)
	tags = w.notified(t)
	if err != nil {
		require.Empty(t, tags, "%s was refused: %v", sql, err)
	}
	return fmt.Sprint(sql, args), tags, err
}

func (w *world) tables() []string {
	return []string{"contacts", "practitioners", "services", "appointments", "medical_records", "invoices", "working_hours", "time_off", "slot_holds"}
}

// statement is SQL that somebody with psql might run.
func (w *world) statement() (sql string, args []any) {
	table := one(w, append(w.tables(), "appointments", "appointments", "appointments", "medical_records"))
	known := "true"
	if ids := w.ids(table); len(ids) > 1 {
		known = "id IN ('" + strings.ReplaceAll(fmt.Sprint(ids), " ", "', '") + "')"
		known = strings.NewReplacer("[", "", "]", "").Replace(known)
	}
	random := fmt.Sprintf("(SELECT id FROM %s WHERE %s ORDER BY random() LIMIT %d)", table, known, 1+w.dice.IntN(2))
	switch w.dice.IntN(8) {
	case 0, 1:
		return insertOf(table), []any{w.row(table)}
	case 2:
		if w.dice.IntN(3) > 0 {
			return insertOf(table), []any{w.row(table)}
		}
		return fmt.Sprintf("DELETE FROM %s WHERE id IN %s", table, random), nil
	case 3:
		if w.dice.IntN(3) == 0 {
			return "UPDATE clinics SET time_zone = $1", []any{one(w, []string{"America/Sao_Paulo", "America/Manaus", "UTC", "Asia/Tokyo"})}
		}
		return "UPDATE clinics SET name = $1", []any{one(w, names())}
	}
	column := one(w, columnsOf(table))
	if column.name == "id" {
		column.set = fmt.Sprintf("%%s = '%s'", one(w, w.ids(table)))
	}
	return fmt.Sprintf("UPDATE %s SET %s WHERE id IN %s", table, fmt.Sprintf(column.set, column.name), random), nil
}

// column is one that is written past the API, and how.
type column struct{ name, set string }

// columnsOf are all columns of a table that can be written. That none is
// forgotten is TestWrites_KnowEveryColumn's to see.
func columnsOf(table string) []column {
	text := func(values string) string { return "%s = (ARRAY[" + values + "])[1 + floor(random() * 3)]" }
	const shift = "%[1]s = %[1]s + (random() * 4 - 2)::int * interval '12 hours'"
	const flip = "%[1]s = NOT %[1]s"
	const count = "%[1]s = %[1]s + (random() * 2)::int * 5 - 5"
	another := func(of string) string {
		return "%s = (SELECT id FROM " + of + " WHERE clinic_id = app_clinic() ORDER BY random() LIMIT 1)"
	}
	audit := []column{{"version", count}, {"created_at", shift}, {"updated_at", shift}}
	id := column{"id", "%s = gen_random_uuid()"}
	switch table {
	case "contacts":
		return append(audit, id, column{"name", text("'Ana Souza', 'Bia', 'BIA'")}, column{"preferred_name", text("NULL, 'Ana', 'Zé'")},
			column{"email", text("NULL, 'ana@x.br', 'bia@y.br'")}, column{"phone", text("NULL, '+5511987654321', '+5521987654321'")},
			column{"tax_id", text("NULL, '12345678909', '98765432100'")}, column{"birth_date", text("NULL, date '2000-01-01', date '1990-01-01'")},
			column{"status", text("'ativo', 'lead', 'arquivado'")}, column{"tags", "%s = CASE WHEN random() < 0.5 THEN '{vip}'::text[] ELSE '{}' END"},
			column{"source", text("NULL, 'a', 'b'")}, column{"notes", text("NULL, 'a', 'b'")}, column{"external_reference", text("NULL, 'ref-1', 'ref-2'")})
	case "practitioners":
		return append(audit, id, column{"name", text("'Dr. A', 'Dr. B', 'DR. B'")}, column{"specialty", text("NULL, 'a', 'b'")},
			column{"registration", text("NULL, 'a', 'b'")}, column{"color", text("NULL, '#000000', '#ffffff'")}, column{"active", flip})
	case "services":
		return append(audit, id, column{"name", text("'A', 'B', 'b'")}, column{"duration_minutes", count}, column{"price_minor", count},
			column{"currency", text("'BRL', 'USD', 'EUR'")}, column{"active", flip})
	case "appointments":
		return append(audit, id, column{"contact_id", another("contacts")}, column{"practitioner_id", another("practitioners")},
			column{"service_id", another("services")}, column{"starts_at", shift}, column{"ends_at", shift},
			column{"starts_at", "starts_at = starts_at + interval '1 day', ends_at = ends_at + interval '1 day', notes = '%s'"},
			column{"scheduled_date", "%[1]s = %[1]s + 1"}, column{"status", text("'agendado', 'cancelado', 'concluido'")},
			column{"cancellation_reason", text("NULL, 'a', 'b'")}, column{"notes", text("NULL, 'a', 'b'")},
			column{"recurrence_rule", text("NULL, 'a', 'b'")}, column{"series_id", "%s = gen_random_uuid()"}, column{"overbooked", flip},
			column{"external_reference", text("NULL, 'a', 'b'")})
	case "medical_records":
		return append(audit, id, column{"contact_id", another("contacts")}, column{"practitioner_id", another("practitioners")},
			column{"appointment_id", another("appointments")}, column{"kind", text("'evolution', 'anamnesis', 'referral'")},
			column{"title", text("'a', 'b', 'c'")}, column{"body", text("'a', 'b', 'c'")}, column{"codes", text("'{}'::text[], '{A00}', '{B00}'")},
			column{"data", text("NULL, '1'::jsonb, '2'")}, column{"amends_id", another("medical_records")},
			column{"amendment_reason", text("'a', 'b', 'c'")}, column{"signed_at", "signed_at = now(), signed_by = 's', digest = repeat('0', 64) WHERE '%s' = '' OR random() < 0.2 AND id IS NOT NULL AND true"},
			column{"signed_by", text("NULL, 'a', 'b'")}, column{"digest", text("NULL, repeat('0', 64), repeat('1', 64)")})
	case "invoices":
		return append(audit, id, column{"number", "%s = left(gen_random_uuid()::text, 8)"}, column{"contact_id", another("contacts")},
			column{"appointment_id", another("appointments")}, column{"status", text("'rascunho', 'aberta', 'vencida'")},
			column{"due_date", "%[1]s = %[1]s + (random() * 4)::int - 2"}, column{"currency", text("'BRL', 'USD', 'EUR'")},
			column{"total_minor", "%[1]s = %[1]s + 5"}, column{"paid_minor", "%[1]s = %[1]s + 5"}, column{"issued_at", "%s = now() - random() * interval '9 days'"},
			column{"void_reason", text("NULL, 'a', 'b'")})
	case "working_hours":
		return []column{id, {"practitioner_id", another("practitioners")}, {"weekday", "%[1]s = 1 + %[1]s %% 7"}, {"from_minute", count}, {"to_minute", count}}
	case "time_off":
		return append(audit, id, column{"practitioner_id", another("practitioners")}, column{"starts_at", shift}, column{"ends_at", shift},
			column{"reason", text("NULL, 'a', 'b'")}, column{"external_uid", text("NULL, 'a', 'b'")})
	case "slot_holds":
		return []column{
			id,
			{"practitioner_id", another("practitioners")},
			{"subject", text("'a', 'b', 'c'")},
			{"starts_at", shift},
			{"ends_at", shift},
			{"expires_at", "%[1]s = %[1]s - random() * interval '50 minutes'"},
			{"created_at", "%[1]s = %[1]s - interval '1 minute'"},
		}
	}
	return nil
}

// useCase runs one of the API's.
func (w *world) useCase() (string, error) {
	ctx := w.ctx
	name := one(w, names())
	contact := models.KindContact.Global(one(w, w.contacts[:3]))
	practitioner := models.KindPractitioner.Global(one(w, w.practitioners[:2]))
	appointment := models.AppointmentStepInput{ID: models.KindAppointment.Global(one(w, w.appointments))}
	record := models.KindMedicalRecord.Global(one(w, w.records))
	starts := w.instant()
	yes := true
	switch w.dice.IntN(14) {
	case 0:
		if len(w.contacts) > 10 {
			return "nothing", errors.New("there are enough contacts")
		}
		made, err := w.people.CreateContact(ctx, models.CreateContactInput{Name: name, Tags: []string{"vip"}})
		if err == nil {
			w.contacts = append(w.contacts, made.ID)
		}
		return "CreateContact", err
	case 1:
		_, err := w.people.UpdateContact(ctx, models.UpdateContactInput{ID: contact, Name: graphql.OmittableOf(&name)})
		return "UpdateContact name", err
	case 2:
		_, err := w.people.UpdateContact(ctx, models.UpdateContactInput{ID: contact, Notes: graphql.OmittableOf(&name)})
		return "UpdateContact notes", err
	case 3:
		_, err := w.people.ArchiveContact(ctx, models.ArchiveContactInput{ID: contact})
		return "ArchiveContact", err
	case 4, 5:
		made, _, err := w.diary.Schedule(ctx, models.ScheduleAppointmentInput{
			ContactID: contact, PractitionerID: practitioner, StartsAt: starts, EndsAt: new(starts.Add(time.Hour)),
			AllowOutsideHours: &yes, Overbook: &yes,
		})
		if err == nil && len(w.appointments) < 40 {
			w.appointments = append(w.appointments, made.ID)
		}
		return "Schedule", err
	case 6, 7:
		_, _, err := w.diary.Reschedule(ctx, models.RescheduleAppointmentInput{ID: appointment.ID, StartsAt: starts})
		return "Reschedule", err
	case 8:
		_, err := w.diary.Confirm(ctx, appointment)
		return "Confirm", err
	case 9:
		_, err := w.diary.Cancel(ctx, models.CancelAppointmentInput{ID: appointment.ID, Reason: &name})
		return "Cancel", err
	case 10:
		if len(w.records) > 30 {
			return "nothing", errors.New("there are enough records")
		}
		made, err := w.chart.Create(ctx, models.CreateMedicalRecordInput{
			ContactID: contact, PractitionerID: practitioner, Kind: models.RecordKindEvolution, Title: name, Body: name,
		})
		if err == nil {
			w.records = append(w.records, made.ID)
		}
		return "Create record", err
	case 11:
		_, err := w.chart.Update(ctx, models.UpdateMedicalRecordInput{ID: record, Title: graphql.OmittableOf(&name)})
		return "Update record", err
	case 12:
		_, err := w.chart.Sign(ctx, models.SignMedicalRecordInput{ID: record})
		return "Sign record", err
	}
	if len(w.records) > 30 {
		return "nothing", errors.New("there are enough records")
	}
	made, err := w.chart.Amend(ctx, models.AmendMedicalRecordInput{ID: record, Reason: "mistake", Body: name})
	if err == nil {
		w.records = append(w.records, made.ID)
	}
	return "Amend record", err
}

func TestWrites_KnowEveryColumn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	for _, table := range w.tables() {
		known := map[string]bool{"clinic_id": true, "name_key": true}
		for _, column := range columnsOf(table) {
			known[column.name] = true
		}
		rows, err := w.psql.Query(t.Context(), "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped", table)
		require.NoError(t, err)
		var name string
		for rows.Next() {
			require.NoError(t, rows.Scan(&name))
			require.True(t, known[name], "%s.%s is written by nobody in the test of completeness", table, name)
		}
		require.NoError(t, rows.Err())
	}
}
