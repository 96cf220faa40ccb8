package app_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/doctor"
	"github.com/taskmed/taskmed/internal/rehearsal"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/web"
)

// register publishes an operation, as taskmed operations publish does.
func register(t *testing.T, d *testkit.Database, name, kind, body string) {
	t.Helper()
	d.Exec(t, `INSERT INTO registered_operations (id, hash, name, kind, body)
		SELECT h, h, $1, $2, $3 FROM encode(sha256(convert_to($3, 'UTF8')), 'hex') AS h`, name, kind, body)
}

func rehearsed(t *testing.T, world *seeded) rehearsal.Found {
	t.Helper()
	settings, err := config.Development(nil, world.database.AppURL, strings.Repeat("00", 32))
	require.NoError(t, err)
	found, err := app.Rehearse(t.Context(), settings, world.aurora.ID)
	require.NoError(t, err)
	return found
}

func TestRehearse_SeesWhatOperationsSendAndWritesNothing(t *testing.T) {
	t.Parallel()
	world := newSeeded(t)
	d := world.database
	register(t, d, "Absences", "query", `query Absences($range: DateTimeRange!, $first: Int) {
		clinic { practitioners(first: $first) { nodes { id timeOff(range: $range) { startsAt } } } } }`)
	register(t, d, "Gone", "query", `query Gone { noLongerThere }`)
	registerMutations(t, d)
	// Somebody waits, somebody is being treated, and somebody did not come.
	d.Exec(t, `UPDATE appointments a SET status = s.status FROM (SELECT id, (ARRAY['recepcionado', 'em_atendimento', 'agendado'])[row_number() OVER ()] AS status
		FROM (SELECT id FROM appointments WHERE clinic_id = $1 AND ends_at < now() - interval '1 day' ORDER BY starts_at DESC LIMIT 3) l) s WHERE a.clinic_id = $1 AND a.id = s.id`, world.aurora.ID)
	rows := func() (sum int) {
		tables, err := doctor.TenantTables(t.Context(), d.Connect(t, d.OwnerURL))
		require.NoError(t, err)
		for _, table := range tables {
			sum = sum*31 + d.Count(t, "SELECT coalesce(sum(hashtext(r::text)::bigint % 1000000007), 0)::bigint % 1000003 FROM "+table+" r")
		}
		return sum
	}
	before := rows()
	found := rehearsed(t, world)
	require.Equal(t, before, rows(), "a row was changed")

	examples, writing := len(web.Requests()), 0
	for _, example := range web.Requests() {
		if strings.Contains(example.Query, "\nmutation ") {
			writing++
		}
	}
	require.Equal(t, examples+13, found.Operations, "the examples, a query and twelve mutations")
	require.Len(t, found.Failed, 1, "%v", found.Failed)
	require.Contains(t, found.Failed["Gone"], "noLongerThere")
	require.Len(t, found.Writing, 12+writing, "twelve and the examples'")
	// Postgres asks who adds, changes or revokes a member or a key and who signs, and nobody of the clinic
	// rehearses; a function that writes ends an offer; hours that are drawn overlap, who is first in line is
	// offered nothing, the seeded clinic has no channel, and what is drawn is no digest.
	require.ElementsMatch(t, []string{
		"AcceptWaitlistOffer", "AddMember", "ChangeMember", "ChannelAccount", "CreateApiKey", "LeaveWaitlist", "RequestAttachmentUpload", "RevokeAccess", "SetWorkingHours", "SignMedicalRecord", "SignRecord",
	}, found.Unfinished, "each other one was rehearsed to its end")
	all := strings.Join(found.Statements, "\n")
	for _, part := range []string{
		"FROM \"appointments\"", "search_contacts(", "FROM \"medical_records\"", "FROM \"time_off\"", "FROM \"working_hours\"", "INSERT INTO \"contacts\"", "FROM \"contacts\" WHERE id = $1",
		`UPDATE "contacts" SET`, `INSERT INTO "appointments"`, `UPDATE "appointments" SET "cancellation_reason"`, `UPDATE "appointments" SET "ends_at"`,
		`INSERT INTO "medical_records"`, `UPDATE "medical_records" SET "body"`, `UPDATE "medical_records" SET "digest"`, "WHERE (amends_id = $1 AND withdrawn_at IS NULL)",
	} {
		require.Contains(t, all, part)
	}
	require.NotContains(t, all, "maria", "values are parameters")
}

