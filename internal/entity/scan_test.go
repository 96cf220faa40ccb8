package entity_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/billing"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/nouns"
	"github.com/taskmed/taskmed/internal/people"
	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// scanned is a noun with what pgx by itself reads of the same rows.
type scanned struct {
	of      entity.Declaration
	columns []string
	byPgx   func(t *testing.T, d *testkit.Database, clinic *testkit.Clinic, sql string) []any
}

func scans[T any](of entity.Declaration, columns ...string) scanned {
	return scanned{of, columns, func(t *testing.T, d *testkit.Database, clinic *testkit.Clinic, sql string) []any {
		t.Helper()
		rows, err := database.Rows[T](clinic.As(t.Context(), models.RoleOwner), d.DB, sql)
		require.NoError(t, err, sql)
		all := make([]any, len(rows))
		for i, row := range rows {
			inUTC(row)
			all[i] = row
		}
		return all
	}}
}

// inUTC gives a row's instants the location that they are read with here.
func inUTC(row any) {
	of := reflect.ValueOf(row).Elem()
	for i := range of.NumField() {
		if !of.Type().Field(i).IsExported() {
			continue
		}
		switch at := of.Field(i).Addr().Interface().(type) {
		case *time.Time:
			if !at.IsZero() {
				*at = at.UTC()
			}
		case **time.Time:
			if *at != nil {
				**at = (*at).UTC()
			}
		}
	}
}

func allScanned() map[string]scanned {
	return map[string]scanned{
		"contacts":        scans[models.Contact](people.Contact()),
		"clinics":         scans[models.Clinic](people.Clinic()),
		"practitioners":   scans[models.Practitioner](people.Practitioner()),
		"services":        scans[models.Service](people.Service()),
		"appointments":    scans[models.Appointment](scheduling.Appointment()),
		"working_hours":   scans[models.WorkingHour](scheduling.WorkingHours()),
		"time_off":        scans[models.TimeOff](scheduling.TimeOff()),
		"medical_records": scans[models.MedicalRecord](records.MedicalRecord()),
		"invoices":        scans[models.Invoice](billing.Invoice()),
	}
}

