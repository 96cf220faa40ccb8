package people_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/people"
	"github.com/taskmed/taskmed/internal/people/guesses"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/graph"
	"github.com/taskmed/taskmed/models"
)

// person is a contact that a search may find; empty is absent.
type person struct {
	name, preferred, email, phone, taxID, status string
}

// desk is a clinic's reception with its own contacts only.
type desk struct {
	database  *testkit.Database
	clinic    *testkit.Clinic
	graph     *graph.Graph
	directory *people.Directory
}

func newDesk(t *testing.T, contacts ...person) *desk {
	t.Helper()
	d := testkit.NewDatabase(t)
	other := openDesk(t, d, "b")
	other.add(t, contacts...)
	mine := openDesk(t, d, "a")
	mine.add(t, contacts...)
	return mine
}

func openDesk(t *testing.T, d *testkit.Database, slug string) *desk {
	t.Helper()
	clinic := d.NewClinic(t, slug)
	d.Exec(t, "DELETE FROM contacts WHERE clinic_id = $1", clinic.ID)
	g := graph.New(t, d.DB, d.Cursors, time.Now)
	return &desk{database: d, clinic: clinic, graph: g, directory: people.New(d.DB, g.Entities, d.Cursors, nil, guesses.Alone{})}
}

func (d *desk) add(t *testing.T, contacts ...person) []uuid.UUID {
	t.Helper()
	ids := make([]uuid.UUID, 0, len(contacts))
	var batch pgx.Batch
	for _, c := range contacts {
		id := models.NewID()
		batch.Queue(`
			INSERT INTO contacts (clinic_id, id, name, preferred_name, email, phone, tax_id, status)
			VALUES ($1, $2, $3, nullif($4, ''), nullif($5, ''), nullif($6, ''), nullif($7, ''), coalesce(nullif($8, ''), 'ativo'))`,
			d.clinic.ID, id, c.name, c.preferred, c.email, c.phone, c.taxID, c.status)
		ids = append(ids, id)
	}
	if len(contacts) > 0 {
		require.NoError(t, d.database.Connect(t, d.database.SuperuserURL).SendBatch(t.Context(), &batch).Close())
	}
	return ids
}

func (d *desk) page(t *testing.T, query people.SearchQuery) *paging.Page[models.Contact] {
	t.Helper()
	query.Wanted.Shown = showing("name", "status")
	page, err := d.directory.SearchContacts(d.clinic.As(t.Context(), models.RoleReceptionist), query)
	require.NoError(t, err, "search for %q", query.Text)
	return page
}

// showing is what is selected of contacts.
func showing(names ...string) [][]*selection.Field {
	var fields []*selection.Field
	for _, name := range names {
		fields = append(fields, &selection.Field{Name: name, Key: name})
	}
	return [][]*selection.Field{fields}
}

// search gives the names that a text finds, best first.
func (d *desk) search(t *testing.T, text string) []string {
	t.Helper()
	names := []string{}
	for _, contact := range d.page(t, people.SearchQuery{Text: text, Request: paging.Request{First: new(100)}}).Items {
		names = append(names, contact.Name)
	}
	return names
}

func TestSearch_FindsAContactHoweverItIsTyped(t *testing.T) {
	t.Parallel()
	d := newDesk(
		t,
		person{name: "João Antônio D'Ávila da Conceição", preferred: "Totó", email: "Joao.Davila83@Clínica-Viva.com.br", phone: "+5511987654321", taxID: "52998224725"},
		person{name: "Joana Antunes", email: "joana@gmail.com", phone: "+5521912345678", taxID: "11144477735"},
		person{name: "Antônio Conceição", phone: "+551133334444"},
		person{name: "Mary Smith", phone: "+14155550123"},
	)
	const wanted = "João Antônio D'Ávila da Conceição"
	for _, text := range []string{
		// Accents, case, blanks, punctuation; composed and decomposed letters.
		wanted, "joao antonio d'avila da conceicao", "JOÃO ANTÔNIO", "Joa\u0303o d\u2019a\u0301vila", "  joão   davila83 ", "joao, avila",
		// Beginnings, and words in any order.
		"joao av", "avi joa", "conc joao", "d avila joao",
		// One edit, two neighbours swapped, two edits in a long word.
		"jaoo conceicao", "joao avlia", "jõao concecao", "joao conceisao", "joao comceisao", "totó", "toto", "totp joao",
		// E-mail: its beginning, its domain, a domain with a slip.
		"joao.davila83@clínica-viva.com.br", "joao.davila83@", "joao.dav", "JOAO.DAVILA83", "joao clinica-viva.com", "@clinica-viva.com.br", "joao.davila83@gmial.com",
		// Phone: with and without country and area, punctuation, the last digits.
		"+55 11 98765-4321", "+5511987654321", "(11) 98765-4321", "011987654321", "11 98765 4321", "987654321", "98765-4321", "65-4321", "4321", "1198765", "98765", "joao 4321",
		// CPF: with and without punctuation, its beginning.
		"529.982.247-25", "52998224725", "529.982", "5299", "529", "52998224725 joao",
	} {
		found := d.search(t, text)
		if assert.NotEmpty(t, found, "%q", text) {
			assert.Equal(t, wanted, found[0], "%q", text)
		}
	}
	assert.Equal(t, []string{"Mary Smith"}, d.search(t, "+1 415 555-0123"))
}

