package app_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

// These tests compare the API's answers with what SQL says that was written by
// hand, run as the superuser, past everything that TaskMed does.

func TestDayView_AnswersAsSQLByHand(t *testing.T) {
	t.Parallel()
	world := newSeeded(t)
	text, _ := readQuery(t, "day_view")
	days := 0
	for offset := -20; offset <= 20; offset++ {
		from := time.Date(2026, time.November, 23+offset, 3, 0, 0, 0, time.UTC)
		to := from.Add(24 * time.Hour)
		var answer struct{ Appointments struct{ Nodes []any } }
		world.as(t, world.aurora, "owner").Must(t, text, map[string]any{"range": map[string]any{"from": from, "to": to}}, &answer)
		byHand := rows(t, world, `
			SELECT a.id, a.starts_at, a.ends_at, a.status, a.contact_id, c.name, c.phone, a.practitioner_id, p.name, a.service_id, s.name
			FROM appointments a
			JOIN contacts c ON (c.clinic_id, c.id) = (a.clinic_id, a.contact_id)
			JOIN practitioners p ON (p.clinic_id, p.id) = (a.clinic_id, a.practitioner_id)
			LEFT JOIN services s ON (s.clinic_id, s.id) = (a.clinic_id, a.service_id)
			WHERE a.clinic_id = $1 AND a.starts_at >= $2 AND a.starts_at < $3
			ORDER BY a.starts_at, a.id LIMIT 50`,
			func(row pgx.CollectableRow) (any, error) {
				var appointment, contact, practitioner uuid.UUID
				var service *uuid.UUID
				var start, end time.Time
				var status models.AppointmentStatus
				var name, practitionerName string
				var phone, serviceName *string
				err := row.Scan(&appointment, &start, &end, &status, &contact, &name, &phone, &practitioner, &practitionerName, &service, &serviceName)
				wanted := map[string]any{
					"id": models.KindAppointment.Global(appointment), "startsAt": instant(start), "endsAt": instant(end), "status": status,
					"contact":      map[string]any{"id": models.KindContact.Global(contact), "name": name, "phone": phone},
					"practitioner": map[string]any{"id": models.KindPractitioner.Global(practitioner), "name": practitionerName},
					"service":      nil,
				}
				if service != nil {
					wanted["service"] = map[string]any{"id": models.KindService.Global(*service), "name": serviceName}
				}
				return wanted, err
			}, world.aurora.ID, from, to)
		if byHand == nil {
			byHand = []any{}
		}
		requireSame(t, byHand, answer.Appointments.Nodes)
		if len(byHand) > 0 {
			days++
		}
	}
	require.Greater(t, days, 15, "most days have appointments")
}

func TestContactList_AnswersAsSQLByHand(t *testing.T) {
	t.Parallel()
	world := newSeeded(t)
	text, _ := readQuery(t, "contact_list")
	owner := world.as(t, world.horizonte, "owner")
	byHand := rows(t, world, `
		SELECT c.id, c.name, c.phone, c.email, c.status, n.id, n.starts_at, n.practitioner
		FROM contacts c LEFT JOIN LATERAL (
			SELECT a.id, a.starts_at, p.name AS practitioner FROM appointments a
			JOIN practitioners p ON (p.clinic_id, p.id) = (a.clinic_id, a.practitioner_id)
			WHERE (a.clinic_id, a.contact_id) = (c.clinic_id, c.id) AND a.starts_at >= $2
			  AND a.status IN ('agendado', 'confirmado', 'recepcionado', 'em_atendimento')
			ORDER BY a.starts_at, a.id LIMIT 1) n ON true
		WHERE c.clinic_id = $1 AND c.status = 'ativo' ORDER BY normalize_text(c.name), c.id`,
		func(row pgx.CollectableRow) (any, error) {
			var contact uuid.UUID
			var name string
			var phone, email, practitioner *string
			var status models.ContactStatus
			var next *uuid.UUID
			var start *time.Time
			err := row.Scan(&contact, &name, &phone, &email, &status, &next, &start, &practitioner)
			wanted := map[string]any{
				"id": models.KindContact.Global(contact), "name": name, "phone": phone, "email": email, "status": status, "nextAppointment": nil,
			}
			if next != nil {
				wanted["nextAppointment"] = map[string]any{
					"id": models.KindAppointment.Global(*next), "startsAt": instant(*start), "practitioner": map[string]any{"name": practitioner},
				}
			}
			return wanted, err
		}, world.horizonte.ID, noon())
	require.Greater(t, len(byHand), 60, "more than a page")

	var all []any
	var after *string
	for {
		var answer struct {
			Contacts struct {
				Nodes    []any
				PageInfo struct {
					HasNextPage bool
					EndCursor   *string
				}
			}
		}
		owner.Must(t, text, map[string]any{"after": after}, &answer)
		all = append(all, answer.Contacts.Nodes...)
		if after = answer.Contacts.PageInfo.EndCursor; !answer.Contacts.PageInfo.HasNextPage {
			break
		}
	}
	requireSame(t, byHand, all)
}

