package gqlserver

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/fingerprint"
	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/tenant"
)

// Cache keeps the answers of queries.
type Cache interface {
	// Expect gives the context that the parts of a request share.
	Expect(ctx context.Context, r *http.Request) context.Context
	// Writing puts a mutation's name into the context that it runs under.
	Writing(ctx context.Context, mutation string) context.Context
	// Answer gives the kept answer to a question; if there is none, it has the
	// answer computed, once for all who wait for the same: by the caller's goroutine,
	// and at most once, or else by another caller's.
	Answer(ctx context.Context, question *Question, compute Compute) CacheAnswer
}

// Uncached is a Cache that keeps nothing.
type Uncached struct{}

// Expect implements Cache.
func (Uncached) Expect(ctx context.Context, _ *http.Request) context.Context { return ctx }

// Writing implements Cache.
func (Uncached) Writing(ctx context.Context, _ string) context.Context { return ctx }

// Answer implements Cache.
func (Uncached) Answer(ctx context.Context, _ *Question, compute Compute) CacheAnswer {
	computed := compute(ctx)
	return CacheAnswer{Computed: &computed, Bypassed: true, Reason: "off"}
}

// Question is what an answer depends on beside the clinic's data.
type Question struct {
	Scope   *tenant.Scope
	Caching operation.Caching
	// Name is the operation's own name in its document, Print the document's
	// fingerprint, and Variables are the coerced ones as canonical JSON.
	Name      string
	Print     fingerprint.Fingerprint
	Variables []byte
	// Text is the document, for who wants to ask again.
	Text string
	// Afresh passes over what is kept: the answer is computed and then kept.
	Afresh bool
}

// Computed is what computing an answer came to.
type Computed struct {
	// Data is the answer's data as JSON, and Digest names it.
	Data   json.RawMessage
	Digest string
	// Unfit says in words why the answer must not be kept or shown to anyone
	// else; "" where it may.
	Unfit string
}

// Compute runs the operation under a context.
type Compute func(ctx context.Context) Computed

// CacheAnswer is what the cache has to say.
type CacheAnswer struct {
	// Data is the answer's data as JSON, shared: do not change it. It is nil where
	// this very call computed, which Computed then says, or where it could not wait.
	Data     json.RawMessage
	Digest   string
	Computed *Computed
	// Hit is whether it was kept before the question came. With Data and no hit
	// somebody else computed it meanwhile.
	Hit bool
	// Bypassed is whether nothing can be kept now, whatever the question.
	Bypassed bool
	// Tier is where it was kept; Reason says in words why it is no hit.
	Tier, Reason string
	// Age is how long ago it was computed, Stored whether it was kept now.
	Age    time.Duration
	Stored bool
}

// note is what a client is told about how its answer came about.
type note struct {
	CacheAnswer

	caching operation.Caching
	// bypass says that the cache was not asked at all, request that the client
	// did not want what was kept.
	bypass, request bool
	// unfit is why the answer must not be kept by anyone.
	unfit string
}

// cacheOrRun gives what is kept, or else has the operation run; nil if the time was up
// before that.
func (q *request) cacheOrRun(ctx context.Context) *graphql.Response {
	n := &note{caching: q.verdict.Caching, bypass: true}
	q.told = n
	kind, directives := q.op.Operation.Operation, requested(q.in.Header)
	switch {
	case kind == ast.Mutation:
		ctx = q.config.Cache.Writing(ctx, mutationOf(q.op))
		fallthrough
	case n.caching.Why != "": // of all that are no queries, too
		n.Reason, n.unfit = n.caching.Why, n.caching.Why
		return q.runner.run(ctx, q.op)
	case directives.noStore:
		n.Reason, n.unfit = "no-store asked for", "no-store asked for"
		return q.runner.run(ctx, q.op)
	}
	n.bypass, n.request = false, directives.noCache
	return q.cached(ctx, n)
}

func (q *request) cached(ctx context.Context, n *note) *graphql.Response {
	question, err := q.question()
	own := &run{runner: q.runner, op: q.op}
	if err != nil {
		n.Reason = "its variables cannot be compared"
		return own.alone(ctx, n)
	}
	question.Afresh = n.request
	below, looked := q.config.Observer.Look(ctx)
	n.CacheAnswer = q.config.Cache.Answer(below, question, own.compute)
	looked(n.outcome(), n.Tier, n.Reason, n.Stored)
	n.bypass = n.Bypassed
	switch {
	case n.Data != nil:
		return &graphql.Response{Data: n.Data}
	case n.Computed != nil:
		n.Digest, n.unfit = n.Computed.Digest, n.Computed.Unfit
		return own.ran
	case ctx.Err() != nil: // The time was up while somebody else computed.
		n.unfit = "ran out of time"
		return nil
	default:
		return own.alone(ctx, n)
	}
}

