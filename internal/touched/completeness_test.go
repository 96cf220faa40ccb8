package touched_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// answer is what a read gave, and what it said it depends on.
type answer struct {
	text string
	tags []touched.Tag
}

// ask runs a read. ok is false where it failed: such answers are not kept.
func (w *world) ask(t *testing.T, r read) (a answer, ok bool) {
	t.Helper()
	ctx, collector := touched.Collect(w.ctx)
	response := w.graph.Do(t, ctx, r.document, r.variables)
	if len(response.Errors) > 0 {
		var told *models.Error
		require.ErrorAs(t, response.Errors[0], &told, r.document)
		return answer{text: "error: " + response.Errors.Error()}, false
	}
	tags, reason := collector.Tags()
	require.Empty(t, reason, "%s is poisoned", r.document)
	return answer{string(response.Data), tags}, true
}

// found is what a run of random reads and writes came to.
type found struct {
	checked, changed int
	// touched counts those that a write had a tag of, changed or not.
	touched int
	// stale is a read that a write changed without having one of its tags.
	stale string
	// needed counts, per family of tags, the changes that no other family told.
	needed map[string]int
	// answered counts the answers with each of the schema's places.
	answered map[string]int
}

// family is a tag without its values.
func family(tag touched.Tag) string {
	text := regexp.MustCompile(`=[^/]*`).ReplaceAllString(string(tag), "=")
	return regexp.MustCompile(`:.*`).ReplaceAllString(text, ":")
}

// asked is a read with what it was answered.
type asked struct {
	read
	answer
}

// compare asks again what was asked before a write that had some tags, and tells
// whether all that has changed depended on one of them.
func (f *found) compare(t *testing.T, w *world, before []asked, did string, tags []touched.Tag) bool {
	t.Helper()
	for _, b := range before {
		f.checked++
		for _, place := range b.places {
			f.answered[place]++
		}
		after, _ := w.ask(t, b.read)
		if after.text == b.text {
			continue
		}
		f.changed++
		told := map[string]bool{}
		for _, tag := range tags {
			if family(tag) == w.forgets {
				continue
			}
			if tag == touched.Everything || slices.Contains(b.tags, tag) {
				told[family(tag)] = true
			}
		}
		if len(told) == 0 {
			f.stale = fmt.Sprintf("%s\n after %s\n was %s\n  is %s\nread: %q\nwritten: %q", b.document, did, b.text, after.text, b.tags, tags)
			return false
		}
		if len(told) == 1 {
			for only := range told {
				f.needed[only]++
			}
		}
	}
	return true
}

// explore reads, writes and reads again, so many writes long and until every one of
// some places was answered, or until something is stale.
func (w *world) explore(t *testing.T, writes, readsPerWrite int, places ...string) found {
	t.Helper()
	result := found{needed: map[string]int{}, answered: map[string]int{}}
	// Which places come is chance; a place that never comes ends the run all the same.
	for n := 0; n < writes || n < 10*writes && !result.reached(places); n++ {
		if n%10 == 0 {
			w.restock(t)
		}
		var before []asked
		for range readsPerWrite {
			r := w.read(t)
			if a, ok := w.ask(t, r); ok {
				before = append(before, asked{r, a})
			}
		}
		did, tags := w.write(t)
		if !result.compare(t, w, before, did, tags) {
			return result
		}
	}
	return result
}

func (f *found) reached(places []string) bool {
	return !slices.ContainsFunc(places, func(place string) bool { return f.answered[place] == 0 })
}

// longer is for how long random worlds begin anew, as an environment variable says;
// 0 for one of them.
func longer(t *testing.T, variable string) time.Duration {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return 0
	}
	span, err := time.ParseDuration(text)
	require.NoError(t, err, variable)
	return span
}

// Whatever is read and whatever is written, by the API or past it: an answer
// that is not the same any more depends on something that the write named.
// TASKMED_TAGS=8m goes on in other worlds for so long, and has random worlds find
// what the tests below break, too.
func TestTags_AreComplete(t *testing.T) {
	t.Parallel()
	span := longer(t, "TASKMED_TAGS")
	for began, first := time.Now(), true; first || time.Since(began) < span; first = false {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		w := newWorld(t, seed)
		result := w.explore(t, 120, 12, w.places()...)
		for _, table := range w.tables() {
			t.Logf("%s: %d", table, w.Count(t, "SELECT count(*) FROM "+table))
		}
		t.Logf("%d answers read again, %d had changed; needed: %v", result.checked, result.changed, result.needed)
		require.Empty(t, result.stale)
		require.Greater(t, result.checked, 800)
		require.Greater(t, result.changed, 15)
		require.ElementsMatch(t, w.places(), slices.Collect(maps.Keys(result.answered)), "every place was there: %v", result.answered)
	}
}

// directed is a write past the API, and a query that it changes. Its write changes
// the answer each time it is made; $1 in it is its row.
type directed struct{ query, write string }