func TestContactPage_AnswersAsSQLByHand(t *testing.T) {
	t.Parallel()
	world := newSeeded(t)
	text, _ := readQuery(t, "contact_page")
	contacts := rows(t, world, `
		SELECT jsonb_build_object('uuid', c.id, 'name', c.name, 'preferredName', c.preferred_name, 'email', c.email, 'phone', c.phone,
			'taxId', c.tax_id, 'birthDate', c.birth_date, 'tags', c.tags, 'source', c.source, 'notes', c.notes,
			'externalReference', c.external_reference, 'version', c.version,
			'appointments', coalesce((SELECT jsonb_agg(jsonb_build_object('uuid', a.id, 'practitioner', p.name) ORDER BY a.starts_at DESC, a.id DESC)
				FROM (SELECT * FROM appointments a WHERE (a.clinic_id, a.contact_id) = (c.clinic_id, c.id) ORDER BY starts_at DESC, id DESC LIMIT 10) a
				JOIN practitioners p ON (p.clinic_id, p.id) = (a.clinic_id, a.practitioner_id)), '[]'),
			'medicalRecords', coalesce((SELECT jsonb_agg(jsonb_build_object('uuid', r.id, 'title', r.title, 'practitioner', p.name) ORDER BY r.created_at DESC, r.id DESC)
				FROM (SELECT * FROM medical_records r WHERE (r.clinic_id, r.contact_id) = (c.clinic_id, c.id) ORDER BY created_at DESC, id DESC LIMIT 5) r
				JOIN practitioners p ON (p.clinic_id, p.id) = (r.clinic_id, r.practitioner_id)), '[]'))
		FROM contacts c WHERE c.clinic_id = $1 ORDER BY c.id`, pgx.RowTo[any], world.aurora.ID)
	require.Len(t, contacts, 150)
	for _, contact := range contacts {
		byHand := contact.(map[string]any)
		id := uuid.MustParse(byHand["uuid"].(string))
		var answer struct{ Contact map[string]any }
		world.as(t, world.aurora, "owner").Must(t, text, map[string]any{"id": models.KindContact.Global(id)}, &answer)
		page := answer.Contact
		require.Equal(t, models.KindContact.Global(id), page["id"])
		for name, value := range byHand {
			switch name {
			case "uuid":
			case "appointments":
				requireSame(t, globals(value, models.KindAppointment), short(page[name], "practitioner"))
			case "medicalRecords":
				requireSame(t, globals(value, models.KindMedicalRecord), short(page[name], "practitioner", "title"))
			default:
				require.Equal(t, value, page[name], name)
			}
		}
	}
}

