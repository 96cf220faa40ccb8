package touched_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit/graph"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// searches are the tags of a search for a text that shows more than there is.
func (w *world) searches(t *testing.T, text string) []touched.Tag {
	t.Helper()
	return w.dependsOn(t, "searchContacts"+graph.Args(map[string]any{"query": text, "first": 20})+" { nodes { id } }")
}

// written are the tags of a statement about contacts, but for the contacts' own: who
// is shown is another matter.
func (w *world) written(t *testing.T, sql string, args ...any) []touched.Tag {
	t.Helper()
	w.exec(t, sql, args...)
	return slices.DeleteFunc(w.notified(t), func(tag touched.Tag) bool { return strings.HasPrefix(string(tag), "contact:") })
}

func (w *world) requireTouched(t *testing.T, tags []touched.Tag, hit, others []string) {
	t.Helper()
	for _, text := range hit {
		require.True(t, w.touches(t, tags, w.searches(t, text)), text)
	}
	for _, text := range others {
		read := w.searches(t, text)
		require.False(t, w.touches(t, tags, read), "%s: %q, %q", text, read, tags)
	}
}

// A contact that comes, goes, or gets another name leaves the searches alone that
// would not find it.
func TestTags_AContactTouchesSearchesForItAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 8)
	others := []string{"ana", "souza", "joão d'ávila", "mario-dalva", "carlos lima", "a.souza@x.example", "@uol.com.br", "955554", "(11) 3333-4444", "アナ", "111.444"}
	own := []string{
		"b", "be", "bea", "Beatriz", "BEATRIZ N", "nogu", "béatriz nogueira ana", "ana nogueira", "nogueira-ana",
		"beatrix", "nogeira", "nogueria", "bia", "bia.nog", "bia.nog@", "bia.nog@correio.example", "correio", "@correio", "correio.example",
		"21987654321", "+55 21 98765", "21 98765", "4321", "98765-4321", "529.982", "ana 52998",
	}
	insert := []any{w.clinic.ID, w.clinic.ID}
	w.requireTouched(t, w.written(t, `INSERT INTO contacts (clinic_id, id, name, preferred_name, email, phone, tax_id)
		VALUES ($1, $2, 'Beatriz Nogueira', 'Bia', 'bia.nog@correio.example', '+5521987654321', '52998224725')`, insert...), own, others)
	w.requireTouched(t, w.written(t, "UPDATE contacts SET name = 'Beatriz Nogueira Prado' WHERE clinic_id = $1 AND id = $2", insert...), append(own, "prad", "parado"), others)
	w.requireTouched(t, w.written(t, "UPDATE contacts SET status = 'arquivado' WHERE clinic_id = $1 AND id = $2", insert...), own, others)
	w.requireTouched(t, w.written(t, "UPDATE contacts SET name = 'Zilda' WHERE clinic_id = $1 AND id = $2", insert...), append(own, "zild", "zidla", "prado"), others)
	require.Empty(t, w.written(t, "UPDATE contacts SET name = 'ZILDA' WHERE clinic_id = $1 AND id = $2 AND name = 'x'", insert...))
	require.Equal(t, []touched.Tag{"contact/updated"}, w.written(t, "UPDATE contacts SET name = 'ZILDA' WHERE clinic_id = $1 AND id = $2", insert...), "the same to a search")
	w.requireTouched(t, w.written(t, "DELETE FROM contacts WHERE clinic_id = $1 AND id = $2", insert...), []string{"zilda", "bia", "correio", "21987", "529"}, append(others, "prado"))
}

// A number is found by digits, a name is not.
func TestTags_ANumberTouchesNoSearchForAName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 8)
	id := w.contacts[0]
	w.exec(t, "UPDATE contacts SET name = 'Zilda Prado', phone = NULL, tax_id = NULL, email = NULL, preferred_name = NULL, status = 'ativo' WHERE id = $1", id)
	w.notified(t)
	names := []string{"zilda", "prado", "ana", "joão d'ávila", "a.souza@correio.example", "maria-rita", "ana ①"}
	w.requireTouched(t, w.written(t, "UPDATE contacts SET phone = '+5521987654321' WHERE id = $1", id),
		[]string{"21987", "zilda 21987", "+55 (21) 98765", "4321", "98765-4321", "021 98765-4321"}, append(names, "529", "1111", "5511 98765"))
	w.requireTouched(t, w.written(t, "UPDATE contacts SET phone = '+14155550123' WHERE id = $1", id),
		[]string{"21987", "4321", "+1 415 555-0123", "50123", "14155"}, append(names, "529", "1111"))
	w.requireTouched(t, w.written(t, "UPDATE contacts SET tax_id = '52998224725' WHERE id = $1", id), []string{"529", "529.982", "zilda 529"}, append(names, "111", "4321"))
	require.Empty(t, slices.DeleteFunc(w.written(t, "UPDATE contacts SET notes = 'x' WHERE id = $1", id), func(tag touched.Tag) bool { return tag == "contact/updated" }))
}

// However long a name is and however many contacts come at once: searches fall, other
// answers stay.
func TestTags_ManyWordsTouchEverySearchAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10)
	const usual = "INSERT INTO contacts (clinic_id, id, name, email, phone) VALUES ($1, $2, $3, $4, '+5511987654321')"
	tags := w.written(t, usual, w.clinic.ID, models.NewID(), "Maria Aparecida Gonçalves da Silva", "maria.aparecida@gmail.com")
	require.NotContains(t, tags, touched.Tag("contact/search/any"))
	require.Less(t, len(tags), 90)

	var name strings.Builder
	for n := range 50 {
		fmt.Fprintf(&name, "%c%cx ", 'a'+n%26, 'a'+n/26)
	}
	long := w.written(t, usual, w.clinic.ID, models.NewID(), name.String(), "x@y.br")
	require.Contains(t, long, touched.Tag("contact/search/any"))
	require.NotContains(t, long, touched.Everything)
	w.requireTouched(t, long, []string{"zuleica", "12345678"}, nil)

	const many = 12
	tx, err := w.psql.Begin(t.Context())
	require.NoError(t, err)
	for n := range many {
		_, err := tx.Exec(t.Context(), usual, w.clinic.ID, models.NewID(), fmt.Sprintf("Fulano %c Quintela%c", 'a'+n, 'a'+n), fmt.Sprintf("f%d@correio.example", n))
		require.NoError(t, err)
	}
	require.NoError(t, tx.Commit(t.Context()))
	heard := w.notified(t)
	require.Contains(t, heard, touched.Tag("contact/search/any"))
	require.NotContains(t, heard, touched.Everything)

	// What is loaded in bulk is not looked at row by row.
	w.exec(t, "INSERT INTO contacts (clinic_id, id, name) SELECT $1, gen_random_uuid(), 'N' || n FROM generate_series(1, 51) AS n", w.clinic.ID)
	require.Contains(t, w.notified(t), touched.Everything)
	w.exec(t, "SELECT rebuild_contact_search($1)", w.clinic.ID)
	require.Contains(t, w.notified(t), touched.Everything)
}
