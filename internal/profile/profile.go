// Package profile notes what the answer to one developer's request cost: the
// time of each field, the SQL statements that were run and, if they are asked
// for, Postgres' plans for them. Nobody else's request is looked at, and no
// value is in what is shown: texts have their literals taken out.
package profile

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/taskmed/taskmed/internal/sqlmask"
)

const (
	// mostFields and mostStatements bound what is told apart; the rest is counted.
	mostFields     = 100
	mostStatements = 50
)

// Profile is what is noted of one request.
type Profile struct {
	mu sync.Mutex
	// ended is set once it was shown: the cache may run the operation again later.
	ended      bool
	fields     map[string]*Field
	statements map[string]*Statement
	// order is that of the statements' first run.
	order []*Statement
	// moreFields and moreStatements are how many calls and runs were not told apart.
	moreFields, moreStatements int64
}

// Field is what the resolver of a field took, at one place of the operation.
type Field struct {
	// Path is that of the answer, without the indices of lists.
	Path string `json:"path"`
	// Name is the schema's, as "Contact.appointments".
	Name  string `json:"name"`
	Count int64  `json:"count"`
	// TotalMS and MaxMS are milliseconds in the resolver, without the fields below it.
	TotalMS float64 `json:"totalMs"`
	MaxMS   float64 `json:"maxMs"`
}

// Statement is what all runs of one SQL text took.
type Statement struct {
	// Text has "…" in place of every literal.
	Text    string  `json:"text"`
	Count   int64   `json:"count"`
	Rows    int64   `json:"rows"`
	TotalMS float64 `json:"totalMs"`
	MaxMS   float64 `json:"maxMs"`
	Failed  bool    `json:"failed,omitempty"`
	// Plan is there if it was asked for; NoPlan says why it is not.
	Plan   *Plan  `json:"plan,omitempty"`
	NoPlan string `json:"noPlan,omitempty"`

	sql string
}

// Shown is a Profile as extensions.taskmed has it.
type Shown struct {
	// Fields are those that took most first.
	Fields []*Field
	// Statements are in the order of their first run.
	Statements []*Statement
	// MoreFields and MoreStatements are how many calls and runs are not in them.
	MoreFields, MoreStatements int64
}

type profileKey struct{}

// With returns a context under which fields and statements are noted.
func With(ctx context.Context) (context.Context, *Profile) {
	p := &Profile{fields: map[string]*Field{}, statements: map[string]*Statement{}}
	return context.WithValue(ctx, profileKey{}, p), p
}

// From is the context's Profile; nil for everyone but developers.
func From(ctx context.Context) *Profile {
	p, _ := ctx.Value(profileKey{}).(*Profile)
	return p
}

// End gives what was noted; from now on nothing is.
func (p *Profile) End() Shown {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	shown := Shown{
		Fields: make([]*Field, 0, len(p.fields)), Statements: p.order, MoreFields: p.moreFields, MoreStatements: p.moreStatements,
	}
	for _, field := range p.fields {
		shown.Fields = append(shown.Fields, field)
	}
	slices.SortFunc(shown.Fields, func(a, b *Field) int {
		return cmp.Or(cmp.Compare(b.TotalMS, a.TotalMS), cmp.Compare(a.Path, b.Path))
	})
	return shown
}

// Around has the resolvers of fields timed, inside of what is around them already.
func (p *Profile) Around(outer graphql.FieldMiddleware) graphql.FieldMiddleware {
	return func(ctx context.Context, next graphql.Resolver) (any, error) {
		at := graphql.GetFieldContext(ctx)
		if at == nil || !at.IsResolver {
			return outer(ctx, next)
		}
		return outer(ctx, func(ctx context.Context) (any, error) {
			began := time.Now()
			value, err := next(ctx)
			p.addField(at, time.Since(began))
			return value, err
		})
	}
}

func (p *Profile) addField(at *graphql.FieldContext, took time.Duration) {
	p.fetched(pathOf(at), at.Object+"."+at.Field.Name, took)
}

// fetched notes what it took to get the values of a field, by its path in the
// answer without the indices of lists, and its name: "Contact.appointments".
func (p *Profile) fetched(path, name string, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	field, known := p.fields[path]
	if !known {
		if len(p.fields) >= mostFields {
			p.moreFields++
			return
		}
		field = &Field{Path: path, Name: name}
		p.fields[path] = field
	}
	field.Count++
	field.TotalMS += milliseconds(took)
	field.MaxMS = max(field.MaxMS, milliseconds(took))
}

func pathOf(at *graphql.FieldContext) string {
	var keys []string
	for ; at != nil; at = at.Parent {
		if at.Index == nil && at.Field.Field != nil {
			keys = append(keys, at.Field.Alias)
		}
	}
	slices.Reverse(keys)
	return strings.Join(keys, ".")
}

func (p *Profile) addStatement(sql string, rows int64, took time.Duration, failed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	s, known := p.statements[sql]
	if !known {
		if len(p.order) >= mostStatements {
			p.moreStatements++
			return
		}
		s = &Statement{Text: sqlmask.Mask(sql), sql: sql}
		p.statements[sql] = s
		p.order = append(p.order, s)
	}
	s.Count++
	s.Rows += rows
	s.TotalMS += milliseconds(took)
	s.MaxMS = max(s.MaxMS, milliseconds(took))
	s.Failed = s.Failed || failed
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
