package touched_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// reception is a clinic whose contacts are all that changes, and what is kept of
// searches there.
type reception struct {
	*world
	ids  []uuid.UUID
	kept []*kept
}

// kept is a search with its answer and what that depends on.
type kept struct {
	query searching
	answer
}

// searching is a search's arguments, and whether all that it finds is counted.
type searching struct {
	text  string
	first int
	after *string
	count bool
}

func newReception(t *testing.T, seed uint64) *reception {
	t.Helper()
	r := &reception{world: newWorld(t, seed)}
	// In full, so that no two beginnings have one tag by chance.
	r.exec(t, `CREATE OR REPLACE FUNCTION cache_search_tag(kind text, piece text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
		SELECT 'contact/search/' || kind || '=' || encode(convert_to(piece, 'UTF8'), 'hex') $$`)
	r.exec(t, "DELETE FROM medical_records")
	r.exec(t, "DELETE FROM invoices")
	r.exec(t, "DELETE FROM appointments")
	r.exec(t, "DELETE FROM contacts")
	for range 25 {
		r.ids = append(r.ids, models.NewID())
	}
	for range 40 {
		r.change(t)
	}
	return r
}

// word is one of those that are alike, share beginnings, and are spelt in ways that
// mean the same to a search: accents, composed or not, ligatures, cases, scripts,
// signs, digits.
func (r *reception) word() string {
	whole := []string{
		"Ana", "ANA", "Aná", "Ana\u0301", "Maria", "Mariana", "Mariano", "Marinaa", "Francisco", "Fransisco", "Carvalho", "Cravalho", "Carvalhão", "João", "JOA\u0303O",
		"ﬁgueira", "Figueira", "Straße", "Strasse", "Œuvre", "Oeuvre", "Łukasz", "İpek", "D'Ávila", "D\u2019Avila", "da", "de", "E", "dos", "アナ", "アナア", "安娜", "Анна",
		"①", "½", "3x", "12", "987", "98765", "...", "--", "ana-maria", "São_Paulo", "50%", `\`, "🙂", "Gmail", "com", "Clinica", "B", "Be", "Bea", "ana.b", "\u00a0", "\u0130a",
	}
	if r.dice.IntN(3) > 0 {
		return one(r.world, whole)
	}
	var word strings.Builder
	for range 1 + r.dice.IntN(4) {
		word.WriteString(one(r.world, []string{"a", "ma", "ri", "an", "ça", "lo", "LÓ", "be", "ſa", "zé", "1", "-", "ña"}))
	}
	return word.String()
}

func (r *reception) words(most int) string {
	words := make([]string, 1+r.dice.IntN(most))
	for n := range words {
		words[n] = r.word()
	}
	return strings.Join(words, one(r.world, []string{" ", " ", " ", "  ", ", ", "-"}))
}

func (r *reception) email() string {
	local := one(r.world, []string{"ana", "ana.maria", "maria", "ANA", "b", "mari_ana", "3x", "987", "joão", "--"})
	return local + "@" + one(r.world, []string{"gmail.com", "gmial.com", "Clínica-Viva.com.br", "x.br", "ana.com", "--", "アナ"})
}

func (r *reception) phone() string {
	return one(r.world, []string{"+55119", "+55219", "+5511", "+1415", "+3519"}) + one(r.world, []string{"8765432", "8764321", "8765433", "8700001"}) + fmt.Sprint(r.dice.IntN(3))
}

func (r *reception) taxID() string {
	return one(r.world, []string{"123456789", "123999999", "987654321", "529982247"}) + fmt.Sprintf("%02d", r.dice.IntN(20))
}

// change writes something about a contact, as psql would, and gives what it did and
// its tags.
func (r *reception) change(t *testing.T) (did string, tags []touched.Tag) {
	t.Helper()
	for {
		id := one(r.world, r.ids)
		sql, args := "DELETE FROM contacts WHERE id = $1", []any{id}
		optional := func(value string) *string { return perhaps(r.world, value) }
		switch r.dice.IntN(9) {
		case 0:
		case 1, 2, 3:
			sql = "INSERT INTO contacts (clinic_id, id, name, preferred_name, email, phone, tax_id, status) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
			args = []any{
				r.clinic.ID, id, r.words(4), optional(r.words(2)), optional(r.email()), optional(r.phone()), optional(r.taxID()),
				one(r.world, []string{"ativo", "ativo", "arquivado"}),
			}
		case 4:
			sql, args = "UPDATE contacts SET name = $2 WHERE id = $1", []any{id, r.words(4)}
		case 5:
			sql, args = "UPDATE contacts SET preferred_name = $2 WHERE id = $1", []any{id, optional(r.words(2))}
		case 6:
			sql, args = "UPDATE contacts SET email = $2 WHERE id = $1", []any{id, optional(r.email())}
		case 7:
			sql, args = "UPDATE contacts SET phone = $2, tax_id = $3 WHERE id = $1", []any{id, optional(r.phone()), optional(r.taxID())}
		case 8:
			sql, args = "UPDATE contacts SET status = CASE status WHEN 'ativo' THEN 'arquivado' ELSE 'ativo' END WHERE id = $1", []any{id}
		}
		_, err := r.psql.Exec(t.Context(), sql, args...)
		tags = r.notified(t)
		if err == nil && len(tags) > 0 {
			return fmt.Sprintf("%s %q", sql, args), tags
		}
	}
}

// text is one to look for: words, or the beginning of somebody's words, address or
// number, often mistyped.
func (r *reception) text() string {
	text := r.words(3)
	switch r.dice.IntN(6) {
	case 0:
		text = r.email()
	case 1:
		text = one(r.world, []string{"", "0", "+"}) + r.phone()[1+r.dice.IntN(6):]
	case 2:
		text = r.taxID()
	case 3:
		text = "@" + r.email()
		text = text[strings.LastIndex(text, "@"):]
	}
	letters := []rune(text)
	switch r.dice.IntN(6) {
	case 0, 1:
		letters = letters[:1+r.dice.IntN(len(letters))]
	case 2:
		at := r.dice.IntN(len(letters))
		letters = slices.Delete(letters, at, at+1)
	case 3:
		at := r.dice.IntN(len(letters))
		letters = slices.Insert(letters, at, 'n')
	case 4:
		if at := r.dice.IntN(len(letters)); at > 0 {
			letters[at-1], letters[at] = letters[at], letters[at-1]
		}
	}
	text = string(letters)
	switch r.dice.IntN(5) {
	case 0:
		text = strings.ToUpper(text)
	case 1:
		text += " " + r.word()
	}
	return text
}

// look asks a search, new or again.
func (r *reception) look(t *testing.T, query searching) (answer, bool) {
	t.Helper()
	return r.ask(t, read{
		document: `query ($text: String!, $first: Int, $after: String, $count: Boolean!) { searchContacts(query: $text, first: $first, after: $after) {
			nodes { id } edges { cursor } pageInfo { hasNextPage hasPreviousPage } totalCount @include(if: $count) } }`,
		variables: map[string]any{"text": query.text, "first": query.first, "after": query.after, "count": query.count},
	})
}

// draw is a search that nobody has asked yet, or the next page of one.
func (r *reception) draw(t *testing.T) *kept {
	t.Helper()
	for {
		query := searching{text: r.text(), first: r.dice.IntN(5), count: r.dice.IntN(4) == 0}
		if r.dice.IntN(4) == 0 {
			page, err := r.graph.Page(t, r.ctx, "searchContacts", map[string]any{"query": query.text, "first": query.first})
			if err == nil && len(page.Edges) > 0 {
				query.after = page.PageInfo.EndCursor
			}
		}
		if a, ok := r.look(t, query); ok {
			return &kept{query, a}
		}
	}
}

// explore writes, and looks at everything kept after each write.
func (r *reception) explore(t *testing.T, writes int) found {
	t.Helper()
	result := found{needed: map[string]int{}}
	for range writes {
		for len(r.kept) < 25 {
			r.kept = append(r.kept, r.draw(t))
		}
		did, tags := r.change(t)
		if !r.compare(t, &result, did, tags) {
			return result
		}
		// Some stay for long, and are asked again and again.
		r.kept = slices.DeleteFunc(r.kept, func(*kept) bool { return r.dice.IntN(4) == 0 })
	}
	return result
}

// compare looks again at everything kept after a write that had some tags, and tells
// whether all that has changed had one of them.
func (r *reception) compare(t *testing.T, result *found, did string, tags []touched.Tag) bool {
	t.Helper()
	for _, k := range r.kept {
		was := k.answer
		now, ok := r.look(t, k.query)
		require.True(t, ok, now.text)
		k.answer = now
		result.checked++
		told := map[string]bool{}
		for _, tag := range tags {
			if family(tag) == r.forgets {
				continue
			}
			if tag == touched.Everything || slices.Contains(was.tags, tag) {
				told[family(tag)] = true
			}
		}
		if len(told) > 0 {
			result.touched++
		}
		if now.text == was.text {
			continue
		}
		result.changed++
		if len(told) == 0 {
			result.stale = fmt.Sprintf("%+q\n after %s\n was %s\n  is %s\nread: %q\nwritten: %q", k.query.text, did, was.text, now.text, was.tags, tags)
			return false
		}
		if len(told) == 1 {
			for only := range told {
				result.needed[only]++
			}
		}
	}
	return true
}

// Whatever is looked for and however it is spelt: a change of a contact that changes
// what is found has a tag of the search. TASKMED_SEARCH_TAGS=8m begins anew, with
// other contacts, for so long.
func TestSearchTags_AreComplete(t *testing.T) {
	t.Parallel()
	span := longer(t, "TASKMED_SEARCH_TAGS")
	var checked, hit, changed int
	for began := time.Now(); checked == 0 || time.Since(began) < span; {
		seed := uint64(time.Now().UnixNano())
		result := newReception(t, seed).explore(t, 60)
		require.Empty(t, result.stale, "seed %d", seed)
		checked, hit, changed = checked+result.checked, hit+result.touched, changed+result.changed
	}
	t.Logf("%d searches asked again, %d touched, %d had changed", checked, hit, changed)
	require.Greater(t, changed, 15)
	require.Less(t, hit, checked/2, "most changes leave most searches alone, even among names that are as alike as these")
}

// The run above would notice tags that are not raised, or not declared: the same
// comparison, after somebody came whom a search finds, is content with all of them
// and is not without.
func TestSearchTags_AMissingOneIsFound(t *testing.T) {
	t.Parallel()
	r := newReception(t, 13)
	// A word that the clinic knows is told of by itself alone, a new one by what is near, too.
	r.exec(t, "UPDATE contacts SET name = 'Zuleica' WHERE id = (SELECT id FROM contacts WHERE id <> $1 LIMIT 1)", r.ids[0])
	for _, control := range []struct{ name, text, column, value, forgets, sql string }{
		{name: "words", text: "zul", column: "name", value: "Zuleica", forgets: "contact/search/word="},
		{name: "numbers", text: "21 98765", column: "phone", value: "+5521987654399", forgets: "contact/search/number="},
		{name: "near", text: "wuelfer", column: "name", value: "Quelfer", forgets: "contact/search/near="},
		// From here on the database is another.
		{
			name: "the clinic's words announce nothing", text: "wuintela", column: "name", value: "Quintela",
			sql: `DROP TRIGGER cache_tags_insert ON contact_search_vocabulary; DROP TRIGGER cache_tags_delete ON contact_search_vocabulary`,
		},
		{
			name: "addresses", text: "zq.fulano@", column: "email", value: "zq.fulano@correio.example",
			sql: `ALTER FUNCTION cache_search_row_tags(text, text, text, text, text, text) RENAME TO all_row_tags;
			CREATE FUNCTION cache_search_row_tags(line text, email text, tax_id text, phone_tail text, phone_national text, phone_local text) RETURNS text[]
			LANGUAGE sql AS $$ SELECT all_row_tags(line, NULL, tax_id, phone_tail, phone_national, phone_local) $$`,
		},
		{
			name: "a reader's own spelling", text: "xav", column: "name", value: "Xavier",
			sql: `CREATE OR REPLACE FUNCTION cache_search_beginning_tag(beginning text) RETURNS text LANGUAGE sql AS $$
			SELECT cache_search_tag('word', upper(left(beginning, CASE WHEN char_length(beginning) >= 5 THEN 5 ELSE least(char_length(beginning), 3) END))) $$`,
		},
	} {
		come := func() found {
			r.exec(t, "DELETE FROM contacts WHERE id = $1", r.ids[0])
			r.notified(t)
			query := searching{text: control.text, first: 20}
			before, ok := r.look(t, query)
			require.True(t, ok, before.text)
			r.kept = []*kept{{query, before}}
			row := map[string]any{"clinic_id": r.clinic.ID, "id": r.ids[0], "name": "Fulano", control.column: control.value}
			text, err := json.Marshal(row)
			require.NoError(t, err)
			r.exec(t, "INSERT INTO contacts (clinic_id, id, name, email, phone) SELECT clinic_id, id, name, email, phone FROM jsonb_populate_record(NULL::contacts, $1::jsonb)", string(text))
			result := found{needed: map[string]int{}}
			r.compare(t, &result, control.value, r.notified(t))
			require.Equal(t, 1, result.changed, "%s: %s is found by %s", control.name, control.value, control.text)
			return result
		}
		r.forgets = ""
		require.Empty(t, come().stale, control.name)
		r.forgets = control.forgets
		if control.sql != "" {
			_, err := r.psql.Exec(t.Context(), control.sql)
			require.NoError(t, err)
		}
		require.NotEmpty(t, come().stale, control.name)

		if longer(t, "TASKMED_SEARCH_TAGS") > 0 {
			t.Run(control.name, func(t *testing.T) {
				t.Parallel()
				r := newReception(t, 13)
				r.forgets = control.forgets
				if control.sql != "" {
					_, err := r.psql.Exec(t.Context(), control.sql)
					require.NoError(t, err)
				}
				require.NotEmpty(t, r.explore(t, 1500).stale)
			})
		}
	}
}
