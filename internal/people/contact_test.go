package people_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// reception is a clinic's API and its front desk beside another clinic's.
type reception struct {
	d           *testkit.Database
	here, there *testkit.Clinic
	server      *api.Server
	desk        *api.Client
}

func newReception(t *testing.T, options ...api.Option) *reception {
	t.Helper()
	d := testkit.NewDatabase(t)
	r := &reception{d: d, here: d.NewClinic(t, "aurora"), there: d.NewClinic(t, "zenite")}
	r.server = api.NewServer(t, d, append([]api.Option{api.At(time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC))}, options...)...)
	r.desk = r.server.As(t, r.here, models.RoleReceptionist)
	return r
}

// wrote is what a mutation of a contact answered.
type wrote struct {
	Contact    json.RawMessage
	UserErrors []struct {
		Code    string
		Field   []string
		Message string
	}
}

// mistakes are "CODE at.path".
func (w wrote) mistakes() []string {
	found := []string{}
	for _, mistake := range w.UserErrors {
		found = append(found, mistake.Code+" "+strings.Join(mistake.Field, "."))
	}
	return found
}

const whole = `{ id name sex deceasedOn otherPhones guardian { id name } healthPlan { name cardNumber validUntil }
	address { street number complement district city state postalCode country } version }`

func (r *reception) create(t *testing.T, input map[string]any) wrote {
	t.Helper()
	return write(t, r.desk, "createContact", "CreateContactInput", "", input)
}

func write(t *testing.T, client *api.Client, mutation, of, directive string, input map[string]any) wrote {
	t.Helper()
	var got struct{ Wrote wrote }
	client.Must(t, fmt.Sprintf("mutation ($input: %s!) { wrote: %s(input: $input) %s { contact %s userErrors { code field message } } }", of, mutation, directive, whole),
		map[string]any{"input": input}, &got)
	return got.Wrote
}

func (r *reception) read(t *testing.T, id string) string {
	t.Helper()
	var got struct{ Contact json.RawMessage }
	r.desk.Must(t, "query ($id: ID!) { contact(id: $id) "+whole+" }", map[string]any{"id": id}, &got)
	return string(got.Contact)
}

func idOf(t *testing.T, contact json.RawMessage) string {
	t.Helper()
	var found struct{ ID string }
	require.NoError(t, json.Unmarshal(contact, &found))
	return found.ID
}

func TestContact_IsWrittenAndReadWhole(t *testing.T) {
	t.Parallel()
	r := newReception(t)
	guardian := models.KindContact.Global(r.here.Contacts[0])
	made := r.create(t, map[string]any{
		"name": "Davi Lima", "birthDate": "2019-05-04", "sex": "MALE", "deceasedOn": "2026-11-30",
		"phone": "(11) 98765-4321", "otherPhones": []string{"(11) 3456-7890", "+351 912 345 678", "+551134567890"}, "guardianId": guardian,
		"healthPlan": map[string]any{"name": " Plano Ipê ", "cardNumber": "0042", "validUntil": "2027-01-31"},
		"address":    map[string]any{"street": "Rua das Acácias", "number": "12A", "complement": "apto 3", "district": "Centro", "city": "São Paulo", "state": "sp", "postalCode": "01310-100"},
	})
	require.Empty(t, made.UserErrors)
	want := `{"id": %q, "name": "Davi Lima", "sex": "MALE", "deceasedOn": "2026-11-30",
		"otherPhones": ["+551134567890", "+351912345678"], "guardian": {"id": %q, "name": "Ana Souza"},
		"healthPlan": {"name": "Plano Ipê", "cardNumber": "0042", "validUntil": "2027-01-31"},
		"address": {"street": "Rua das Acácias", "number": "12A", "complement": "apto 3", "district": "Centro",
			"city": "São Paulo", "state": "SP", "postalCode": "01310100", "country": "BR"}, "version": 1}`
	id := idOf(t, made.Contact)
	var ana struct{ Contact struct{ Name string } }
	r.desk.Must(t, "query ($id: ID!) { contact(id: $id) { name } }", map[string]any{"id": guardian}, &ana)
	want = strings.Replace(fmt.Sprintf(want, id, guardian), "Ana Souza", ana.Contact.Name, 1)
	require.JSONEq(t, want, string(made.Contact))
	require.JSONEq(t, want, r.read(t, id))

	t.Run("a change leaves alone what it does not name", func(t *testing.T) {
		changed := write(t, r.desk, "updateContact", "UpdateContactInput", "", map[string]any{"id": id, "name": "Davi Lima"})
		require.Empty(t, changed.UserErrors)
		require.JSONEq(t, strings.Replace(want, `"version": 1`, `"version": 2`, 1), string(changed.Contact))
	})
	t.Run("null empties, and a dry run writes nothing", func(t *testing.T) {
		input := map[string]any{"id": id, "sex": nil, "deceasedOn": nil, "otherPhones": nil, "guardianId": nil, "healthPlan": nil, "address": nil}
		empty := fmt.Sprintf(`{"id": %q, "name": "Davi Lima", "sex": "UNKNOWN", "deceasedOn": null, "otherPhones": [], "guardian": null,
			"healthPlan": null, "address": null, "version": 3}`, id)
		require.JSONEq(t, empty, string(write(t, r.desk, "updateContact", "UpdateContactInput", "@dryRun", input).Contact))
		require.JSONEq(t, strings.Replace(want, `"version": 1`, `"version": 2`, 1), r.read(t, id))
		require.JSONEq(t, empty, string(write(t, r.desk, "updateContact", "UpdateContactInput", "", input).Contact))
		require.JSONEq(t, empty, r.read(t, id))
	})
	t.Run("an address is replaced whole, and another country's is free", func(t *testing.T) {
		changed := write(t, r.desk, "updateContact", "UpdateContactInput", "", map[string]any{
			"id": id, "address": map[string]any{"city": "Lisboa", "state": "Lisboa", "postalCode": "1100-148", "country": "pt"},
		})
		require.Empty(t, changed.UserErrors)
		require.Contains(t, strings.ReplaceAll(string(changed.Contact), " ", ""),
			`"address":{"street":null,"number":null,"complement":null,"district":null,"city":"Lisboa","state":"Lisboa","postalCode":"1100-148","country":"PT"}`)
	})
}