// Every column of every noun, full and empty, is read as pgx reads it: texts, enums'
// words, numbers, instants, dates, lists, JSON and ids, and their nulls.
func TestScan_ReadsEveryColumnAsPgxDoes(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	clinic := b.NewClinic(t, "here")
	id := func(of []byte) string { return "'" + fmt.Sprintf("%x", of) + "'::uuid" }
	ana, beatriz := id(clinic.Contacts[0][:]), id(clinic.Practitioners[0][:])
	for _, sql := range []string{
		`UPDATE contacts SET preferred_name = 'Aná "x"\ 🦷', email = 'a@b.br', phone = '+5511987654321', tax_id = '52998224725', birth_date = '1970-01-01',
			tags = '{vip,"a b","ü,"}', source = 's', notes = E'line\n\ttwo', external_reference = 'ref', created_at = '1969-12-31T23:59:59.999999Z', updated_at = '2262-04-12T00:00:00.000001Z'
			WHERE id = ` + ana,
		"UPDATE practitioners SET registration = 'CRM 1', color = '#ffffff', active = false WHERE id = " + beatriz,
		"UPDATE practitioners SET specialty = NULL WHERE id <> " + beatriz,
		"UPDATE practitioners p SET member_id = m.id FROM memberships m WHERE m.clinic_id = p.clinic_id AND m.role = 'practitioner' AND p.id = " + beatriz,
		"UPDATE services SET price_minor = 9007199254740993, currency = 'USD' WHERE duration_minutes = 60",
		`INSERT INTO time_off (clinic_id, id, practitioner_id, starts_at, ends_at, reason) SELECT clinic_id, gen_random_uuid(), id, '2026-01-01', '2026-01-02', CASE active WHEN true THEN 'r' END FROM practitioners`,
		`INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, service_id, starts_at, ends_at, status, notes, cancellation_reason, external_reference, overbooked)
			SELECT c.clinic_id, gen_random_uuid(), c.id, ` + beatriz + `, CASE WHEN n > 3 THEN (SELECT id FROM services LIMIT 1) END, '2026-02-01'::timestamptz + n * interval '1 hour',
				'2026-02-01'::timestamptz + n * interval '1 hour 30 minutes', s.status, CASE WHEN n > 4 THEN 'n' END, CASE WHEN n > 5 THEN 'c' END, CASE WHEN n > 6 THEN 'e' END, true
			FROM contacts c, unnest(ARRAY['agendado', 'confirmado', 'recepcionado', 'em_atendimento', 'concluido', 'cancelado', 'faltou']) WITH ORDINALITY AS s(status, n) WHERE c.id = ` + ana,
		`INSERT INTO medical_records (clinic_id, id, contact_id, practitioner_id, appointment_id, kind, title, body, codes, data, signed_at, signed_by, digest)
			SELECT c.id, gen_random_uuid(), ` + ana + ", " + beatriz + `, (SELECT id FROM appointments LIMIT 1), 'referral', 't', 'b', '{A00,B00.1}', '{"a": [1, null, "ü"]}', now(), m.subject, repeat('0', 64)
			FROM clinics c JOIN memberships m ON m.clinic_id = c.id AND m.role = 'practitioner'`,
		`INSERT INTO medical_records (clinic_id, id, contact_id, practitioner_id, kind, title, body, amends_id, amendment_reason)
			SELECT clinic_id, gen_random_uuid(), contact_id, practitioner_id, kind, 't2', 'b', id, 'r' FROM medical_records`,
		`INSERT INTO invoices (clinic_id, id, contact_id, appointment_id, number, status, total_minor, due_date, issued_at) SELECT clinic_id, gen_random_uuid(), contact_id, id, '1', 'aberta', 100, '2099-12-01', now() FROM appointments LIMIT 1`,
		`INSERT INTO invoices (clinic_id, id, contact_id, total_minor, due_date) SELECT clinic_id, gen_random_uuid(), id, 0, '2026-12-02' FROM contacts LIMIT 1`,
	} {
		b.Exec(t, sql)
	}
	known := allScanned()
	for _, noun := range b.graph.Entities.Nouns() {
		c, ok := known[noun.Table]
		if !ok { // its leaves are testkit/conform's to compare
			continue
		}
		delete(known, noun.Table)
		sql := "SELECT " + strings.Join(noun.Columns, ", ") + " FROM " + noun.Table + " ORDER BY id"
		read, err := entity.Scan(clinic.As(t.Context(), models.RoleOwner), b.DB, c.of, sql, noun.Columns...)
		require.NoError(t, err, noun.Table)
		require.NotEmpty(t, read, noun.Table)
		require.Equal(t, c.byPgx(t, b.Database, clinic, sql), columnsAlone(read), noun.Table)
		// A column alone, so that one that is read into the wrong place shows.
		for _, column := range noun.Columns {
			sql := "SELECT " + column + " FROM " + noun.Table + " ORDER BY id"
			read, err := entity.Scan(clinic.As(t.Context(), models.RoleOwner), b.DB, c.of, sql, column)
			require.NoError(t, err, "%s.%s", noun.Table, column)
			require.Equal(t, c.byPgx(t, b.Database, clinic, sql), columnsAlone(read), "%s.%s", noun.Table, column)
		}
	}
	require.Empty(t, known, "all of them are nouns")
}

// columnsAlone takes off rows what is no column of theirs.
func columnsAlone(rows []any) []any {
	for _, row := range rows {
		if appointment, ok := row.(*models.Appointment); ok {
			appointment.Asker = ""
		}
	}
	return rows
}

// What is not read by its wire form goes a slower way: which columns do is no accident.
func TestScan_LeavesFewColumnsToPgx(t *testing.T) {
	t.Parallel()
	var others []string
	for _, declaration := range nouns.All() {
		names, err := entity.ByOthers(declaration)
		require.NoError(t, err)
		others = append(others, names...)
	}
	slices.Sort(others)
	require.Equal(t, []string{"api_keys.key_hash", "calendar_feeds.secret_hash", "channel_accounts.settings", "contacts.other_phones", "contacts.tags", "medical_records.codes", "webhook_deliveries.last_status", "webhook_endpoints.events", "webhook_endpoints.former_keys", "webhook_endpoints.keys"}, others)
}

