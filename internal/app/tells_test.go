package app_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// probe asks for a value of another clinic's: by a filter, a search, an order
// from a cursor on, a count, or by writing what must be unique.
type probe struct {
	name, query string
	// variables are those for the n-th value of a kind.
	variables func(value probed) map[string]any
}

// probed is a person as a clinic may know one.
type probed struct {
	id, appointment, practitioner        string
	name, email, phone, taxID, reference string
	hour                                 time.Time
}

func probes() []probe {
	one := func(name string, value func(probed) any) func(probed) map[string]any {
		return func(p probed) map[string]any { return map[string]any{name: value(p)} }
	}
	const found = "{ totalCount nodes { id name } pageInfo { hasNextPage endCursor } }"
	const booked = "{ totalCount nodes { id startsAt } pageInfo { hasNextPage endCursor } }"
	search := "query ($v: String!) { searchContacts(query: $v) " + found + " }"
	create := "mutation ($v: CreateContactInput!) { createContact(input: $v) @dryRun { contact { name } userErrors { code field message } } }"
	made := func(field string, value func(probed) string) func(probed) map[string]any {
		return one("v", func(p probed) any { return map[string]any{"name": "Ana", field: value(p)} })
	}
	return []probe{
		{"a contact by id", "query ($v: ID!) { contact(id: $v) { id name } }", one("v", func(p probed) any { return p.id })},
		{"an appointment by id", "query ($v: ID!) { appointment(id: $v) { id } }", one("v", func(p probed) any { return p.appointment })},
		{"a node by id", "query ($v: ID!) { node(id: $v) { id } }", one("v", func(p probed) any { return p.id })},
		{"a search by name", search, one("v", func(p probed) any { return p.name })},
		{"a search by a name mistyped", search, one("v", func(p probed) any { return strings.Replace(p.name, "e", "3", 1) })},
		{"a search by e-mail", search, one("v", func(p probed) any { return p.email })},
		{"a search by phone", search, one("v", func(p probed) any { return p.phone })},
		{"a search by CPF", search, one("v", func(p probed) any { return p.taxID })},
		{"contacts by label", "query ($v: String!) { contacts(filter: {tag: $v}) " + found + " }", one("v", func(p probed) any { return p.reference })},
		{"contacts by a partner's key", "query ($v: String!) { contacts(filter: {externalReference: $v}) " + found + " }", one("v", func(p probed) any { return p.reference })},
		{"appointments of a contact", "query ($v: ID!) { appointments(filter: {contactId: $v}) " + booked + " }", one("v", func(p probed) any { return p.id })},
		{"appointments of a practitioner", "query ($v: ID!) { appointments(filter: {practitionerId: $v}, orderBy: {field: STARTS_AT, direction: DESC}) " + booked + " }", one("v", func(p probed) any { return p.practitioner })},
		{"appointments of an hour", "query ($v: DateTimeRange!) { appointments(filter: {range: $v}) " + booked + " }", one("v", func(p probed) any {
			return map[string]any{"from": p.hour.Format(time.RFC3339), "to": p.hour.Add(time.Hour).Format(time.RFC3339)}
		})},
		{"medical records of a contact", "query ($v: ID!) { medicalRecords(contactId: $v) { totalCount nodes { id } } }", one("v", func(p probed) any { return p.id })},
		{"a CPF to register", create, made("taxId", func(p probed) string { return p.taxID })},
		{"a partner's key to register", create, made("externalReference", func(p probed) string { return p.reference })},
	}
}

// neighbours is a clinic, and people whom another one knows and whom nobody does.
type neighbours struct {
	d             *testkit.Database
	clinic        *testkit.Clinic
	foreign, none []probed
}

