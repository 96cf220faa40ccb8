package people_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/profile"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// names are those of the contacts that a filter leaves, in the list's order.
func listed(t *testing.T, client *api.Client, filter string) []string {
	t.Helper()
	var got struct {
		Contacts struct {
			Nodes      []struct{ Name string }
			TotalCount int
		}
	}
	client.Must(t, "{ contacts(filter: "+filter+", first: 100) { nodes { name } totalCount } }", nil, &got)
	names := []string{}
	for _, node := range got.Contacts.Nodes {
		names = append(names, node.Name)
	}
	require.Len(t, names, got.Contacts.TotalCount, "what is counted is what is shown")
	return names
}

func (r *reception) add(t *testing.T, name, columns, values string) {
	t.Helper()
	r.d.Exec(t, fmt.Sprintf("INSERT INTO contacts (clinic_id, id, name, %s) VALUES ($1, $2, $3, %s)", columns, values), r.here.ID, models.NewID(), name)
}

func newFilterReception(t *testing.T) *reception {
	t.Helper()
	r := newReception(t)
	r.d.Exec(t, "UPDATE contacts SET status = 'arquivado', name = 'Z ' || name WHERE clinic_id = $1", r.here.ID)
	return r
}

func TestContacts_LeaveOutWhoIsArchivedUnlessAsked(t *testing.T) {
	t.Parallel()
	r := newFilterReception(t)
	r.add(t, "Ana", "status", "'ativo'")
	r.add(t, "Bia", "status", "'arquivado'")
	r.add(t, "Caio", "status", "'lead'")
	require.Equal(t, []string{"Ana", "Caio"}, listed(t, r.desk, "null"))
	require.Equal(t, []string{"Ana", "Caio"}, listed(t, r.desk, "{}"))
	require.Equal(t, []string{"Ana", "Caio"}, listed(t, r.desk, "{status: null}"))
	require.Equal(t, []string{"Ana", "Bia"}, listed(t, r.desk, `{status: [ARCHIVED, ACTIVE]}`)[:2])
	require.Empty(t, listed(t, r.desk, "{status: []}"))
	// And what is kept follows.
	r.d.Exec(t, "UPDATE contacts SET status = 'ativo' WHERE clinic_id = $1 AND name = 'Bia'", r.here.ID)
	require.Eventually(t, func() bool {
		return slices.Equal([]string{"Ana", "Bia", "Caio"}, listed(t, r.desk, "null"))
	}, 10*time.Second, 10*time.Millisecond)
}

func TestContacts_ByBirthdayWhateverTheYear(t *testing.T) {
	t.Parallel()
	r := newFilterReception(t)
	for _, born := range []string{"1980-01-01", "1990-02-28", "1992-02-29", "1985-03-01", "2001-12-31", "1970-06-15"} {
		r.add(t, born[5:], "birth_date", "'"+born+"'")
	}
	r.add(t, "unknown", "birth_date", "NULL")
	all := []string{"01-01", "02-28", "02-29", "03-01", "06-15", "12-31"}
	for span, want := range map[string][]string{
		`{from: "2027-06-15", to: "2027-06-15"}`: {"06-15"},
		`{from: "2027-02-28", to: "2027-02-28"}`: {"02-28", "02-29"}, // a year without a 29th
		`{from: "2028-02-28", to: "2028-02-28"}`: {"02-28"},
		`{from: "2028-02-29", to: "2028-02-29"}`: {"02-29"},
		`{from: "2027-03-01", to: "2027-03-31"}`: {"03-01"},
		`{from: "2027-02-01", to: "2027-02-28"}`: {"02-28", "02-29"},
		`{from: "2027-02-28", to: "2027-03-01"}`: {"02-28", "02-29", "03-01"},
		`{from: "2026-12-31", to: "2027-01-01"}`: {"01-01", "12-31"},
		`{from: "2026-12-20", to: "2027-02-28"}`: {"01-01", "02-28", "02-29", "12-31"},
		`{from: "2027-03-01", to: "2028-02-28"}`: {"01-01", "02-28", "03-01", "06-15", "12-31"},
		`{from: "2027-02-28", to: "2028-02-27"}`: all,
		`{from: "2028-02-29", to: "2029-02-28"}`: all,
		`{from: "2020-01-01", to: "2030-01-01"}`: all,
		`{from: "2027-03-01"}`:                   all,
		`{to: "2027-02-28"}`:                     all,
		`{}`:                                     all,
	} {
		if span == `{from: "2027-02-28", to: "2028-02-27"}` {
			want = all // 28 February 2027 is the 29th's
		}
		assert.Equal(t, want, listed(t, r.desk, "{birthday: "+span+"}"), span)
	}
	refused := r.desk.Do(t, `{ contacts(filter: {birthday: {from: "2027-02-02", to: "2027-02-01"}}) { totalCount } }`, nil)
	require.Len(t, refused.Errors, 1)
	require.Equal(t, "BAD_USER_INPUT", refused.Errors[0].Extensions.Code)
}

