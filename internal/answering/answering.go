// Package answering answers the edge's questions from what is kept, where that stands:
// it says what an answer depends on, and internal/answers whether that still holds.
package answering

import (
	"context"
	"net/http"
	"time"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/gqlserver"
	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/sessions"
	"github.com/taskmed/taskmed/internal/touched"
)

// Answering implements gqlserver.Cache.
type Answering struct {
	cache   *answers.Cache
	program *Program
	// shared tells that what is kept is in Redis, where taskmed doctor looks at it.
	shared bool
}

var _ gqlserver.Cache = (*Answering)(nil)

// From answers from a cache, which others share in Redis or not, for a program.
func From(cache *answers.Cache, shared bool, program *Program) *Answering {
	return &Answering{cache: cache, program: program, shared: shared}
}

// key is where the answer to a question is kept. The role and its permissions
// are always in it, whatever the scope: what a role may not see is then not a
// matter of how carefully the schema was annotated.
func (p *Program) key(q *gqlserver.Question) answers.Key {
	parts := answers.KeyParts{
		SchemaHash: p.name(), Clinic: q.Scope.ClinicID, Role: q.Scope.Role, Permissions: q.Scope.Permissions,
		OperationName: q.Name, QueryHash: string(q.Print[:]), Variables: q.Variables,
	}
	if q.Caching.Scope == operation.ScopePrivate {
		parts.Subject, parts.SubjectName = q.Scope.Subject, q.Scope.Name
	}
	return parts.Key()
}

// Expect implements gqlserver.Cache.
func (a *Answering) Expect(ctx context.Context, r *http.Request) context.Context {
	if !a.shared {
		return ctx
	}
	return sessions.Expect(ctx, r)
}

// Writing implements gqlserver.Cache.
func (*Answering) Writing(ctx context.Context, mutation string) context.Context {
	return coherence.WithWriter(ctx, mutation)
}

// Answer implements gqlserver.Cache.
func (a *Answering) Answer(ctx context.Context, q *gqlserver.Question, compute gqlserver.Compute) gqlserver.CacheAnswer {
	if !a.program.named.Load() {
		// Reading the executable takes longer than a start may.
		computed := compute(ctx)
		return gqlserver.CacheAnswer{Computed: &computed, Bypassed: true, Reason: "the cache is starting"}
	}
	key, clinic := a.program.key(q), q.Scope.ClinicID
	own := &computing{question: q, compute: compute, shared: a.shared}
	if q.Afresh {
		ticket := a.cache.Begin(ctx, clinic)
		entry := own.run(ctx)
		answer := gqlserver.CacheAnswer{Computed: own.computed, Reason: "no-cache asked for"}
		if entry != nil {
			answer.Stored, _ = a.cache.Store(ctx, clinic, ticket, key, entry)
		}
		return answer
	}
	entry, outcome, err := a.cache.Fill(ctx, answers.Request{
		Clinic: clinic, Key: key,
		Compute: func(ctx context.Context) (*answers.Entry, error) { return own.run(ctx), nil },
	})
	answer := gqlserver.CacheAnswer{
		Computed: own.computed, Hit: outcome.Hit, Bypassed: outcome.Bypassed, Tier: outcome.Tier, Reason: outcome.Reason, Age: outcome.Age,
	}
	switch {
	case err != nil || own.computed != nil && entry == nil:
		if own.unfit != "" {
			answer.Reason = own.unfit
		}
	case own.computed != nil:
		answer.Stored = outcome.Stored
	default:
		answer.Data, answer.Digest = entry.Body, entry.ETag
	}
	return answer
}

// computing is one run of an operation for the cache.
type computing struct {
	question *gqlserver.Question
	compute  gqlserver.Compute
	// shared tells that others can see what is kept.
	shared bool
	// computed is what it came to, nil until then; unfit is why the reads that it
	// made rule out that it is kept.
	computed *gqlserver.Computed
	unfit    string
}

// run computes an answer together with what it depends on; nil if it must not be kept.
func (c *computing) run(ctx context.Context) *answers.Entry {
	ctx, collector := touched.Collect(ctx)
	if c.question.Caching.Scope == operation.ScopePrivate {
		// It may tell what is known of who asks.
		touched.Add(ctx, auth.SubjectTag(c.question.Scope.Subject))
	}
	began := time.Now()
	computed := c.compute(ctx)
	c.computed = &computed
	if computed.Unfit != "" {
		c.unfit = computed.Unfit
		return nil
	}
	tags, reason := collector.Tags()
	if reason != "" {
		c.unfit = "not cacheable: " + reason
		return nil
	}
	if len(tags) == 0 {
		// Nothing could ever tell that it is out of date.
		c.unfit = "not cacheable: depends on nothing"
		return nil
	}
	expires := time.Now().Add(c.question.Caching.MaxAge)
	if until := collector.Until(); !until.IsZero() {
		// The answer's clock need not be the one that entries expire by.
		if last := began.Add(until.Sub(touched.Now(ctx))); last.Before(expires) {
			expires = last
		}
	}
	entry := &answers.Entry{
		Body: computed.Data, Tags: tags, Protected: collector.Protected(), ETag: computed.Digest, ExpiresAt: expires,
	}
	if c.shared {
		entry.Recipe = recipeOf(c.question)
	}
	return entry
}
