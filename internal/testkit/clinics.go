package testkit

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// Clinic is a small clinic that a test knows by heart.
type Clinic struct {
	ID   uuid.UUID
	Slug string
	// Practitioners work from Monday to Friday, 08:00 to 12:00 and 13:00 to 18:00.
	Practitioners []uuid.UUID
	// Services take 30 and 60 minutes.
	Services []uuid.UUID
	// Contacts are Ana Souza, João Silva and Maria Oliveira.
	Contacts []uuid.UUID
}

// NewClinic makes a clinic in São Paulo's zone with a member per role.
func (d *Database) NewClinic(t testing.TB, slug string) *Clinic {
	t.Helper()
	return d.NewClinicIn(t, slug, "America/Sao_Paulo")
}

// NewClinicIn makes a clinic in a time zone.
func (d *Database) NewClinicIn(t testing.TB, slug, zone string) *Clinic {
	t.Helper()
	c := &Clinic{ID: models.NewID(), Slug: slug}
	var batch pgx.Batch
	batch.Queue("INSERT INTO clinics (id, name, slug, time_zone) VALUES ($1, $2, $3, $4)", c.ID, "Clínica "+slug, slug, zone)
	batch.Queue("INSERT INTO clinic_slugs (slug, clinic) VALUES ($1, $2)", slug, c.ID)
	for _, role := range models.AllRole {
		batch.Queue("INSERT INTO memberships (clinic_id, id, subject, name, role) VALUES ($1, $2, $3, $4, $5)",
			c.ID, models.NewID(), Subject(slug, role), string(role), role)
	}
	for _, name := range []string{"Dra. Beatriz Lima", "Dr. Carlos Prado"} {
		id := models.NewID()
		c.Practitioners = append(c.Practitioners, id)
		batch.Queue("INSERT INTO practitioners (clinic_id, id, name, specialty) VALUES ($1, $2, $3, 'Clínica geral')", c.ID, id, name)
		for weekday := range 5 {
			for _, hours := range [][2]int{{8 * 60, 12 * 60}, {13 * 60, 18 * 60}} {
				batch.Queue("INSERT INTO working_hours (clinic_id, id, practitioner_id, weekday, from_minute, to_minute) VALUES ($1, $2, $3, $4, $5, $6)",
					c.ID, models.NewID(), id, weekday+1, hours[0], hours[1])
			}
		}
	}
	for _, service := range []struct {
		name    string
		minutes int
	}{{"Consulta", 30}, {"Avaliação", 60}} {
		id := models.NewID()
		c.Services = append(c.Services, id)
		batch.Queue("INSERT INTO services (clinic_id, id, name, duration_minutes, price_minor) VALUES ($1, $2, $3, $4, 15000)", c.ID, id, service.name, service.minutes)
	}
	batch.Queue(`INSERT INTO practitioner_services (clinic_id, practitioner_id, service_id)
		SELECT $1, p.id, s.id FROM practitioners p JOIN services s ON s.clinic_id = p.clinic_id WHERE p.clinic_id = $1`, c.ID)
	for _, name := range []string{"Ana Souza", "João Silva", "Maria Oliveira"} {
		id := models.NewID()
		c.Contacts = append(c.Contacts, id)
		batch.Queue("INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, $3)", c.ID, id, name)
	}
	briefly(t, d.SuperuserURL, func(ctx context.Context, conn *pgx.Conn) error { return conn.SendBatch(ctx, &batch).Close() })
	return c
}

// LetMembersBeWritten gives the application's role back, in this database, the right to
// write memberships: for tests of what becomes of such a write that is the API's.
func (d *Database) LetMembersBeWritten(t testing.TB) {
	t.Helper()
	d.Exec(t, "GRANT INSERT, UPDATE ON memberships TO taskmed_app")
}

// Subject is the member of a clinic who has a role.
func Subject(slug string, role models.Role) string { return fmt.Sprintf("%s@%s.test", role, slug) }

// As is a context of the clinic's member who has a role.
func (c *Clinic) As(ctx context.Context, role models.Role, permissions ...string) context.Context {
	return tenant.With(ctx, &tenant.Scope{
		Subject: Subject(c.Slug, role), ClinicID: c.ID, Role: role, Permissions: permissions,
	})
}

// Appointment books a scheduled appointment by SQL: the contact and the
// practitioner are indices into the clinic's.
func (d *Database) Appointment(t testing.TB, c *Clinic, contact, practitioner int, start time.Time, length time.Duration) uuid.UUID {
	t.Helper()
	id := models.NewID()
	d.Exec(t, "INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, starts_at, ends_at) VALUES ($1, $2, $3, $4, $5, $6)",
		c.ID, id, c.Contacts[contact], c.Practitioners[practitioner], start, start.Add(length))
	return id
}

// Draft adds a medical record that nobody signed, of the clinic's first contact and
// practitioner, called Raio X.
func (d *Database) Draft(t testing.TB, clinic *Clinic) uuid.UUID {
	t.Helper()
	id := models.NewID()
	d.Exec(t, "INSERT INTO medical_records (clinic_id, id, contact_id, practitioner_id, kind, title, body) VALUES ($1, $2, $3, $4, 'exam_result', 'Raio X', 'b')",
		clinic.ID, id, clinic.Contacts[0], clinic.Practitioners[0])
	return id
}

// Holds keeps far slots of two of a clinic's practitioners by SQL, for an hour, and offers
// three of them to who waits last: holds are of minutes, so the seeder makes none.
func (d *Database) Holds(t testing.TB, clinic uuid.UUID, today time.Time) {
	t.Helper()
	d.Exec(t, `INSERT INTO slot_holds (clinic_id, id, practitioner_id, subject, starts_at, ends_at, created_at, expires_at)
		SELECT $1, gen_random_uuid(), p.id, 'x', d, d + interval '30 minutes', now(), now() + interval '1 hour'
		FROM (SELECT id FROM practitioners WHERE clinic_id = $1 ORDER BY id LIMIT 2) p,
			generate_series($2::timestamptz + interval '900 days', $2::timestamptz + interval '930 days', interval '1 day') AS d`, clinic, today)
	d.Exec(t, `WITH offered AS (
			SELECT h.id, h.practitioner_id, h.starts_at, h.ends_at, h.created_at, h.expires_at, e.id AS entry
			FROM (SELECT *, row_number() OVER (ORDER BY starts_at, id) AS n FROM slot_holds WHERE clinic_id = $1) h
			JOIN (SELECT id, row_number() OVER (ORDER BY created_at DESC, id) AS n FROM waitlist_entries WHERE clinic_id = $1 AND status = 'aguardando') e USING (n)
			WHERE n <= 3
		), held AS (
			UPDATE slot_holds h SET waitlist_entry_id = o.entry FROM offered o WHERE h.clinic_id = $1 AND h.id = o.id
		), written AS (
			INSERT INTO waitlist_offers (clinic_id, id, entry_id, practitioner_id, starts_at, ends_at, offered_at, expires_at)
			SELECT $1, id, entry, practitioner_id, starts_at, ends_at, created_at, expires_at FROM offered
		)
		UPDATE waitlist_entries e SET offered_practitioner_id = o.practitioner_id, offered_starts_at = o.starts_at, offered_ends_at = o.ends_at, offer_expires_at = o.expires_at
		FROM offered o WHERE e.clinic_id = $1 AND e.id = o.entry`, clinic)
}
