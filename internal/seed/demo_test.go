package seed_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/nyaruka/phonenumbers"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// The clinics of `taskmed dev`, looked at from all sides.
func TestRun_Demo(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	o := seed.Demo(today())
	result, err := seed.Run(t.Context(), d.OwnerURL, o, nil)
	require.NoError(t, err)
	t.Logf("%d rows in %v: %.0f rows/s; then ANALYZE in %v", result.Rows, result.Took, result.RowsPerSecond(), result.Analyzed)

	t.Run("counts are as asked", func(t *testing.T) {
		require.Len(t, result.Clinics, 2)
		for _, clinic := range result.Clinics {
			require.Equal(t, "America/Sao_Paulo", clinic.TimeZone)
			for table, want := range map[string]int{
				"contacts": o.Contacts, "practitioners": o.Practitioners, "appointments": o.Appointments,
				"medical_records": o.Records, "contact_search": o.Contacts, "services": 12, "memberships": 6 + o.Practitioners,
			} {
				require.Equal(t, want, d.Count(t, "SELECT count(*) FROM "+table+" WHERE clinic_id = $1", clinic.ID), table)
			}
		}
		require.Equal(t, 2, d.Count(t, "SELECT count(*) FROM memberships WHERE subject = $1 AND role = 'owner' AND permissions = '{developer}'", seed.Developer))
		total := 0
		for table, rows := range result.Tables {
			require.Equal(t, rows, d.Count(t, "SELECT count(*) FROM "+table), table)
			total += rows
		}
		require.Equal(t, total, result.Rows)
	})
	t.Run("the diary is sound", func(t *testing.T) { requireSoundDiary(t, d) })
	t.Run("an ordinary day has about forty appointments", func(t *testing.T) {
		conn := d.Connect(t, d.SuperuserURL)
		var median float64
		var least, most, days int
		require.NoError(t, conn.QueryRow(t.Context(), `
			SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n), min(n), max(n), count(*) FROM (
			  SELECT count(*) AS n FROM appointments
			  WHERE clinic_id = $1 AND extract(isodow FROM scheduled_date) <= 5 GROUP BY scheduled_date) days`, result.Clinics[0].ID).
			Scan(&median, &least, &most, &days))
		t.Logf("weekdays: %d, appointments on one: median %.0f, from %d to %d", days, median, least, most)
		require.InDelta(t, 40, median, 4)
		require.Greater(t, days, 480)
	})
	t.Run("the past is done and the future is not", func(t *testing.T) {
		require.Zero(t, d.Count(t, "SELECT count(*) FROM appointments WHERE scheduled_date < $1 AND status NOT IN ('concluido', 'cancelado', 'faltou')", today()))
		require.Zero(t, d.Count(t, "SELECT count(*) FROM appointments WHERE scheduled_date > $1 AND status NOT IN ('agendado', 'confirmado', 'cancelado')", today()))
		require.Greater(t, d.Count(t, "SELECT count(*) FROM appointments WHERE scheduled_date < $1 AND status = 'concluido'", today()), 15_000)
		require.Greater(t, d.Count(t, "SELECT count(DISTINCT status) FROM appointments WHERE scheduled_date = $1", today()), 4)
		for _, table := range []string{"contacts", "appointments", "medical_records", "messages", "invoices", "payments"} {
			require.Zero(t, d.Count(t, "SELECT count(*) FROM "+table+" WHERE greatest(created_at, updated_at) > $1::date::timestamp AT TIME ZONE 'America/Sao_Paulo' OR updated_at < created_at", today()), table)
		}
		require.Zero(t, d.Count(t, "SELECT count(*) FROM appointments a JOIN contacts c ON c.clinic_id = a.clinic_id AND c.id = a.contact_id WHERE c.status = 'lead' OR c.status <> 'ativo' AND a.scheduled_date > $1", today()))
	})
	t.Run("people are plausible", func(t *testing.T) { requirePlausiblePeople(t, d) })
	t.Run("signed records verify", func(t *testing.T) { requireSignedRecords(t, d) })
	t.Run("money adds up", func(t *testing.T) {
		require.Zero(t, d.Count(t, "SELECT count(*) FROM invoices i WHERE total_minor <> (SELECT sum(total_minor) FROM invoice_items t WHERE t.clinic_id = i.clinic_id AND t.invoice_id = i.id)"))
		require.Zero(t, d.Count(t, "SELECT count(*) FROM invoices i WHERE paid_minor <> (SELECT coalesce(sum(amount_minor - refunded_minor), 0) FROM payments p WHERE p.clinic_id = i.clinic_id AND p.invoice_id = i.id)"))
		require.Zero(t, d.Count(t, "SELECT count(*) FROM invoices WHERE (status = 'paga') <> (paid_minor = total_minor)"))
		require.Zero(t, d.Count(t, "SELECT count(*) FROM payments p WHERE refunded_minor <> (SELECT coalesce(sum(amount_minor), 0) FROM refunds r WHERE r.clinic_id = p.clinic_id AND r.payment_id = p.id)"))
		require.Zero(t, d.Count(t, "SELECT count(*) FROM invoices i JOIN clinics c ON c.id = i.clinic_id WHERE (overdue_at, i.pix_key, payee) IS DISTINCT FROM ((due_date + 1)::timestamp AT TIME ZONE c.time_zone, c.pix_key, c.name)"))
		require.Zero(t, d.Count(t, "SELECT count(*) FROM counters n WHERE last <> (SELECT count(*) FROM invoices i WHERE i.clinic_id = n.clinic_id AND number::bigint BETWEEN 1 AND n.last)"))
	})
	t.Run("talk adds up", func(t *testing.T) {
		require.Zero(t, d.Count(t, "SELECT count(*) FROM conversations c WHERE received_count <> (SELECT count(*) FROM messages m WHERE m.clinic_id = c.clinic_id AND m.conversation_id = c.id AND direction = 'inbound')"))
		require.Zero(t, d.Count(t, `SELECT count(*) FROM conversations c WHERE received_count - read_count <> (SELECT count(*) FROM messages m
			WHERE m.clinic_id = c.clinic_id AND m.conversation_id = c.id AND direction = 'inbound' AND (c.read_until IS NULL OR m.created_at > c.read_until))`))
		require.Zero(t, d.Count(t, "SELECT count(*) FROM conversations c WHERE NOT EXISTS (SELECT FROM contact_identities i WHERE i.clinic_id = c.clinic_id AND i.contact_id = c.contact_id AND i.channel = c.channel)"))
		require.Positive(t, d.Count(t, "SELECT count(*) FROM conversations WHERE read_count < received_count"))
	})
	t.Run("contacts are found by every word of their names", func(t *testing.T) {
		require.Zero(t, d.Count(t, `
			SELECT count(*) FROM contacts c
			WHERE NOT EXISTS (SELECT FROM contact_search_words w WHERE w.clinic_id = c.clinic_id AND w.contact_id = c.id AND w.word = split_part(c.name_key, ' ', 1))`))
	})
	t.Run("ids are UUIDv7 of the time they were made", func(t *testing.T) {
		for _, table := range []string{"contacts", "appointments", "medical_records"} {
			require.Zero(t, d.Count(t, `SELECT count(*) FROM `+table+` WHERE id::text !~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'
				OR ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint <> floor(extract(epoch FROM created_at) * 1000)`), table)
		}
	})
}