// Whoever is put away or has died keeps their appointments, and whoever writes it down is
// told of those.
func TestContact_NamesWhatIsToComeOfWhoIsAway(t *testing.T) {
	t.Parallel()
	r := newReception(t)
	at := time.Date(2026, 12, 1, 14, 0, 0, 0, time.UTC)
	var coming []string
	for n, contact := range []int{0, 0, 0, 0, 1} {
		id := r.d.Appointment(t, r.here, contact, n%2, at.AddDate(0, 0, n), 30*time.Minute)
		switch n {
		case 1, 2:
			coming = append(coming, models.KindAppointment.Global(id))
		case 3:
			r.d.Exec(t, "UPDATE appointments SET status = 'cancelado' WHERE id = $1", id)
		}
	}
	ana := models.KindContact.Global(r.here.Contacts[0])
	named := func(mutation, of string, input map[string]any) []string {
		var got struct {
			Wrote struct {
				Contact  struct{ ID string }
				Upcoming []struct {
					ID           string
					Practitioner struct{ Name string }
				}
			}
		}
		input["id"] = ana
		r.desk.Must(t, fmt.Sprintf("mutation ($input: %s!) { wrote: %s(input: $input) { contact { id } upcoming { id practitioner { name } } userErrors { code } } }", of, mutation),
			map[string]any{"input": input}, &got)
		require.Equal(t, ana, got.Wrote.Contact.ID)
		ids := []string{}
		for _, one := range got.Wrote.Upcoming {
			require.NotEmpty(t, one.Practitioner.Name)
			ids = append(ids, one.ID)
		}
		return ids
	}
	require.Empty(t, named("updateContact", "UpdateContactInput", map[string]any{"notes": "away soon"}))
	require.Equal(t, coming, named("updateContact", "UpdateContactInput", map[string]any{"deceasedOn": "2026-11-30"}))
	require.Empty(t, named("updateContact", "UpdateContactInput", map[string]any{"deceasedOn": nil}))
	for range 2 { // the second time, too
		require.Equal(t, coming, named("archiveContact", "ArchiveContactInput", map[string]any{}))
	}
	require.Equal(t, 2, r.d.Count(t, "SELECT count(*) FROM appointments WHERE contact_id = $1 AND status = 'agendado' AND starts_at > $2", r.here.Contacts[0], at.Add(time.Hour)))
}

