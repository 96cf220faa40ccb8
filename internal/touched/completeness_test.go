package touched_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
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

// explore reads, writes and reads again until so many writes were made, or
// until something is stale.
func (w *world) explore(t *testing.T, writes, readsPerWrite int) found {
	t.Helper()
	result := found{needed: map[string]int{}, answered: map[string]int{}}
	deadline := time.Now().Add(4 * time.Minute)
	for n := range writes {
		if n%10 == 0 {
			w.restock(t)
		}
		require.True(t, time.Now().Before(deadline), "too slow")
		type asked struct {
			read
			answer
		}
		var before []asked
		for range readsPerWrite {
			r := w.read(t)
			if a, ok := w.ask(t, r); ok {
				before = append(before, asked{r, a})
			}
		}
		did, tags := w.write(t)
		for _, b := range before {
			result.checked++
			for _, place := range b.places {
				result.answered[place]++
			}
			after, _ := w.ask(t, b.read)
			if after.text == b.text {
				continue
			}
			result.changed++
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
				result.stale = fmt.Sprintf("%s\n after %s\n was %s\n  is %s\nread: %q\nwritten: %q", b.document, did, b.text, after.text, b.tags, tags)
				return result
			}
			if len(told) == 1 {
				for only := range told {
					result.needed[only]++
				}
			}
		}
	}
	return result
}

// Whatever is read and whatever is written, by the API or past it: an answer
// that is not the same any more depends on something that the write named.
func TestTags_AreComplete(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := newWorld(t, seed)
	result := w.explore(t, 500, 12)
	for _, table := range w.tables() {
		t.Logf("%s: %d", table, w.Count(t, "SELECT count(*) FROM "+table))
	}
	t.Logf("%d answers read again, %d had changed; needed: %v", result.checked, result.changed, result.needed)
	require.Empty(t, result.stale)
	require.Greater(t, result.checked, 4000)
	require.Greater(t, result.changed, 80)
	require.ElementsMatch(t, w.places(), slices.Collect(maps.Keys(result.answered)), "every place was there: %v", result.answered)
}

// The run above would notice a missing trigger.
func TestTags_AMissingTriggerIsFound(t *testing.T) {
	t.Parallel()
	for _, trigger := range [][2]string{
		{"appointments", "cache_tags_insert"},
		{"appointments", "cache_tags_update"},
		{"contacts", "cache_tags_update"},
		{"medical_records", "cache_tags_insert"},
		{"working_hours", "cache_tags_delete"},
		{"clinics", "cache_tags_update"},
	} {
		t.Run(trigger[0]+" "+trigger[1], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 7)
			w.exec(t, "DROP TRIGGER "+trigger[1]+" ON "+trigger[0])
			require.NotEmpty(t, w.explore(t, 6000, 8).stale)
		})
	}
}

// Nor would it miss a read that does not say all. What searches depend on besides is
// TestSearchTags_AMissingOneIsFound's.
func TestTags_AMissingDeclarationIsFound(t *testing.T) {
	t.Parallel()
	for _, forgotten := range []string{
		"contact:", "appointment:", "contact/list", "contact/search/word=", "appointment/contact=", "working_hours/practitioner=", "medical_record/contact=",
	} {
		t.Run(forgotten, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 11)
			w.forgets = forgotten
			require.NotEmpty(t, w.explore(t, 6000, 8).stale)
		})
	}
}