func newNeighbours(t testing.TB) *neighbours {
	t.Helper()
	const people = 20
	d := testkit.NewDatabase(t)
	n := &neighbours{d: d, clinic: d.NewClinic(t, "own")}
	other := d.NewClinic(t, "other")
	for _, c := range []*testkit.Clinic{n.clinic, other} {
		d.Exec(t, `INSERT INTO contacts (clinic_id, id, name, email, tags) SELECT $1, gen_random_uuid(), 'Ana Paula ' || n, 'ana' || n || '@example.com', ARRAY['vip']
			FROM generate_series(1, 200) n`, c.ID)
	}
	// Turn by turn, so that those who exist differ from those who do not in nothing else.
	for i := range 2 * people {
		p := probedNumber(i)
		if i%2 == 1 {
			n.none = append(n.none, p)
			continue
		}
		n.foreign = append(n.foreign, p)
		parse := func(kind models.Kind, global string) uuid.UUID {
			id, err := kind.Parse(global)
			require.NoError(t, err)
			return id
		}
		contact, practitioner := parse(models.KindContact, p.id), parse(models.KindPractitioner, p.practitioner)
		d.Exec(t, "INSERT INTO contacts (clinic_id, id, name, email, phone, tax_id, tags, external_reference) VALUES ($1, $2, $3, $4, $5, $6, ARRAY[$7], $7)",
			other.ID, contact, p.name, p.email, p.phone, p.taxID, p.reference)
		d.Exec(t, "INSERT INTO practitioners (clinic_id, id, name) VALUES ($1, $2, 'Dr. Carlos')", other.ID, practitioner)
		d.Exec(t, "INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, starts_at, ends_at) VALUES ($1, $2, $3, $4, $5::timestamptz, $5::timestamptz + interval '30 minutes')",
			other.ID, parse(models.KindAppointment, p.appointment), contact, practitioner, p.hour)
		d.Exec(t, "INSERT INTO medical_records (clinic_id, id, contact_id, practitioner_id, kind, title, body) VALUES ($1, gen_random_uuid(), $2, $3, 'evolution', 'x', 'x')",
			other.ID, contact, practitioner)
	}
	d.Exec(t, "ANALYZE")
	return n
}

// probedNumber is the n-th of people who are all alike.
func probedNumber(n int) probed {
	letters := string([]byte{'a' + byte(n/26), 'a' + byte(n%26)})
	return probed{
		id: models.KindContact.Global(models.NewID()), appointment: models.KindAppointment.Global(models.NewID()),
		practitioner: models.KindPractitioner.Global(models.NewID()),
		name:         "Zuleica Quelfer" + letters, email: "zuleica." + letters + "@example.org", phone: fmt.Sprintf("+55119876540%02d", n),
		taxID: cpfNumber(123_400_000 + 7*n), reference: "crm-zq-" + letters,
		hour: time.Date(2099, 3, 2, 12, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Hour),
	}
}

// cpfNumber adds the check digits to nine digits (Receita Federal, modulo 11).
func cpfNumber(nine int) string {
	digits := fmt.Sprintf("%09d", nine)
	for range 2 {
		sum := 0
		for i, digit := range digits {
			sum += int(digit-'0') * (len(digits) + 1 - i)
		}
		check := 11 - sum%11
		if check > 9 {
			check = 0
		}
		digits += fmt.Sprint(check)
	}
	return digits
}

// withoutNew is an answer without the ids that a dry run made up.
func withoutNew(answer *api.Response) string {
	body, told, _ := strings.Cut(string(answer.Body), `"dryRun":`)
	return body + newIDs.ReplaceAllString(told, "ID")
}

