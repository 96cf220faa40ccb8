package rehearsal

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// mostTexts bounds what a Recorder keeps.
const mostTexts = 20_000

// Recorder keeps the text of every statement that is sent, whether it then
// succeeds or not. The zero value is ready.
type Recorder struct {
	mu    sync.Mutex
	texts map[string]struct{}
	tally Tally
}

// Tally is what came of statements since a Recorder was asked last.
type Tally struct {
	// Written is how many changed rows, Failed how many of all were refused.
	Written, Failed int
}

var _ pgx.QueryTracer = (*Recorder)(nil)

type sentKey struct{}

// TraceQueryStart implements pgx.QueryTracer.
func (r *Recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.texts == nil {
		r.texts = map[string]struct{}{}
	}
	if len(r.texts) < mostTexts {
		r.texts[strings.Clone(data.SQL)] = struct{}{}
	}
	return context.WithValue(ctx, sentKey{}, data.SQL)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (r *Recorder) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	sent, ok := ctx.Value(sentKey{}).(string)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case data.Err != nil:
		r.tally.Failed++
	case writes(sent):
		r.tally.Written++
	}
}

// Tally gives what came of the statements since it was asked last.
func (r *Recorder) Tally() Tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	tally := r.tally
	r.tally = Tally{}
	return tally
}

// Statements are the texts that read or write rows, sorted.
func (r *Recorder) Statements() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var statements []string
	for text := range r.texts {
		if (writes(text) || slices.Contains([]string{"select", "with"}, verb(text))) && !strings.Contains(text, "set_config(") {
			statements = append(statements, text)
		}
	}
	slices.Sort(statements)
	return statements
}