// requireSoundDiary asks Postgres, in the clinic's wall clock, whether every
// appointment lies within one block of working hours, off nobody's time, as
// long as its service, on the day that it says, and over no other live one.
func requireSoundDiary(t *testing.T, d *testkit.Database) {
	t.Helper()
	require.Zero(t, d.Count(t, `
		SELECT count(*) FROM appointments a JOIN clinics c ON c.id = a.clinic_id,
		LATERAL (SELECT a.starts_at AT TIME ZONE c.time_zone AS from_local, a.ends_at AT TIME ZONE c.time_zone AS to_local) l
		WHERE NOT EXISTS (
		  SELECT FROM working_hours h
		  WHERE h.clinic_id = a.clinic_id AND h.practitioner_id = a.practitioner_id AND h.weekday = extract(isodow FROM l.from_local)
		    AND l.from_local >= date_trunc('day', l.from_local) + make_interval(mins => h.from_minute)
		    AND l.to_local <= date_trunc('day', l.from_local) + make_interval(mins => h.to_minute))`), "outside working hours")
	require.Zero(t, d.Count(t, `
		SELECT count(*) FROM appointments a JOIN time_off o
		  ON o.clinic_id = a.clinic_id AND o.practitioner_id = a.practitioner_id AND o.starts_at < a.ends_at AND o.ends_at > a.starts_at`), "in time off")
	require.Zero(t, d.Count(t, `
		SELECT count(*) FROM appointments a JOIN services s ON s.clinic_id = a.clinic_id AND s.id = a.service_id
		WHERE a.ends_at - a.starts_at <> make_interval(mins => s.duration_minutes)`), "not as long as the service")
	require.Zero(t, d.Count(t, `
		SELECT count(*) FROM appointments a JOIN clinics c ON c.id = a.clinic_id
		WHERE a.scheduled_date <> (a.starts_at AT TIME ZONE c.time_zone)::date`), "on another day")
	require.Zero(t, d.Count(t, `
		SELECT count(*) FROM (
		  SELECT starts_at, lag(ends_at) OVER (PARTITION BY clinic_id, practitioner_id ORDER BY starts_at) AS before
		  FROM appointments WHERE status NOT IN ('cancelado', 'faltou')) live WHERE before > starts_at`), "double booked")
	require.Zero(t, d.Count(t, `SELECT count(*) FROM appointments a WHERE a.created_at >= a.starts_at`), "booked too late")
	require.Greater(t, d.Count(t, "SELECT count(DISTINCT series_id) FROM appointments"), 10)
	require.Zero(t, d.Count(t, `
		SELECT count(*) FROM (
		  SELECT FROM appointments WHERE series_id IS NOT NULL GROUP BY clinic_id, series_id
		  HAVING count(DISTINCT (contact_id, practitioner_id, service_id, recurrence_rule, created_at)) > 1
		    OR min(recurrence_rule) <> 'FREQ=WEEKLY;COUNT=' || count(*)
		    OR max(recurrence_local) - min(recurrence_local) <> (count(*) - 1) * interval '7 days') torn`), "no series")
}