// A word that no enum has makes each answer with the row fail: tables take none.
func TestEnums_HaveTheirWordsInTheDatabase(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	rows, err := d.Connect(t, d.SuperuserURL).Query(t.Context(), `SELECT a.attrelid::regclass || '.' || a.attname,
			(regexp_matches(pg_get_constraintdef(c.oid), '''([^'']*)''::text', 'g'))[1]
		FROM pg_attribute a JOIN pg_constraint c ON c.contype = 'c' AND (c.conrelid = a.attrelid AND c.conkey = ARRAY[a.attnum] OR c.contypid = a.atttypid)
		WHERE a.attrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace)`)
	require.NoError(t, err)
	words := map[string][]string{}
	var column, word string
	_, err = pgx.ForEachRow(rows, []any{&column, &word}, func() error { words[column] = append(words[column], word); return nil })
	require.NoError(t, err)
	looked := 0
	for _, declaration := range nouns.All() {
		enums, err := entity.Enums(declaration)
		require.NoError(t, err)
		for column, read := range enums {
			assert.NotEmpty(t, words[column], "%s takes any word: give it a CHECK (… IN (…)), or a domain that has one", column)
			for _, word := range words[column] {
				require.NoError(t, read(word), "%s takes %q", column, word)
			}
			require.Error(t, read("another"), column)
			looked++
		}
	}
	require.Greater(t, looked, 15)
}

func TestScan_RefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	clinic := b.NewClinic(t, "here")
	scan := func(of entity.Declaration, sql string, columns ...string) error {
		_, err := entity.Scan(clinic.As(t.Context(), models.RoleOwner), b.DB, of, sql, columns...)
		return err
	}
	for name, c := range map[string]struct {
		of     entity.Declaration
		sql    string
		column string
	}{
		"a null where there is none":     {people.Contact(), "SELECT NULL::text", "name"},
		"a null id":                      {people.Contact(), "SELECT NULL::uuid", "id"},
		"a null instant":                 {people.Contact(), "SELECT NULL::timestamptz", "created_at"},
		"a null enum":                    {people.Contact(), "SELECT NULL::text", "status"},
		"infinity":                       {people.Contact(), "SELECT 'infinity'::timestamptz", "created_at"},
		"minus infinity":                 {people.Contact(), "SELECT '-infinity'::timestamptz", "created_at"},
		"infinity that may be null":      {records.MedicalRecord(), "SELECT 'infinity'::timestamptz", "signed_at"},
		"an infinite date":               {people.Contact(), "SELECT 'infinity'::date", "birth_date"},
		"an unknown word":                {people.Contact(), "SELECT 'x'::text", "status"},
		"a list of lists":                {people.Contact(), "SELECT '{{a},{b}}'::text[]", "tags"},
		"a text for an id":               {people.Contact(), "SELECT 'x'::text", "id"},
		"a text for a number":            {people.Contact(), "SELECT 'x'::text", "version"},
		"more columns than asked for":    {people.Contact(), "SELECT 'x'::text, 'y'::text", "name"},
		"fewer columns than asked for":   {people.Contact(), "SELECT", "name"},
		"a second row that does not":     {people.Contact(), "VALUES ('a'::text), (NULL)", "name"},
		"a row that Postgres gives up":   {people.Contact(), "SELECT CASE n WHEN 3 THEN (1 / (n - 3))::text ELSE 'a' END FROM generate_series(1, 3) AS n", "name"},
		"a word after one that is known": {people.Contact(), "VALUES ('ativo'::text), ('ATIVO')", "status"},
	} {
		require.Error(t, scan(c.of, c.sql, c.column), name)
	}
	require.NoError(t, scan(people.Contact(), "SELECT 'ativo'::text", "status"))
	require.ErrorContains(t, scan(people.Contact(), "SELECT NULL::text", "name"), "name is null")
}

// A practitioner sees of a CPF its middle, whoever read it before.
func TestScan_MasksForTheScopesRole(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	clinic := b.NewClinic(t, "here")
	for role, wanted := range map[models.Role]string{
		models.RoleOwner: "52998224725", models.RolePractitioner: "***.982.247-**", models.RoleReceptionist: "52998224725", models.RolePartner: "***.982.247-**",
	} {
		rows, err := entity.Scan(clinic.As(t.Context(), role), b.DB, people.Contact(), "SELECT '52998224725'::text UNION ALL SELECT NULL", "tax_id")
		require.NoError(t, err)
		require.Len(t, rows, 2)
		contact, ok := rows[0].(*models.Contact)
		require.True(t, ok)
		require.Equal(t, wanted, *contact.TaxID, role)
		b.graph.Entities.Show(t.Context(), scopeOf(t, clinic, role), "Contact", contact)
		require.Equal(t, wanted, *contact.TaxID, "masked twice")
	}
}