// registerMutations publishes one operation for each mutation that changes
// something that is there.
func registerMutations(t *testing.T, d *testkit.Database) {
	t.Helper()
	for _, m := range []struct{ mutation, input, payload string }{
		{"updateContact", "UpdateContactInput", "contact { id name }"},
		{"archiveContact", "ArchiveContactInput", "contact { id }"},
		{"rescheduleAppointment", "RescheduleAppointmentInput", "appointment { id } alternatives { startsAt }"},
		{"confirmAppointment", "AppointmentStepInput", "appointment { id contact { name } }"},
		{"checkInAppointment", "AppointmentStepInput", "appointment { id }"},
		{"startAppointment", "AppointmentStepInput", "appointment { id }"},
		{"completeAppointment", "AppointmentStepInput", "appointment { id }"},
		{"markNoShow", "AppointmentStepInput", "appointment { id }"},
		{"cancelAppointment", "CancelAppointmentInput", "appointment { id }"},
		{"updateMedicalRecord", "UpdateMedicalRecordInput", "medicalRecord { id }"},
		{"signMedicalRecord", "SignMedicalRecordInput", "medicalRecord { id digest }"},
		{"amendMedicalRecord", "AmendMedicalRecordInput", "medicalRecord { id amends { id } }"},
	} {
		name := strings.ToUpper(m.mutation[:1]) + m.mutation[1:]
		register(t, d, name, "mutation", "mutation "+name+"($input: "+m.input+"!) { "+m.mutation+"(input: $input) { "+m.payload+" userErrors { message } } }")
	}
}

// An amendment locks the record, looks whether it is amended already, and then
// writes: what the look costs is seen, though it comes after the first statement
// that a read-only transaction refuses.
func TestRehearse_FindsTheScanInTheMiddleOfAMutation(t *testing.T) {
	t.Parallel()
	world := newSeeded(t)
	d := world.database
	d.Exec(t, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
	d.Exec(t, "ANALYZE medical_records")
	require.NotContains(t, problems(t, d, world), "rows of medical_records")
	d.Exec(t, "DROP INDEX idx_medical_records_amends, idx_medical_records_amending")
	require.Regexp(t, `amends_id = \$1.*: all \d+ rows of medical_records`, problems(t, d, world))
}

// problems are what doctor finds in the statements of a rehearsal.
func problems(t *testing.T, d *testkit.Database, world *seeded) string {
	t.Helper()
	found := rehearsed(t, world)
	report, err := doctor.Indexes(t.Context(), d.Connect(t, d.OwnerURL), d.Connect(t, d.AppURL), doctor.IndexOptions{
		LargeRows: 300, Clinic: world.aurora.ID.String(), Statements: found.Statements, Operations: found.Operations,
	})
	require.NoError(t, err)
	var all strings.Builder
	for _, finding := range report.Findings {
		if finding.Level == doctor.Problem {
			all.WriteString(finding.Subject + ": " + finding.Detail + "\n")
		}
	}
	return all.String()
}

// A statement that never ran is found, because an operation that is registered sends it.
func TestRehearse_FindsTheIndexThatIsMissingBeforeAnyoneWaits(t *testing.T) {
	t.Parallel()
	world := newSeeded(t)
	d := world.database
	d.Exec(t, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
	register(t, d, "Absences", "query", `query Absences($range: DateTimeRange!) { clinic { practitioners(first: 5) { nodes { timeOff(range: $range) { startsAt } } } } }`)
	d.Exec(t, `INSERT INTO time_off (clinic_id, id, practitioner_id, starts_at, ends_at)
		SELECT $1, gen_random_uuid(), (SELECT id FROM practitioners WHERE clinic_id = $1 LIMIT 1), now() + n * interval '2 hours', now() + (n * 2 + 1) * interval '1 hour'
		FROM generate_series(1, 3000) n`, world.aurora.ID)
	d.Exec(t, "ANALYZE time_off")
	problems := func() string {
		found := rehearsed(t, world)
		report, err := doctor.Indexes(t.Context(), d.Connect(t, d.OwnerURL), d.Connect(t, d.AppURL), doctor.IndexOptions{
			LargeRows: 2500, Clinic: world.aurora.ID.String(), Statements: found.Statements, Operations: found.Operations,
		})
		require.NoError(t, err)
		require.Contains(t, report.Examined, fmt.Sprintf("%d operations send", len(web.Requests())+1))
		var all strings.Builder
		for _, finding := range report.Findings {
			if finding.Level == doctor.Problem {
				all.WriteString(finding.Subject + ": " + finding.Detail + "\n")
			}
		}
		return all.String()
	}
	require.NotContains(t, problems(), "time_off")
	for index := range strings.FieldsSeq(indexesOf(t, d, "time_off")) {
		d.Exec(t, "DROP INDEX "+index)
	}
	require.Contains(t, problems(), "rows of time_off")
}

// indexesOf lists a table's indexes that enforce nothing.
func indexesOf(t *testing.T, d *testkit.Database, table string) string {
	t.Helper()
	var names string
	require.NoError(t, d.Connect(t, d.SuperuserURL).QueryRow(t.Context(), `SELECT coalesce(string_agg(indexrelid::regclass::text, ' '), '') FROM pg_index
		WHERE indrelid = $1::text::regclass AND NOT indisunique AND NOT indisexclusion`, table).Scan(&names))
	return names
}
