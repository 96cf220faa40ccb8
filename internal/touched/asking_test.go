package touched_test

import (
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// read is a query and its variables.
type read struct {
	document  string
	variables map[string]any
}

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

// found is what a run of random searches and writes came to.
type found struct {
	checked, changed int
	// touched counts those that a write had a tag of, changed or not.
	touched int
	// stale is a search that a write changed without having one of its tags.
	stale string
	// needed counts, per family of tags, the changes that no other family told.
	needed map[string]int
}

// family is a tag without its values.
func family(tag touched.Tag) string {
	text := regexp.MustCompile(`=[^/]*`).ReplaceAllString(string(tag), "=")
	return regexp.MustCompile(`:.*`).ReplaceAllString(text, ":")
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