func TestContacts_ByLabels(t *testing.T) {
	t.Parallel()
	r := newFilterReception(t)
	r.add(t, "Ana", "tags", "'{vip,idoso}'")
	r.add(t, "Bia", "tags", "'{vip}'")
	r.add(t, "Caio", "tags", "'{idoso,VIP}'")
	for filter, want := range map[string][]string{
		`{allTags: ["vip"]}`:                   {"Ana", "Bia"},
		`{tag: "vip"}`:                         {"Ana", "Bia"},
		`{allTags: ["idoso", "vip", "vip"]}`:   {"Ana"},
		`{tag: "idoso", allTags: ["VIP"]}`:     {"Caio"},
		`{allTags: ["vip", "nobody's"]}`:       {},
		`{allTags: []}`:                        {},
		`{allTags: null}`:                      {"Ana", "Bia", "Caio"},
		`{allTags: [" vip "], hasTaxId: true}`: {},
	} {
		assert.Equal(t, want, listed(t, r.desk, filter), filter)
	}
	// Whoever writes them, by whatever way.
	r.d.Exec(t, "UPDATE contacts SET tags = array_replace(tags, 'vip', 'novo') WHERE clinic_id = $1", r.here.ID)
	require.Eventually(t, func() bool {
		return slices.Equal([]string{"Ana", "Bia"}, listed(t, r.desk, `{allTags: ["novo"]}`)) && len(listed(t, r.desk, `{allTags: ["vip"]}`)) == 0
	}, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, r.d.Count(t, "SELECT count(*) FROM contacts, unnest(tags)"), r.d.Count(t, "SELECT count(*) FROM contact_tags"))
	many := make([]string, 51)
	for i := range many {
		many[i] = fmt.Sprint("t", i)
	}
	too := r.desk.Do(t, "query ($tags: [String!]) { contacts(filter: {allTags: $tags}) { totalCount } }", map[string]any{"tags": many})
	require.Len(t, too.Errors, 1, "%s", too.Body)
}

// Promise I8: whether there is a CPF is all that the filter tells, and a mask shows as much.
func TestContacts_WithATaxIDTellsNoMoreThanItsMask(t *testing.T) {
	t.Parallel()
	r := newFilterReception(t)
	r.add(t, "Ana", "tax_id", "'52998224725'")
	r.add(t, "Bia", "tax_id", "NULL")
	for _, role := range models.AllRole {
		client := r.server.As(t, r.here, role)
		require.Equal(t, []string{"Ana"}, listed(t, client, "{hasTaxId: true}"), role)
		require.Equal(t, []string{"Bia"}, listed(t, client, "{hasTaxId: false}"), role)
		answer := string(client.Do(t, "{ contacts(filter: {hasTaxId: true}) { nodes { taxId } } }", nil).Body)
		require.Equal(t, models.SeesWholeTaxID(role), strings.Contains(answer, "52998224725"), role)
		require.Equal(t, !models.SeesWholeTaxID(role), strings.Contains(answer, "***.982.247-**"), role)
	}
}