func TestSearch_FindsNothingThatIsNotThere(t *testing.T) {
	t.Parallel()
	d := newDesk(t, person{name: "João Silva", email: "joao@gmail.com", phone: "+5511987654321", taxID: "52998224725"})
	for _, text := range []string{"xyz", "???", "'", "%", "_", "\\", "% joao_", "🙂", "876543", "321", "982247", "maria@", "@", ".", "da", "-", "()", "'; DROP TABLE contacts; --"} {
		if text == "% joao_" {
			assert.Equal(t, []string{"João Silva"}, d.search(t, text), "signs are no wildcards")
			continue
		}
		assert.Empty(t, d.search(t, text), "%q", text)
	}
}

func TestSearch_RanksTheBestMatchFirst(t *testing.T) {
	t.Parallel()
	d := newDesk(
		t,
		person{name: "Marta Teste"},
		person{name: "Mariana Teste"},
		person{name: "Ana Maria Teste"},
		person{name: "Maria Teste"},
		person{name: "Maria Aparecida Teste"},
		person{name: "Bia Mariotti Teste"},
		person{name: "Maria Zélia Teste", status: "arquivado"},
		person{name: "Carlos Teste", email: "maria.do.carlos@gmail.com"},
		person{name: "Maria", status: "inativo"},
		person{name: "Zulmira Prado"},
	)
	for text, wanted := range map[string][]string{
		// The word itself, at the name's beginning first; what it begins; an e-mail
		// it begins; the archive; what is one letter off.
		"maria": {
			"Maria", "Maria Aparecida Teste", "Maria Teste", "Ana Maria Teste", "Mariana Teste", "Carlos Teste",
			"Maria Zélia Teste", "Marta Teste",
		},
		// All the words before one of them.
		"maria teste": {
			"Maria Teste", "Maria Aparecida Teste", "Ana Maria Teste", "Mariana Teste", "Maria Zélia Teste", "Marta Teste",
			"Maria", "Bia Mariotti Teste", "Carlos Teste",
		},
		"teste aparecida maria": {
			"Maria Aparecida Teste", "Maria Teste", "Ana Maria Teste", "Mariana Teste", "Marta Teste", "Maria Zélia Teste",
		},
		"mari zeli": {"Maria Zélia Teste"},
	} {
		found := d.search(t, text)
		require.GreaterOrEqual(t, len(found), len(wanted), "%q found %q", text, found)
		assert.Equal(t, wanted, found[:len(wanted)], "%q", text)
		assert.NotContains(t, found, "Zulmira Prado", "%q", text)
	}
}

func TestSearch_PutsTheArchiveBelowAndKeepsItFindable(t *testing.T) {
	t.Parallel()
	d := newDesk(
		t,
		person{name: "Ana Souza", status: "arquivado", taxID: "52998224725"},
		person{name: "Ana Souzani"},
		person{name: "Ana Souza", phone: "+5511987654321"},
	)
	page := d.page(t, people.SearchQuery{Text: "ana souza"})
	require.Len(t, page.Items, 3)
	assert.Equal(t, "Ana Souza", page.Items[0].Name)
	assert.Equal(t, models.ContactStatusActive, page.Items[0].Status)
	assert.Equal(t, "Ana Souzani", page.Items[1].Name)
	assert.Equal(t, models.ContactStatusArchived, page.Items[2].Status)
	assert.Equal(t, []string{"Ana Souza"}, d.search(t, "529.982.247-25"))
}

func TestSearch_RefusesWhatIsNoSearch(t *testing.T) {
	t.Parallel()
	d := newDesk(t, person{name: "João Silva"})
	ctx := d.clinic.As(t.Context(), models.RoleReceptionist)
	first := d.page(t, people.SearchQuery{Text: "joao"})
	contacts, err := d.graph.Page(t, ctx, "contacts", nil)
	require.NoError(t, err)

	for what, query := range map[string]people.SearchQuery{
		"empty":                    {Text: ""},
		"blanks":                   {Text: " \t\u00a0\n "},
		"too long":                 {Text: strings.Repeat("ã", 101)},
		"NUL":                      {Text: "jo\x00ao"},
		"not UTF-8":                {Text: "jo\xffao"},
		"first: 0":                 {Text: "joao", Request: paging.Request{First: new(0)}},
		"first: 101":               {Text: "joao", Request: paging.Request{First: new(101)}},
		"backwards":                {Text: "joao", Request: paging.Request{Last: new(5)}},
		"no cursor":                {Text: "joao", Request: paging.Request{After: new("abc")}},
		"another search's cursor":  {Text: "silva", Request: paging.Request{After: new(first.Cursor(first.Items[0]))}},
		"a list of names's cursor": {Text: "joao", Request: paging.Request{After: &contacts.Edges[0].Cursor}},
	} {
		_, err := d.directory.SearchContacts(ctx, query)
		var refused *models.Error
		if assert.ErrorAs(t, err, &refused, what) {
			assert.Equal(t, models.BadUserInput, refused.Code, what)
		}
	}
	assert.Equal(t, []string{"João Silva"}, d.search(t, strings.Repeat(" ", 200)+"joao"+strings.Repeat(" ", 200)))
	assert.NotPanics(t, func() { d.search(t, strings.Repeat("ã", 100)) })
	_, err = d.directory.SearchContacts(t.Context(), people.SearchQuery{Text: "joao"})
	assert.Error(t, err, "no scope, no search")
}