func TestContact_NamesEveryMistake(t *testing.T) {
	t.Parallel()
	r := newReception(t)
	foreign := models.KindContact.Global(r.there.Contacts[0])
	for name, c := range map[string]struct {
		field string
		value any
		want  string
	}{
		"a state that Brazil has not":          {"address", map[string]any{"state": "XX"}, "INVALID address.state"},
		"a CEP of seven digits":                {"address", map[string]any{"postalCode": "0131010"}, "INVALID address.postalCode"},
		"a CEP with letters":                   {"address", map[string]any{"postalCode": "0131010A"}, "INVALID address.postalCode"},
		"a country that is none":               {"address", map[string]any{"country": "XX"}, "INVALID address.country"},
		"a group of countries":                 {"address", map[string]any{"country": "419"}, "INVALID address.country"},
		"a country's full name":                {"address", map[string]any{"country": "Brasil"}, "INVALID address.country"},
		"a street without end":                 {"address", map[string]any{"street": strings.Repeat("a", 201)}, "TOO_LONG address.street"},
		"a further number that is none":        {"otherPhones", []string{"+5511987654321", "123"}, "INVALID otherPhones.1"},
		"too many numbers":                     {"otherPhones", strings.Split(strings.Repeat("+5511987654321,", 11), ",")[:11], "LIMIT otherPhones"},
		"death in the future":                  {"deceasedOn", "2026-12-02", "INVALID deceasedOn"},
		"death before birth":                   {"deceasedOn", "1980-01-01", "INVALID deceasedOn"},
		"a plan without a name":                {"healthPlan", map[string]any{"name": " "}, "REQUIRED healthPlan.name"},
		"a guardian who never was":             {"guardianId", models.KindContact.Global(models.NewID()), "NOT_FOUND guardianId"},
		"another clinic's contact as guardian": {"guardianId", foreign, "NOT_FOUND guardianId"},
		"a practitioner as guardian":           {"guardianId", models.KindPractitioner.Global(r.here.Practitioners[0]), "INVALID guardianId"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made := r.create(t, map[string]any{"name": "Ana", "birthDate": "1990-01-01", c.field: c.value})
			require.Equal(t, []string{c.want}, made.mistakes())
			require.Equal(t, "null", string(made.Contact))
			id := idOf(t, r.create(t, map[string]any{"name": "Ana", "birthDate": "1990-01-01"}).Contact)
			require.Equal(t, []string{c.want}, write(t, r.desk, "updateContact", "UpdateContactInput", "", map[string]any{"id": id, c.field: c.value}).mistakes())
		})
	}
	t.Run("nobody is their own guardian", func(t *testing.T) {
		t.Parallel()
		id := idOf(t, r.create(t, map[string]any{"name": "Ana"}).Contact)
		require.Equal(t, []string{"INVALID guardianId"},
			write(t, r.desk, "updateContact", "UpdateContactInput", "", map[string]any{"id": id, "guardianId": id}).mistakes())
	})
	t.Run("a birth that is moved behind the death", func(t *testing.T) {
		t.Parallel()
		id := idOf(t, r.create(t, map[string]any{"name": "Ana", "birthDate": "1990-01-01", "deceasedOn": "2020-01-01"}).Contact)
		require.Equal(t, []string{"INVALID deceasedOn"},
			write(t, r.desk, "updateContact", "UpdateContactInput", "", map[string]any{"id": id, "birthDate": "2021-01-01"}).mistakes())
	})
}

// Searches are kept; what is kept must know of further numbers, too.
func TestSearch_FindsFurtherNumbersAndForgetsThem(t *testing.T) {
	t.Parallel()
	r := newReception(t)
	id := idOf(t, r.create(t, map[string]any{"name": "Davi Lima", "phone": "+5511987654321", "otherPhones": []string{"+552134567890", "+351912345678"}}).Contact)
	second := idOf(t, r.create(t, map[string]any{"name": "Bruna Zago", "otherPhones": []string{"+552134567899"}}).Contact)
	find := func(text string) []string {
		var got struct {
			SearchContacts struct{ Nodes []struct{ ID string } }
		}
		r.desk.Must(t, "query ($q: String!) { searchContacts(query: $q, first: 1) { nodes { id } } }", map[string]any{"q": text}, &got)
		ids := []string{}
		for _, node := range got.SearchContacts.Nodes {
			ids = append(ids, node.ID)
		}
		return ids
	}
	for range 2 { // the second time from what is kept
		for _, text := range []string{"2134567890", "+55 21 3456-7890", "3456-7890", "7890", "912345678", "davi 34567890"} {
			require.Equal(t, []string{id}, find(text), text)
		}
		require.Equal(t, []string{second}, find("34567899"))
		require.Equal(t, []string{second}, find("213456"), "of two the first by name")
	}
	t.Run("whoever is put away comes last", func(t *testing.T) {
		write(t, r.desk, "archiveContact", "ArchiveContactInput", "", map[string]any{"id": second})
		require.Equal(t, []string{id}, find("213456"))
	})
	write(t, r.desk, "updateContact", "UpdateContactInput", "", map[string]any{"id": id, "otherPhones": []string{"+552122223333"}})
	require.Empty(t, find("2134567890"))
	require.Empty(t, find("912345678"))
	require.Equal(t, []string{id}, find("22223333"))
	require.Equal(t, []string{id}, find("987654321"), "the first number, as ever")
	other := r.server.As(t, r.there, models.RoleReceptionist)
	require.JSONEq(t, `{"data":{"searchContacts":{"nodes":[]}}}`,
		onlyData(t, other.Do(t, `{ searchContacts(query: "22223333") { nodes { id } } }`, nil)))
}

func onlyData(t *testing.T, answer *api.Response) string {
	t.Helper()
	require.Empty(t, answer.Errors)
	return `{"data":` + string(answer.Data) + `}`
}
