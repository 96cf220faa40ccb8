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
}

var _ pgx.QueryTracer = (*Recorder)(nil)

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
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (*Recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// Statements are the texts that read or write rows, sorted.
func (r *Recorder) Statements() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var statements []string
	for text := range r.texts {
		verb, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(text)), " ")
		if slices.Contains([]string{"select", "insert", "update", "delete", "with", "merge"}, verb) && !strings.Contains(text, "set_config(") {
			statements = append(statements, text)
		}
	}
	slices.Sort(statements)
	return statements
}