var newIDs = regexp.MustCompile(`[a-z_]+_[0-9a-z]{26}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// TestForeignValues_TellNothing is promise I4 for what answers say, and for what
// they take in statements: a value that another clinic has is as good as one that
// nobody has, cached or not.
func TestForeignValues_TellNothing(t *testing.T) {
	t.Parallel()
	n := newNeighbours(t)
	n.d.Exec(t, "UPDATE memberships SET permissions = '{developer}' WHERE role = 'admin'")
	for name, option := range map[string]api.Option{"executed": api.WithoutCache(), "cached": nothing} {
		server := api.NewServer(t, n.d, option)
		owner, developer := server.As(t, n.clinic, models.RoleOwner), server.As(t, n.clinic, models.RoleAdmin)
		for _, p := range probes() {
			want := owner.Do(t, p.query, p.variables(n.none[0]))
			require.Empty(t, want.Errors, "%s: %s", p.name, want.Body)
			statements := developer.Do(t, p.query, p.variables(n.none[1])).Extensions.TaskMed.Statements
			require.Positive(t, statements, p.name)
			for i := range 6 {
				for whose, value := range map[string]probed{"a foreign": n.foreign[i], "an absent": n.none[i]} {
					require.Equal(t, withoutNew(want), withoutNew(owner.Do(t, p.query, p.variables(value))), "%s, %s value, %s", p.name, whose, name)
				}
			}
			// Those whom no answer was kept of yet: as many statements.
			last := len(n.foreign) - 1
			for whose, value := range map[string]probed{"a foreign": n.foreign[last], "an absent": n.none[last]} {
				require.Equal(t, statements, developer.Do(t, p.query, p.variables(value)).Extensions.TaskMed.Statements, "%s, %s value, %s", p.name, whose, name)
			}
		}
	}
	// The probes can tell: in the other clinic those values are answered otherwise.
	server := api.NewServer(t, n.d, api.WithoutCache())
	theirs := server.AsSubject(t, &testkit.Clinic{ID: n.other(t)}, testkit.Subject("other", models.RoleOwner))
	for _, p := range probes() {
		require.NotEqual(t, string(theirs.Do(t, p.query, p.variables(n.none[0])).Body), string(theirs.Do(t, p.query, p.variables(n.foreign[0])).Body), p.name)
	}
}

func (n *neighbours) other(t testing.TB) uuid.UUID {
	t.Helper()
	var id uuid.UUID
	require.NoError(t, n.d.Connect(t, n.d.SuperuserURL).QueryRow(t.Context(), "SELECT id FROM clinics WHERE slug = 'other'").Scan(&id))
	return id
}

// timing asks with two kinds of values in random order.
type timing struct {
	handler http.Handler
	client  *api.Client
}

// sides gives how long requests took, of one kind and of the other.
func (m timing) sides(t testing.TB, p probe, rounds int, one, other []probed) (first, second []float64) {
	t.Helper()
	bodies := func(values []probed) (all []string) {
		for _, value := range values {
			text, err := json.Marshal(map[string]any{"query": p.query, "variables": p.variables(value)})
			require.NoError(t, err)
			all = append(all, string(text))
		}
		return all
	}
	kinds := [2][]string{bodies(one), bodies(other)}
	var took [2][]float64
	for i := range rounds {
		for _, kind := range rand.Perm(2) {
			request, out := m.client.Request(t, kinds[kind][i%len(kinds[kind])]), httptest.NewRecorder()
			began := time.Now()
			m.handler.ServeHTTP(out, request)
			took[kind] = append(took[kind], float64(time.Since(began).Nanoseconds())/1e3)
			require.Equal(t, http.StatusOK, out.Code)
		}
	}
	return took[0], took[1]
}

// ranks is the normal score of Wilcoxon's rank sum: how far the first side's
// ranks among all lie from what chance expects, in standard deviations.
func ranks(one, other []float64) float64 {
	type sample struct {
		took  float64
		first bool
	}
	var all []sample
	for _, took := range one {
		all = append(all, sample{took, true})
	}
	for _, took := range other {
		all = append(all, sample{took, false})
	}
	slices.SortFunc(all, func(a, b sample) int {
		if a.took < b.took {
			return -1
		}
		return 1
	})
	sum, n, m := 0.0, float64(len(one)), float64(len(other))
	for rank, s := range all {
		if s.first {
			sum += float64(rank + 1)
		}
	}
	return (sum - n*(n+m+1)/2) / math.Sqrt(n*m*(n+m+1)/12)
}

// BenchmarkForeignValues tells by how much the medians of foreign and of absent
// values differ, and of two halves of the absent ones as a control. (Promise I4:
// 2 %.) Take 3000x.
func BenchmarkForeignValues(b *testing.B) {
	n := newNeighbours(b)
	server := api.NewServer(b, n.d, api.WithoutCache())
	m := timing{server.App.Handler(), server.As(b, n.clinic, models.RoleOwner)}
	for _, p := range probes() {
		b.Run(p.name, func(b *testing.B) {
			_, _ = m.sides(b, p, 50, n.foreign, n.none)
			b.ResetTimer()
			foreign, absent := m.sides(b, p, b.N, n.foreign, n.none)
			b.StopTimer()
			one, two := m.sides(b, p, b.N, n.none[:len(n.none)/2], n.none[len(n.none)/2:])
			b.ReportMetric(median(absent), "absent-us")
			b.ReportMetric(100*(median(foreign)/median(absent)-1), "foreign-more-%")
			b.ReportMetric(100*(median(one)/median(two)-1), "control-%")
			b.ReportMetric(ranks(foreign, absent), "z")
		})
	}
}
