package app_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

const createWhole = `mutation ($input: CreateContactInput!) { answer: createContact(input: $input) {
	contact { id name email phone taxId tags notes } userErrors { code field message entityIds } } }`

type created struct {
	Answer struct {
		Contact *struct {
			ID, Name, Notes     string
			Email, Phone, TaxID *string
			Tags                []string
		}
		UserErrors []struct {
			Code, Message string
			Field         []string
			EntityIDs     []string
		}
	}
}

func create(t *testing.T, client *api.Client, input map[string]any) created {
	t.Helper()
	if _, named := input["name"]; !named {
		input["name"] = "Ana Souza"
	}
	var made created
	client.Must(t, createWhole, map[string]any{"input": input}, &made)
	return made
}

// What people type is stored in one spelling, or refused with the reason that is true.
func TestText_IsStoredInOneSpelling(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	owner := api.NewServer(t, d, api.WithoutCache()).As(t, d.NewClinic(t, "aurora"), models.RoleOwner)
	for _, c := range []struct{ field, typed, stored string }{
		{"name", "Joa\u0303o  da\tSilva ", "João da Silva"},
		{"name", "Ana\nSouza", "Ana Souza"},
		{"name", "\u202eAna\u202c Sou\u200bza\ufeff", "Ana Souza"},
		{"notes", "first\r\nsecond \u202e", "first\nsecond"},
		{"notes", "👩\u200d⚕️ fine", "👩\u200d⚕️ fine"},
		{"email", "ana@clinica.com.br", "ana@clinica.com.br"},
		{"email", "a\u200bna@clínica.example", "ana@clínica.example"},
		{"phone", "(11) 98765-4321", "+5511987654321"},
		{"phone", "+351 912 345 678", "+351912345678"},
		{"phone", "（１１）３２６５-１２３４", "+551132651234"},
		{"taxId", "529 982 247 25", "52998224725"},
		{"taxId", "５２９.９８２.２４７-２５", "52998224725"},
	} {
		input := map[string]any{c.field: c.typed}
		made := create(t, owner, input)
		if !assert.Empty(t, made.Answer.UserErrors, "%s %q", c.field, c.typed) {
			continue
		}
		assert.Contains(t, fmt.Sprint(derefs(made)), c.stored, "%s %q", c.field, c.typed)
		d.Exec(t, "UPDATE contacts SET tax_id = NULL")
	}

	for _, c := range []struct{ field, typed, code, message string }{
		{"name", "\u200b", "REQUIRED", "must not be empty"},
		{"name", "\ufeff \u3164", "REQUIRED", "must not be empty"},
		{"phone", "98765-4321", "INVALID", "area code is missing"},
		{"phone", "3265-1234", "INVALID", "area code is missing"},
		{"phone", "(00) 98765-4321", "INVALID", "there is no area code 00"},
		{"phone", "(20) 98765-4321", "INVALID", "there is no area code 20"},
		{"phone", "+49 123456789012345", "INVALID", "nobody can have this number"},
		{"phone", "+999 1234567", "INVALID", "no country has this code"},
		{"phone", "123", "INVALID", "too short"},
		{"email", "ana@localhost", "INVALID", "ana@example.com"},
		{"email", "ana@127.0.0.1", "INVALID", "ana@example.com"},
		{"email", "ana@-x.com", "INVALID", "ana@example.com"},
		{"taxId", "5299822472", "INVALID", "11 digits, and this has 10"},
		{"taxId", "11.222.333/0001-81", "INVALID", "a company's"},
		{"taxId", "12.ABC.345/01DE-35", "INVALID", "a company's"},
		{"taxId", "111.111.111-11", "INVALID", "all its digits are the same"},
		{"taxId", "529.982.247-26", "INVALID", "the last two do not fit"},
		{"taxId", "529.982.247-2x", "INVALID", "11 digits, points and a hyphen"},
	} {
		made := create(t, owner, map[string]any{c.field: c.typed})
		require.Len(t, made.Answer.UserErrors, 1, "%s %q: %v", c.field, c.typed, derefs(made))
		assert.Equal(t, c.code, made.Answer.UserErrors[0].Code, "%s %q", c.field, c.typed)
		assert.Contains(t, made.Answer.UserErrors[0].Message, c.message, "%s %q", c.field, c.typed)
	}

	labels := create(t, owner, map[string]any{"tags": []string{"zeta", "Gesta\u0303o", "abc", "Ábaco", "Gestão", "a\nb"}})
	require.Equal(t, []string{"a b", "Ábaco", "abc", "Gestão", "zeta"}, labels.Answer.Contact.Tags)
	var found struct {
		Contacts struct{ Nodes []struct{ ID string } }
	}
	owner.Must(t, `query ($tag: String!) { contacts(filter: {tag: $tag}) { nodes { id } } }`, map[string]any{"tag": "Gesta\u0303o"}, &found)
	require.Len(t, found.Contacts.Nodes, 1)
}

