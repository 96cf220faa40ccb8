package people_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

func (r *reception) register(t *testing.T, input map[string]any) string {
	t.Helper()
	made := r.create(t, input)
	require.Empty(t, made.UserErrors)
	return idOf(t, made.Contact)
}

func duplicates(t *testing.T, client *api.Client, id string) []string {
	t.Helper()
	var got struct {
		Contact struct{ PossibleDuplicates []struct{ Name string } }
	}
	client.Must(t, "query ($id: ID!) { contact(id: $id) { possibleDuplicates { name } } }", map[string]any{"id": id}, &got)
	names := []string{}
	for _, found := range got.Contact.PossibleDuplicates {
		names = append(names, found.Name)
	}
	return names
}

func TestPossibleDuplicates_AreAlikeAndBestFirst(t *testing.T) {
	t.Parallel()
	r := newReception(t)
	person := func(name, phone, born string) map[string]any {
		input := map[string]any{"name": name}
		if phone != "" {
			input["phone"] = phone
		}
		if born != "" {
			input["birthDate"] = born
		}
		return input
	}
	id := r.register(t, person("Maria Conceição da Silva", "+5511987654321", "1980-05-04"))
	for _, other := range []map[string]any{
		{"name": "Maria Conceicao Silva", "phone": "+551137654321", "otherPhones": []string{"+5511987654321"}, "birthDate": "1980-05-04"},
		person("Maria Concieção Souza", "", "1980-05-04"), // mistyped, and married
		person("Maria da Silva", "+5511987654321", ""),
		person("Maria Silva Filha", "+5511987654321", "2010-01-01"), // the daughter
		person("José da Silva", "+5511987654321", "1979-01-01"),     // the husband
		person("Maria Conceição da Silva", "", ""),                  // nothing but the name
		person("Paula Mendes", "", "1980-05-04"),                    // born on the same day
	} {
		r.register(t, other)
	}
	require.Equal(t, []string{"Maria Conceicao Silva", "Maria da Silva", "Maria Concieção Souza", "Maria Silva Filha"}, duplicates(t, r.desk, id))

	t.Run("what is kept follows", func(t *testing.T) {
		second := r.register(t, person("Maria C. Silva", "+5511987654321", ""))
		require.Contains(t, duplicates(t, r.desk, id), "Maria C. Silva")
		require.Contains(t, duplicates(t, r.desk, second), "Maria Conceição da Silva")
		write(t, r.desk, "updateContact", "UpdateContactInput", "", map[string]any{"id": second, "phone": nil})
		require.NotContains(t, duplicates(t, r.desk, id), "Maria C. Silva")
	})
	t.Run("another clinic's are none", func(t *testing.T) {
		theirs := r.server.As(t, r.there, models.RoleReceptionist)
		made := write(t, theirs, "createContact", "CreateContactInput", "", person("Maria Conceição da Silva", "+5511987654321", "1980-05-04"))
		require.Empty(t, duplicates(t, theirs, idOf(t, made.Contact)))
	})
	t.Run("of a list in two round trips", func(t *testing.T) {
		var got struct {
			Contacts struct {
				Nodes []struct{ PossibleDuplicates []struct{ ID string } }
			}
		}
		r.desk.Must(t, "{ contacts(first: 20) { nodes { possibleDuplicates { id } } } }", nil, &got)
		found := 0
		for _, node := range got.Contacts.Nodes {
			found += len(node.PossibleDuplicates)
		}
		require.GreaterOrEqual(t, found, 8, "each of two is the other's")
	})
	t.Run("ten at most", func(t *testing.T) {
		for range 15 {
			r.register(t, person("Rui Prado", "+5511912345678", ""))
		}
		require.Len(t, duplicates(t, r.desk, r.register(t, person("Rui Prado", "+5511912345678", ""))), 10)
	})
}