func requirePlausiblePeople(t *testing.T, d *testkit.Database) {
	t.Helper()
	type person struct {
		Name                string
		TaxID, Phone, Email *string
	}
	rows, err := d.Connect(t, d.SuperuserURL).Query(t.Context(), "SELECT name, tax_id, phone, email FROM contacts")
	require.NoError(t, err)
	people, err := pgx.CollectRows(rows, pgx.RowToStructByPos[person])
	require.NoError(t, err)
	require.Len(t, people, 4000)
	require.True(t, validCPF("52998224725"))
	require.False(t, validCPF("52998224724"))
	var taxIDs, phones, emails, accents int
	for _, p := range people {
		require.GreaterOrEqual(t, len(strings.Fields(p.Name)), 2, p.Name)
		if strings.ContainsAny(p.Name, "áâãçéêíóôõúÁÂÉÍÓÚ") {
			accents++
		}
		if p.TaxID != nil {
			require.True(t, validCPF(*p.TaxID), *p.TaxID)
			taxIDs++
		}
		if p.Phone != nil {
			number, err := phonenumbers.Parse(*p.Phone, "")
			require.NoError(t, err)
			require.True(t, phonenumbers.IsValidNumberForRegion(number, "BR"), *p.Phone)
			require.Equal(t, *p.Phone, phonenumbers.Format(number, phonenumbers.E164))
			phones++
		}
		if p.Email != nil {
			require.Regexp(t, `^[a-z]+\.[a-z]+[0-9]+@[a-z]+\.example$`, *p.Email)
			emails++
		}
	}
	for what, share := range map[string]int{"tax ids": taxIDs, "phones": phones, "e-mails": emails, "accents": accents} {
		require.Greater(t, share, 1000, what)
	}
	require.Zero(t, d.Count(t, "SELECT count(*) FROM contacts WHERE birth_date >= created_at::date OR birth_date < '1925-01-01'"))
	require.Zero(t, d.Count(t, "SELECT count(*) FROM contacts WHERE 'idoso' = ANY (tags) AND birth_date > '1970-01-01' OR 'gestante' = ANY (tags) AND birth_date < '1980-01-01'"))
	require.Equal(t, 4, d.Count(t, "SELECT count(DISTINCT status) FROM contacts"))
	require.Greater(t, d.Count(t, "SELECT count(*) FROM contacts WHERE status = 'ativo'"), 3000)
}