func TestContacts_ByWhomTheySawAndWhen(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC) // the reception's clock
	r := newReception(t)
	d := r.d
	seen := func(contact, practitioner int, at time.Time, status string) {
		id := d.Appointment(t, r.here, contact, practitioner, at, 30*time.Minute)
		d.Exec(t, "UPDATE appointments SET status = $2 WHERE id = $1", id, status)
	}
	for i, name := range []string{"Ana", "Bia", "Caio"} {
		d.Exec(t, "UPDATE contacts SET name = $2 WHERE id = $1", r.here.Contacts[i], name)
	}
	d.Exec(t, "UPDATE contacts SET status = 'arquivado' WHERE clinic_id = $1 AND name NOT IN ('Ana', 'Bia', 'Caio')", r.here.ID)
	june, march := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	seen(0, 0, march, "concluido")
	seen(0, 1, june, "concluido")
	seen(0, 0, now.Add(time.Hour), "agendado")
	seen(1, 1, march, "concluido")
	seen(1, 0, june, "faltou")
	seen(2, 1, june.Add(time.Hour), "cancelado")
	practitioner := func(i int) string { return models.KindPractitioner.Global(r.here.Practitioners[i]) }
	for filter, want := range map[string][]string{
		`{practitionerId: "` + practitioner(0) + `"}`:                                                {"Ana", "Bia"},
		`{practitionerId: "` + practitioner(1) + `"}`:                                                {"Ana", "Bia"},
		`{lastAppointment: {}}`:                                                                      {"Ana", "Bia"},
		`{lastAppointment: {to: "2026-05-01T00:00:00Z"}}`:                                            {"Bia"},
		`{lastAppointment: {from: "2026-05-01T00:00:00Z"}}`:                                          {"Ana"},
		`{lastAppointment: {from: "2026-06-01T12:00:00Z", to: "2026-06-01T12:00:00Z"}}`:              {},
		`{lastAppointment: {from: "2026-06-01T12:00:00Z", to: "2026-06-01T12:00:01Z"}}`:              {"Ana"},
		`{lastAppointment: {from: "2026-12-01T15:30:00Z"}}`:                                          {}, // it has not begun
		`{lastAppointment: {to: "2027-01-01T00:00:00Z"}, practitionerId: "` + practitioner(1) + `"}`: {"Ana", "Bia"},
	} {
		assert.Equal(t, want, listed(t, r.desk, filter), filter)
	}
	t.Run("a foreign practitioner is as one who never was", func(t *testing.T) {
		require.Empty(t, listed(t, r.desk, `{practitionerId: "`+models.KindPractitioner.Global(r.there.Practitioners[0])+`"}`))
		require.Empty(t, listed(t, r.desk, `{practitionerId: "`+models.KindPractitioner.Global(models.NewID())+`"}`))
	})
	t.Run("what is kept ends when the next appointment begins", func(t *testing.T) {
		const within = `{lastAppointment: {from: "2026-12-01T15:30:00Z"}}`
		later := api.NewServer(t, d, api.At(now.Add(time.Hour+time.Second)), api.WithRedis(d))
		require.Equal(t, []string{"Ana"}, listed(t, later.As(t, r.here, models.RoleReceptionist), within))
	})
	t.Run("and when one is cancelled", func(t *testing.T) {
		d.Exec(t, "UPDATE appointments SET status = 'cancelado' WHERE contact_id = $1 AND starts_at = $2", r.here.Contacts[0], june)
		require.Eventually(t, func() bool {
			return slices.Equal([]string{"Ana", "Bia"}, listed(t, r.desk, `{lastAppointment: {to: "2026-05-01T00:00:00Z"}}`))
		}, 10*time.Second, 10*time.Millisecond)
	})
}