// Promise I8: who sees CPFs masked finds out no digit of one by who is taken for whom.
func TestPossibleDuplicates_TellNothingOfATaxID(t *testing.T) {
	t.Parallel()
	r := newReception(t)
	id := r.register(t, map[string]any{"name": "Ana Prado", "phone": "+5511987654321", "taxId": "529.982.247-25"})
	other := r.register(t, map[string]any{"name": "Ana Prado Lima", "phone": "+5511987654321"})
	masked := r.server.As(t, r.here, models.RolePartner)
	before := duplicates(t, masked, id)
	require.Equal(t, []string{"Ana Prado Lima"}, before)
	// Digits that are nearly the same, and others.
	for _, cpf := range []string{"52998224806", "11144477735"} {
		r.d.Exec(t, "UPDATE contacts SET tax_id = $2 WHERE id = $1", r.uuid(t, other), cpf)
		for _, role := range models.AllRole {
			require.Equal(t, before, duplicates(t, r.server.As(t, r.here, role), id), "%s %s", role, cpf)
		}
	}
}

func (r *reception) uuid(t *testing.T, global string) any {
	t.Helper()
	id, err := models.KindContact.Parse(global)
	require.NoError(t, err)
	return id
}

func TestNames_AreAlike(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	conn := d.Connect(t, d.SuperuserURL)
	for _, c := range []struct {
		a, b string
		like bool
	}{
		{"Ana Souza", "ANA SOUZA", true},
		{"Ana Souza", "Ana de Souza", true},
		{"Thiago Souza", "Tiago Sousa", true},
		{"Maria Silva", "Maria Souza", true},
		{"Ana Maria Silva", "Maria Ana", true},
		{"João Silva", "José Silva", false},
		{"Ana Souza", "Eva Souza", false},
		{"Ana", "Ana Souza", true},
		{"李 小龙", "李 小龙", true},
		{"!!!", "Ana", false},
		{"!!!", "???", false},
	} {
		for _, pair := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			var alike float32
			require.NoError(t, conn.QueryRow(t.Context(), "SELECT coalesce(contact_names_alike($1, $2), -1)", pair[0], pair[1]).Scan(&alike))
			assert.Equal(t, c.like, alike >= 0.5, "%v: %v", pair, alike)
			assert.GreaterOrEqual(t, alike, float32(0), pair)
		}
	}
}

// Among many who share a date of birth and a number it looks at few, by indexes. Not
// parallel: it is big.
func TestPossibleDuplicates_AreFoundByIndexes(t *testing.T) {
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	conn := d.Connect(t, d.SuperuserURL)
	exec(t, conn, "SET app.contact_search = 'deferred'")
	exec(t, conn, `INSERT INTO contacts (clinic_id, id, name, birth_date, phone)
		SELECT $1, gen_random_uuid(), 'Pessoa ' || md5(n::text), date '1940-01-01' + (n * 7 % 25000), '+55119' || lpad((n % 50000)::text, 8, '6') FROM generate_series(1, 100000) n`, clinic.ID)
	exec(t, conn, `INSERT INTO contact_search (clinic_id, contact_id, archived, line, phone_tail)
		SELECT clinic_id, id, false, ' x ', reverse(substr(phone, 2)) FROM contacts WHERE clinic_id = $1 ON CONFLICT DO NOTHING`, clinic.ID)
	exec(t, conn, "ANALYZE contacts, contact_search")
	app := d.Connect(t, d.AppURL)
	exec(t, app, "SELECT set_config('app.clinic', $1, false)", clinic.ID.String())
	var found, whole int
	start := time.Now()
	exec(t, app, "BEGIN")
	require.NoError(t, app.QueryRow(t.Context(), "SELECT count(*) FROM (SELECT id FROM contacts WHERE clinic_id = $1 AND status <> 'arquivado' ORDER BY name_key, id LIMIT 50) c, contact_duplicates(c.id)", clinic.ID).Scan(&found))
	t.Logf("50 contacts took %v", time.Since(start))
	require.NoError(t, app.QueryRow(t.Context(), "SELECT coalesce(sum(seq_scan), 0)::int FROM pg_stat_xact_user_tables WHERE relname IN ('contacts', 'contact_search', 'contact_search_phones')").Scan(&whole))
	require.Zero(t, whole, "a table was read whole")
	exec(t, app, "ROLLBACK")
}