func TestAvailability_AnswersAsSQLByHand(t *testing.T) {
	t.Parallel()
	world := newSeeded(t)
	var services struct {
		Clinic struct {
			Services struct {
				Nodes []struct {
					ID              string
					DurationMinutes int
				}
			}
		}
	}
	owner := world.as(t, world.aurora, "owner")
	owner.Must(t, `{ clinic { services(first: 3, active: true) { nodes { id durationMinutes } } } }`, nil, &services)
	from, to, compared := noon(), noon().Add(10*24*time.Hour), 0
	for _, service := range services.Clinic.Services.Nodes {
		var answer struct{ Availability []any }
		owner.Must(t, `query ($service: ID!, $range: DateTimeRange!) {
			availability(serviceId: $service, range: $range) { startsAt endsAt practitioner { id } } }`,
			map[string]any{"service": service.ID, "range": map[string]any{"from": from, "to": to}}, &answer)
		parsed, err := models.KindService.Parse(service.ID)
		require.NoError(t, err)
		// Multiranges do the arithmetic: hours, less what is booked, held or off.
		byHand := rows(t, world, `
			WITH hours AS (
				SELECT p.id, range_agg(tstzrange(
					(day + make_interval(mins => w.from_minute)) AT TIME ZONE c.time_zone,
					(day + make_interval(mins => w.to_minute)) AT TIME ZONE c.time_zone)) AS spans
				FROM practitioners p
				JOIN clinics c ON c.id = p.clinic_id
				JOIN working_hours w ON (w.clinic_id, w.practitioner_id) = (p.clinic_id, p.id)
				JOIN generate_series($2::timestamptz::date::timestamp - interval '1 day', $3::timestamptz::date::timestamp + interval '1 day', interval '1 day') AS day
					ON extract(isodow FROM day) = w.weekday
				JOIN practitioner_services o ON (o.clinic_id, o.practitioner_id) = (p.clinic_id, p.id) AND o.service_id = $5
				WHERE p.clinic_id = $1 AND p.active GROUP BY p.id),
			grid AS (
				SELECT p.id, (day + make_interval(mins => m)) AT TIME ZONE c.time_zone AS start
				FROM practitioners p
				JOIN clinics c ON c.id = p.clinic_id
				JOIN working_hours w ON (w.clinic_id, w.practitioner_id) = (p.clinic_id, p.id)
				JOIN generate_series($2::timestamptz::date::timestamp - interval '1 day', $3::timestamptz::date::timestamp + interval '1 day', interval '1 day') AS day
					ON extract(isodow FROM day) = w.weekday
				CROSS JOIN generate_series(w.from_minute, w.to_minute - 1, c.slot_grid_minutes) AS m
				WHERE p.clinic_id = $1),
			taken AS (
				SELECT practitioner_id AS id, range_agg(tstzrange(starts_at, ends_at)) AS spans FROM (
					SELECT practitioner_id, starts_at, ends_at FROM appointments WHERE clinic_id = $1 AND status NOT IN ('cancelado', 'faltou')
					UNION ALL SELECT practitioner_id, starts_at, ends_at FROM time_off WHERE clinic_id = $1) t GROUP BY 1),
			free AS (
				SELECT h.id, unnest(h.spans * tstzmultirange(tstzrange($2, $3)) - coalesce(t.spans, '{}')) AS span
				FROM hours h LEFT JOIN taken t USING (id))
			SELECT jsonb_build_object('practitioner', jsonb_build_object('id', id::text), 'startsAt', start, 'endsAt', start + make_interval(mins => $4))
			FROM free JOIN grid USING (id) WHERE tstzrange(start, start + make_interval(mins => $4)) <@ span
			ORDER BY start, id`,
			pgx.RowTo[any], world.aurora.ID, from, to, service.DurationMinutes, parsed)
		compared += len(byHand)
		for _, slot := range byHand {
			fields := slot.(map[string]any)
			practitioner := fields["practitioner"].(map[string]any)
			practitioner["id"] = models.KindPractitioner.Global(uuid.MustParse(practitioner["id"].(string)))
			for _, end := range []string{"startsAt", "endsAt"} {
				at, err := time.Parse(time.RFC3339, fields[end].(string))
				require.NoError(t, err)
				fields[end] = instant(at)
			}
		}
		requireSame(t, byHand, answer.Availability)
	}
	require.Positive(t, compared)
}

func rows[T any](t testing.TB, world *seeded, sql string, scan pgx.RowToFunc[T], args ...any) []T {
	t.Helper()
	result, err := world.database.Connect(t, world.database.SuperuserURL).Query(t.Context(), sql, args...)
	require.NoError(t, err)
	collected, err := pgx.CollectRows(result, scan)
	require.NoError(t, err)
	return collected
}

// requireSame compares as JSON, so that only what is said counts.
func requireSame(t *testing.T, byHand, answered any) {
	t.Helper()
	want, err := json.Marshal(byHand)
	require.NoError(t, err)
	got, err := json.Marshal(answered)
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(got))
}

func instant(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.999999Z07:00") }

// globals replaces the uuids of a list by global ids.
func globals(list any, kind models.Kind) []map[string]any {
	all := []map[string]any{}
	for _, item := range list.([]any) {
		entity := item.(map[string]any)
		entity["id"] = kind.Global(uuid.MustParse(entity["uuid"].(string)))
		delete(entity, "uuid")
		all = append(all, entity)
	}
	return all
}

// short keeps of a connection's nodes the id and some fields; a practitioner's
// name stands for the practitioner.
func short(connection any, names ...string) []map[string]any {
	all := []map[string]any{}
	for _, item := range connection.(map[string]any)["nodes"].([]any) {
		node := item.(map[string]any)
		kept := map[string]any{"id": node["id"]}
		for _, name := range names {
			kept[name] = node[name]
			if of, object := node[name].(map[string]any); object {
				kept[name] = of["name"]
			}
		}
		all = append(all, kept)
	}
	return all
}