func derefs(made created) []string {
	c := made.Answer.Contact
	if c == nil {
		return nil
	}
	all := []string{c.Name, c.Notes}
	for _, text := range []*string{c.Email, c.Phone, c.TaxID} {
		if text != nil {
			all = append(all, *text)
		}
	}
	return append(all, c.Tags...)
}

// A search finds people in any script, by what their numbers are today, and by what a
// desk makes of an apostrophe.
func TestSearch_FindsWhatIsThereAndNothingElse(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	owner := api.NewServer(t, d, api.WithoutCache()).As(t, clinic, models.RoleOwner)
	d.Exec(t, "DELETE FROM contacts WHERE clinic_id = $1", clinic.ID)
	for name, contact := range map[string][2]string{
		"Пётр Ильич": {}, "王 小明": {}, "Nádia Souza": {"nadia@example.com", "+351912345678"}, "Rita Lobo": {"rita@почта.рф", "+553188771122"},
		"Léo Sant'Anna": {"", "+5531988665544"}, "Bia D’Ávila": {"bia@example.org", "+12125550123"},
	} {
		d.Exec(t, "INSERT INTO contacts (clinic_id, id, name, email, phone) VALUES ($1, $2, $3, nullif($4, ''), nullif($5, ''))",
			clinic.ID, models.NewID(), name, contact[0], contact[1])
	}
	for text, want := range map[string]string{
		"Пётр": "Пётр Ильич", "петр": "Пётр Ильич", "Иль": "Пётр Ильич", "Мария": "", "王": "王 小明", "小明": "王 小明", "李": "", "→": "", "@→": "", "@": "",
		"@почта": "Rita Lobo", "912345678": "Nádia Souza", "345678": "Nádia Souza", "+351 912": "Nádia Souza", "351912345678": "Nádia Souza",
		"31988771122": "Rita Lobo", "3188771122": "Rita Lobo", "88771122": "Rita Lobo", "+5531988771122": "Rita Lobo", "988771122": "Rita Lobo",
		"3188665544": "Léo Sant'Anna", "553188665544": "Léo Sant'Anna", "31988665544": "Léo Sant'Anna", "2125550123": "Bia D’Ávila",
		"santanna": "Léo Sant'Anna", "sant'anna": "Léo Sant'Anna", "sant anna": "Léo Sant'Anna", "sant’anna": "Léo Sant'Anna", "davila": "Bia D’Ávila", "d'avila": "Bia D’Ávila",
	} {
		var answer struct {
			SearchContacts struct{ Nodes []struct{ Name string } }
		}
		response := owner.Do(t, `query ($text: String!) { searchContacts(query: $text) { nodes { name } } }`, map[string]any{"text": text})
		require.Empty(t, response.Errors, text)
		require.NoError(t, json.Unmarshal(response.Data, &answer))
		var names []string
		for _, node := range answer.SearchContacts.Nodes {
			names = append(names, node.Name)
		}
		assert.Equal(t, want, strings.Join(names, ", "), text)
	}
}

// Promise I8: a mask that one can look behind is none.
func TestMask_CannotBeUndoneByAsking(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	server := api.NewServer(t, d, api.WithoutCache())
	owner, practitioner := server.As(t, clinic, models.RoleOwner), server.As(t, clinic, models.RolePractitioner)
	require.Empty(t, create(t, owner, map[string]any{"name": "Iris", "taxId": "52998224725"}).Answer.UserErrors)

	found := func(client *api.Client, text string) (int, string) {
		var answer struct {
			SearchContacts struct{ Nodes []struct{ Name string } }
		}
		response := client.Do(t, `query ($text: String!) { searchContacts(query: $text) { nodes { name } totalCount } }`, map[string]any{"text": text})
		if len(response.Errors) > 0 {
			return 0, response.Errors[0].Extensions.Code
		}
		require.NoError(t, json.Unmarshal(response.Data, &answer))
		return len(answer.SearchContacts.Nodes), ""
	}
	for length := 3; length < 11; length++ {
		n, _ := found(practitioner, "52998224725"[:length])
		require.Zero(t, n, "by %d digits", length)
		n, _ = found(owner, "52998224725"[:length])
		require.Equal(t, 1, n, "the owner, who sees it whole, by %d digits", length)
	}
	n, _ := found(practitioner, "529.982.247-25")
	require.Equal(t, 1, n, "a whole one")

	taken := create(t, owner, map[string]any{"taxId": "52998224725"})
	require.Equal(t, "TAKEN", taken.Answer.UserErrors[0].Code)
	require.Len(t, taken.Answer.UserErrors[0].EntityIDs, 1)
	var code string
	tries := 1
	for ; code == "" && tries < 100; tries++ {
		_, code = found(practitioner, fmt.Sprintf("529982247%02d", tries%100))
	}
	require.Equal(t, "RATE_LIMITED", code)
	require.LessOrEqual(t, tries, 21)
	_, code = found(practitioner, "Iris")
	require.Empty(t, code, "names may be looked for as before")
	_, code = found(owner, "52998224700")
	require.Empty(t, code)
}