// validCPF is written apart from the seeder's own: Receita Federal's weights.
func validCPF(id string) bool {
	if len(id) != 11 || strings.Count(id, id[:1]) == 11 {
		return false
	}
	for _, weights := range [][]int{{10, 9, 8, 7, 6, 5, 4, 3, 2}, {11, 10, 9, 8, 7, 6, 5, 4, 3, 2}} {
		sum := 0
		for i, weight := range weights {
			sum += int(id[i]-'0') * weight
		}
		want := 11 - sum%11
		if want >= 10 {
			want = 0
		}
		if int(id[len(weights)]-'0') != want {
			return false
		}
	}
	return true
}

func requireSignedRecords(t *testing.T, d *testkit.Database) {
	t.Helper()
	rows, err := d.Connect(t, d.SuperuserURL).Query(t.Context(), `
		SELECT clinic_id::text, id::text, contact_id::text, practitioner_id::text, appointment_id::text, kind, title, body, codes, data::text,
		  signed_at, signed_by, digest, amends_id::text, amendment_reason
		FROM medical_records WHERE signed_at IS NOT NULL`)
	require.NoError(t, err)
	files := map[uuid.UUID][]*models.Attachment{}
	attached, err := d.Connect(t, d.SuperuserURL).Query(t.Context(), "SELECT id, medical_record_id, file_name, media_type, byte_size, digest FROM attachments")
	require.NoError(t, err)
	for attached.Next() {
		var a models.Attachment
		require.NoError(t, attached.Scan(&a.ID, &a.MedicalRecordID, &a.FileName, &a.MediaType, &a.ByteSize, &a.Digest))
		files[a.MedicalRecordID] = append(files[a.MedicalRecordID], &a)
		sum := sha256.Sum256(seed.File(a.ID))
		require.Equal(t, hex.EncodeToString(sum[:]), a.Digest)
		require.Len(t, seed.File(a.ID), a.ByteSize)
	}
	require.NoError(t, attached.Err())
	require.Greater(t, len(files), 100)
	verified, amended := 0, 0
	kinds := map[string]int{}
	for rows.Next() {
		var r models.MedicalRecord
		var clinic, id, contact, practitioner, kind string
		var appointment, data, amends *string
		require.NoError(t, rows.Scan(&clinic, &id, &contact, &practitioner, &appointment, &kind, &r.Title, &r.Body, (*[]string)(&r.Codes), &data,
			&r.SignedAt, &r.Signer, &r.Digest, &amends, &r.AmendmentReason))
		r.ClinicID, r.ID, r.ContactID, r.PractitionerID = uuid.MustParse(clinic), uuid.MustParse(id), uuid.MustParse(contact), uuid.MustParse(practitioner)
		if appointment != nil {
			r.AppointmentID = new(uuid.MustParse(*appointment))
		}
		if amends != nil {
			r.AmendsID = new(uuid.MustParse(*amends))
			amended++
		}
		if data != nil {
			r.Data = models.JSON(*data)
		}
		require.NoError(t, r.Kind.Scan(kind))
		require.Equal(t, *r.Digest, records.Digest(&r, files[r.ID]...), "%s %s", kind, id)
		verified++
		kinds[kind]++
	}
	require.NoError(t, rows.Err())
	require.Greater(t, verified, 19_000)
	require.Less(t, verified, 20_000, "the newest are drafts")
	require.Greater(t, amended, 50)
	require.Len(t, kinds, 7)
	require.Zero(t, d.Count(t, `SELECT count(*) FROM medical_records r WHERE NOT codes[1] ~ '^[A-Z][0-9]{2}(\.[0-9])?$'`))
	require.Zero(t, d.Count(t, `SELECT count(*) FROM medical_records r JOIN appointments a ON a.clinic_id = r.clinic_id AND a.id = r.appointment_id
		WHERE a.contact_id <> r.contact_id OR a.practitioner_id <> r.practitioner_id OR r.created_at < a.starts_at`))
	for _, code := range []string{"I10", "E11.9", "M54.5"} {
		require.Positive(t, d.Count(t, "SELECT count(*) FROM medical_records WHERE $1 = ANY (codes)", code), code)
	}
}
