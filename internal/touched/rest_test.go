package touched_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// announced is a table whose changes are announced though no read of this
// package's world is made from it yet.
type announced struct {
	table, kind string
	// values are a row's columns but for clinic_id and id; {name} stands for the id
	// of the row of that name.
	values map[string]string
	// placed are the tags of lists that the row is in.
	placed []string
	// column and value change the row and not where it stands.
	column, value string
	// moves tells that a list is sorted by when the row was last changed.
	moves bool
}

// rest is in the order in which rows refer to each other.
func rest() []announced {
	return []announced{
		{
			table: "consents", kind: "consent", values: map[string]string{"contact_id": "'{contact}'", "purpose": "'marketing'", "granted": "true"},
			placed: []string{"consent/contact={contact}"}, column: "evidence", value: "'x'",
		},
	}
}

func TestTags_OfWhatNoAnswerIsReadFromYet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	record := models.NewID()
	ids := []string{
		"{contact}", w.contacts[0].String(), "{practitioner}", w.practitioners[0].String(), "{service}", w.services[0].String(),
		"{record}", record.String(),
	}
	w.exec(t, `INSERT INTO medical_records (clinic_id, id, contact_id, practitioner_id, kind, title, body)
		VALUES ($1, $2, $3, $4, 'evolution', 'a', 'b')`, w.clinic.ID, record, w.contacts[0], w.practitioners[0])
	w.notified(t)
	all := rest()
	rows := map[string]uuid.UUID{}
	wanted := map[string][]touched.Tag{}
	for _, a := range all {
		rows[a.table] = models.NewID()
		ids = append(ids, "{"+a.table+"}", rows[a.table].String())
		names := strings.NewReplacer(ids...)
		wanted[a.table] = []touched.Tag{touched.Entity(models.Kind(a.kind), rows[a.table])}
		for _, tag := range a.placed {
			wanted[a.table] = append(wanted[a.table], touched.Tag(names.Replace(tag)))
		}
		columns, values := "clinic_id, id", fmt.Sprintf("'%s', '%s'", w.clinic.ID, rows[a.table])
		for column, value := range a.values {
			columns, values = columns+", "+column, values+", "+names.Replace(value)
		}
		w.exec(t, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", a.table, columns, values))
		require.ElementsMatch(t, wanted[a.table], w.notified(t), a.table)

		w.exec(t, fmt.Sprintf("UPDATE %s SET %s = %s WHERE id = $1", a.table, a.column, a.value), rows[a.table])
		if a.moves {
			require.ElementsMatch(t, wanted[a.table], w.notified(t), a.table)
		} else {
			require.Equal(t, wanted[a.table][:1], w.notified(t), "%s: it is where it was", a.table)
		}
		// By what an index selects and sorts, lists select and sort.
		require.Empty(t, w.unplaced(t, a.table), a.table)
	}
	for _, a := range slices.Backward(all) {
		w.exec(t, fmt.Sprintf("DELETE FROM %s WHERE id = $1", a.table), rows[a.table])
		require.ElementsMatch(t, wanted[a.table], w.notified(t), a.table)
		w.exec(t, "TRUNCATE "+a.table+" CASCADE")
		require.Contains(t, w.notified(t), touched.Everything, a.table)
	}
	require.Equal(t, []string{"birth_date", "birthday", "updated_at"}, w.unplaced(t, "contacts"), "what is told by contact/updated at each change")
}

// unplaced are the columns of a table's indexes, uniques apart, whose change its
// trigger does not take for one of lists.
func (w *world) unplaced(t *testing.T, table string) []string {
	t.Helper()
	rows, err := w.psql.Query(t.Context(), `SELECT DISTINCT a.attname::text
		FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
		LEFT JOIN pg_proc p ON p.proname = 'cache_tags_' || $1
		WHERE i.indrelid = $1::regclass AND NOT i.indisunique AND a.attname NOT IN ('clinic_id', 'id')
			AND p.prosrc !~ ('\mo\.' || a.attname || '\M.* IS DISTINCT FROM ') IS NOT FALSE`, table)
	require.NoError(t, err)
	var names []string
	var name string
	for rows.Next() {
		require.NoError(t, rows.Scan(&name))
		names = append(names, name)
	}
	require.NoError(t, rows.Err())
	return names
}