// Whatever a list of a big clinic is narrowed by, an index narrows it, or gives its
// order where most are meant. Not parallel: it is big.
func TestContacts_FiltersAreServedByIndexes(t *testing.T) {
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	const big = 120_000
	conn := d.Connect(t, d.SuperuserURL)
	exec(t, conn, "SET session_replication_role = replica") // the triggers are not what is looked at
	exec(t, conn, `INSERT INTO contacts (clinic_id, id, name, status, birth_date, tags, tax_id, created_at, updated_at)
		SELECT $1, gen_random_uuid(), 'Pessoa ' || md5(n::text), (ARRAY['ativo', 'ativo', 'ativo', 'arquivado', 'lead', 'inativo'])[1 + n % 6],
			date '1940-01-01' + (n * 7 % 25000), ARRAY['t' || n % 20, 'u' || n % 400], lpad(n::text, 11, '0'), now() - n * interval '1 minute', now() - n * interval '1 minute'
		FROM generate_series(1, $2::int) n`, clinic.ID, big)
	exec(t, conn, "INSERT INTO contact_tags SELECT clinic_id, tag, id FROM contacts, unnest(tags) tag")
	exec(t, conn, `INSERT INTO practitioners (clinic_id, id, name) SELECT $1, gen_random_uuid(), 'Dr. ' || n FROM generate_series(1, 40) n`, clinic.ID)
	exec(t, conn, `INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, starts_at, ends_at, scheduled_date, status, overbooked)
		SELECT $1, gen_random_uuid(), c.id, p.id, s.at, s.at + interval '30 minutes', s.at::date, 'concluido', true
		FROM (SELECT id, row_number() OVER () AS n FROM contacts WHERE clinic_id = $1) c
		JOIN (SELECT id, row_number() OVER () AS n FROM practitioners WHERE clinic_id = $1) p ON p.n = 1 + c.n % 40,
		LATERAL (SELECT timestamptz '2024-01-01 12:00+00' + c.n * interval '10 minutes' AS at) s`, clinic.ID)
	exec(t, conn, "ANALYZE contacts, contact_tags, appointments, practitioners")
	exec(t, conn, "UPDATE memberships SET permissions = '{developer}' WHERE role = 'owner'")
	server := api.NewServer(t, d, api.At(time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC)), api.WithoutCache())
	owner := server.As(t, clinic, models.RoleOwner)
	practitioner := models.KindPractitioner.Global(clinic.Practitioners[0])
	for filter, want := range map[string][]string{
		`{birthday: {from: "2027-06-01", to: "2027-06-07"}}`: {"idx_contacts_clinic_birthday"},
		`{birthday: {from: "2026-12-30", to: "2027-01-02"}}`: {"idx_contacts_clinic_birthday"},
		`{allTags: ["t1", "u21"]}`:                           {"contact_tags_pkey"},
		`{tag: "u21"}`:                                       {"contact_tags_pkey"},
		`{hasTaxId: false}`:                                  {"idx_contacts_clinic_without_tax_id"},
		`{hasTaxId: true}`:                                   {"idx_contacts_clinic_name"},
		`{practitionerId: "` + practitioner + `"}`:           {"idx_appointments_practitioner_contact"},
		`{lastAppointment: {from: "2025-01-01T00:00:00Z", to: "2025-01-02T00:00:00Z"}}`:               {"idx_appointments_clinic_start", "idx_appointments_contact_start"},
		`{lastAppointment: {to: "2025-01-02T00:00:00Z"}}`:                                             {"idx_appointments_contact_start", "idx_appointments_clinic_start"},
		`{updatedAt: {from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z"}}`:                     {"idx_contacts_clinic_updated"},
		`{status: [ARCHIVED], updatedAt: {from: "2026-01-01T00:00:00Z", to: "2026-01-02T00:00:00Z"}}`: {"idx_contacts_clinic_status_updated"},
		// Where most are meant the list's own order leads to a page soon.
		`{updatedAt: {from: "2024-01-01T00:00:00Z"}}`:                                   {"idx_contacts_clinic_name"},
		`{lastAppointment: {from: "2024-01-01T00:00:00Z", to: "2026-12-31T00:00:00Z"}}`: {"idx_contacts_clinic_name"},
		`{birthday: {from: "2026-01-01", to: "2026-12-31"}}`:                            {"idx_contacts_clinic_name"},
		`{}`: {"idx_contacts_clinic_name"},
		`{}, orderBy: {field: UPDATED_AT, direction: DESC}`:               {"idx_contacts_clinic_updated"},
		`{}, orderBy: {field: CREATED_AT, direction: DESC}`:               {"idx_contacts_clinic_created"},
		`{status: [LEAD]}, orderBy: {field: CREATED_AT, direction: DESC}`: {"idx_contacts_clinic_status_created"},
	} {
		t.Run(filter, func(t *testing.T) {
			answer := owner.Do(t, "{ contacts(filter: "+filter+", first: 20) { nodes { id name } } }", nil, "X-TaskMed-Explain", "plans")
			require.Empty(t, answer.Errors)
			var told struct {
				Extensions struct {
					TaskMed struct{ SQL []*profile.Statement }
				}
			}
			require.NoError(t, json.Unmarshal(answer.Body, &told))
			var used []string
			for _, statement := range told.Extensions.TaskMed.SQL {
				if statement.Plan != nil {
					used = append(used, indexesOf(t, statement.Plan)...)
				}
			}
			require.True(t, slices.ContainsFunc(want, func(index string) bool { return slices.Contains(used, index) }), "one of %v: %v", want, used)
		})
	}
}

// indexesOf are the indexes that a plan goes by; it may read no big table whole.
func indexesOf(t *testing.T, plan *profile.Plan) []string {
	t.Helper()
	require.False(t, plan.Whole && slices.Contains([]string{"contacts", "appointments", "contact_tags"}, plan.On), "%s reads all of %s", plan.Node, plan.On)
	used := []string{plan.Using}
	for _, below := range plan.Below {
		used = append(used, indexesOf(t, below)...)
	}
	return used
}