// question is what the cache is asked.
func (q *request) question() (*Question, error) {
	variables, err := q.comparable()
	if err != nil {
		return nil, err
	}
	return &Question{
		Scope: q.scope, Caching: q.verdict.Caching, Name: q.op.Operation.Name, Print: q.checked.Print(),
		Variables: variables, Text: q.op.RawQuery,
	}, nil
}

// mutationOf names a mutation by its first field: clients' own names of
// operations may be anything.
func mutationOf(op *graphql.OperationContext) string {
	for _, selection := range op.Operation.SelectionSet {
		if field, ok := selection.(*ast.Field); ok {
			return field.Name
		}
	}
	return "mutation"
}

// cacheDirectives are what a request asks of caches (RFC 9111, section 5.2.1).
type cacheDirectives struct{ noCache, noStore bool }

func requested(header http.Header) cacheDirectives {
	var d cacheDirectives
	values := header.Values("Cache-Control")
	if len(values) == 0 {
		d.noCache = strings.EqualFold(strings.TrimSpace(header.Get("Pragma")), "no-cache")
		return d
	}
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			switch strings.ToLower(strings.TrimSpace(part)) {
			case "no-cache":
				d.noCache = true
			case "no-store":
				d.noStore = true
			}
		}
	}
	return d
}

// hitStatus is what Cache-Status says of a hit.
const hitStatus = "taskmed; hit"

// status is what Cache-Status says (RFC 9211).
func (n *note) status() string {
	switch {
	case n.Hit:
		return hitStatus
	case n.bypass:
		return "taskmed; fwd=bypass" + detail(n.Reason)
	case n.request:
		return "taskmed; fwd=request" + detail("no-cache asked for")
	case n.Data != nil:
		return "taskmed; fwd=miss; collapsed" + detail(n.why())
	default:
		return "taskmed; fwd=miss" + detail(n.why())
	}
}

// outcome is what came of a look-up, in a word.
func (a *CacheAnswer) outcome() string {
	switch {
	case a.Hit:
		return "hit"
	case a.Bypassed:
		return "bypass"
	case a.Data != nil:
		return "shared"
	default:
		return "miss"
	}
}

// why is the reason of a miss. That the answer cannot be kept matters more than
// that it was not.
func (n *note) why() string {
	if n.unfit != "" {
		return n.unfit
	}
	return n.Reason
}

// detail is a parameter whose value is a string of RFC 8941: ASCII, with
// quotes and backslashes escaped.
func detail(words string) string {
	if words == "" {
		return ""
	}
	var text strings.Builder
	text.WriteString(`; detail="`)
	for _, r := range words {
		switch {
		case r == '"' || r == '\\':
			text.WriteByte('\\')
			text.WriteRune(r)
		case r < ' ' || r > '~':
			text.WriteByte('?')
		default:
			text.WriteRune(r)
		}
	}
	text.WriteByte('"')
	return text.String()
}

// describe puts what the cache did into the answer's headers and gives its
// ETag, "" where it has none. A client may keep an answer but must ask every
// time whether it still holds: a time during which it need not ask would make
// it miss writes, its own included.
func (q *request) describe(header http.Header, weak bool) (etag string) {
	n := q.told
	if n.Hit {
		header["Cache-Status"] = q.fixed.hit
	} else {
		header.Set("Cache-Status", n.status())
	}
	if n.unfit != "" || n.Digest == "" {
		return ""
	}
	if n.Hit {
		header.Set("Age", strconv.FormatInt(int64(n.Age/time.Second), 10))
	}
	etag = q.runner.tags.of(n.Digest, q.scope, q.media, weak)
	header["Cache-Control"] = q.fixed.revalidate
	header.Set("ETag", etag)
	return etag
}

// forDevelopers is the note as extensions.taskmed.cache has it.
func (n *note) forDevelopers() map[string]any {
	shown := map[string]any{"hit": n.Hit, "status": n.status()}
	if n.Tier != "" {
		shown["tier"] = n.Tier
	}
	if !n.Hit {
		shown["reason"] = n.why()
		shown["stored"] = n.Stored
	} else {
		shown["ageMs"] = n.Age.Milliseconds()
	}
	if n.caching.Why == "" {
		shown["maxAge"] = int64(n.caching.MaxAge / time.Second)
		shown["scope"] = n.caching.Scope.String()
	}
	return shown
}