// make asks, writes, and asks again.
func (d directed) make(t *testing.T, w *world) found {
	t.Helper()
	result := found{needed: map[string]int{}, answered: map[string]int{}}
	names := strings.NewReplacer(
		"{contact}", models.KindContact.Global(w.contacts[0]), "{practitioner}", models.KindPractitioner.Global(w.practitioners[0]),
		"{appointment}", models.KindAppointment.Global(w.appointments[0]),
		"{clinic_id}", w.clinic.ID.String(), "{contact_id}", w.contacts[0].String(), "{practitioner_id}", w.practitioners[0].String(),
		"{appointment_id}", w.appointments[0].String(), "{id}", models.NewID().String(),
	)
	r := read{document: "{ " + names.Replace(d.query) + " }"}
	before, ok := w.ask(t, r)
	require.True(t, ok, before.text)
	sql := names.Replace(d.write)
	w.exec(t, sql)
	result.compare(t, w, []asked{{r, before}}, sql, w.notified(t))
	require.Equal(t, 1, result.changed, "%s: changed by %s", d.query, sql)
	return result
}

const (
	itsAppointments = `contact(id: "{contact}") { appointments { nodes { id } } }`
	booking         = `INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, starts_at, ends_at, overbooked)
		VALUES ('{clinic_id}', '{id}', '{contact_id}', '{practitioner_id}', now() + interval '40 days', now() + interval '41 days', true)`
	itsRecords = `contact(id: "{contact}") { medicalRecords { nodes { id } } }`
	recording  = `INSERT INTO medical_records (clinic_id, id, contact_id, practitioner_id, kind, title, body)
		VALUES ('{clinic_id}', '{id}', '{contact_id}', '{practitioner_id}', 'evolution', 'a', 'b')`
	itsHours    = `practitioner(id: "{practitioner}") { workingHours { weekday fromMinute toMinute } }`
	lessHours   = `DELETE FROM working_hours WHERE id = (SELECT id FROM working_hours WHERE practitioner_id = '{practitioner_id}' ORDER BY id LIMIT 1)`
	ofContact   = `contact(id: "{contact}") { notes }`
	noteOfOne   = `UPDATE contacts SET notes = '{id}' WHERE id = '{contact_id}'`
	ofBooking   = `appointment(id: "{appointment}") { notes }`
	noteOfVisit = `UPDATE appointments SET notes = '{id}' WHERE id = '{appointment_id}'`
)

// newDirectedWorld has the appointment that directed writes change.
func newDirectedWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := newWorld(t, seed)
	w.exec(t, `INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, starts_at, ends_at, overbooked)
		VALUES ($1, $2, $3, $4, now() + interval '50 days', now() + interval '51 days', true) ON CONFLICT DO NOTHING`,
		w.clinic.ID, w.appointments[0], w.contacts[0], w.practitioners[0])
	w.notified(t)
	return w
}

// The run above would notice a missing trigger: the same comparison, after a write
// that is known to change the answer, is content with the trigger and is not without.
func TestTags_AMissingTriggerIsFound(t *testing.T) {
	t.Parallel()
	w := newDirectedWorld(t, 7)
	for _, it := range []struct {
		table, trigger string
		directed
	}{
		{"appointments", "cache_tags_insert", directed{itsAppointments, booking}},
		{"appointments", "cache_tags_update", directed{ofBooking, noteOfVisit}},
		{"contacts", "cache_tags_update", directed{ofContact, noteOfOne}},
		{"medical_records", "cache_tags_insert", directed{itsRecords, recording}},
		{"working_hours", "cache_tags_delete", directed{itsHours, lessHours}},
		{"clinics", "cache_tags_update", directed{`clinic { name }`, `UPDATE clinics SET name = '{id}'`}},
	} {
		name := it.table + " " + it.trigger
		require.Empty(t, it.make(t, w).stale, name)
		w.exec(t, "DROP TRIGGER "+it.trigger+" ON "+it.table)
		require.NotEmpty(t, it.make(t, w).stale, name)

		if longer(t, "TASKMED_TAGS") > 0 {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, 7)
				w.exec(t, "DROP TRIGGER "+it.trigger+" ON "+it.table)
				require.NotEmpty(t, w.explore(t, 6000, 8).stale)
			})
		}
	}
}

// Nor would it miss a read that does not say all. What searches depend on besides is
// TestSearchTags_AMissingOneIsFound's.
func TestTags_AMissingDeclarationIsFound(t *testing.T) {
	t.Parallel()
	w := newDirectedWorld(t, 11)
	for forgotten, it := range map[string]directed{
		"contact:":     {ofContact, noteOfOne},
		"appointment:": {ofBooking, noteOfVisit},
		"contact/list": {`contacts(first: 2) { nodes { name } }`, `INSERT INTO contacts (clinic_id, id, name) VALUES ('{clinic_id}', '{id}', 'Aa {id}')`},
		// The clinic knows the word: a new one would be told of by what is near, too.
		"contact/search/word=": {
			`searchContacts(query: "sou", first: 50) { nodes { id } }`,
			`INSERT INTO contacts (clinic_id, id, name) VALUES ('{clinic_id}', '{id}', 'Souza')`,
		},
		"appointment/contact=":        {itsAppointments, booking},
		"working_hours/practitioner=": {itsHours, lessHours},
		"medical_record/contact=":     {itsRecords, recording},
	} {
		w.forgets = ""
		told := it.make(t, w)
		require.Empty(t, told.stale, forgotten)
		require.Equal(t, map[string]int{forgotten: 1}, told.needed, "it alone tells of this write")
		w.forgets = forgotten
		require.NotEmpty(t, it.make(t, w).stale, forgotten)

		if longer(t, "TASKMED_TAGS") > 0 {
			t.Run(forgotten, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, 11)
				w.forgets = forgotten
				require.NotEmpty(t, w.explore(t, 6000, 8).stale)
			})
		}
	}
}
