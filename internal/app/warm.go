package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/gqlserver"
	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// An instance that starts with nothing in its process asks itself what is asked
// most, in the background, so that its first users find answers.

const (
	// countedOneIn is how many questions one is counted of.
	countedOneIn = 8
	// warmedMost is how many questions a warm-up asks, warmers how many at once,
	// warmingLongest how long it goes on, and warmingEvery how often it begins.
	warmedMost     = 500
	warmers        = 2
	warmingLongest = 30 * time.Second
	warmingEvery   = 5 * time.Second
	// warmingSubject asks for nobody.
	warmingSubject = "taskmed:warming"
)

// asked is a question that a warm-up asks again. It holds ids, numbers and days,
// and no words of anyone's (wordless).
type asked struct {
	Clinic uuid.UUID `json:"c"`
	// Subject asked it lately: it is asked again with the rights that the subject
	// has by then, if any.
	Subject   string          `json:"s"`
	Name      string          `json:"n,omitempty"`
	Text      string          `json:"q"`
	Variables json.RawMessage `json:"v,omitempty"`
}

type warmingKey struct{}

// count counts some of the questions, for the next instance that starts. What is
// a subject's own is not asked again.
func (a *answering) count(ctx context.Context, key answers.Key, q *gqlserver.Question) {
	if rand.N(countedOneIn) != 0 || q.Caching.Scope == operation.ScopePrivate || ctx.Value(warmingKey{}) != nil {
		return
	}
	a.cache.Popular.Ran(key, func() []byte {
		variables, ok := wordless(a.program.schema, q)
		if !ok {
			return nil
		}
		text, err := json.Marshal(asked{
			Clinic: q.Scope.ClinicID, Subject: q.Scope.Subject, Name: q.Name, Text: q.Text, Variables: variables,
		})
		if err != nil {
			return nil
		}
		return text
	})
}

// warming asks what is asked most, whenever the process has nothing.
type warming struct {
	cache   *answers.Cache
	server  *gqlserver.Server
	members auth.Memberships
	log     *slog.Logger
	request time.Duration

	stop  context.CancelFunc
	tasks sync.WaitGroup
}

// warm begins to warm up, until close.
func (a *answering) warm(server *gqlserver.Server, members auth.Memberships, request time.Duration, log *slog.Logger) {
	ctx, stop := context.WithCancel(context.WithValue(context.Background(), warmingKey{}, true))
	w := &warming{cache: a.cache, server: server, members: members, log: log, request: request, stop: stop}
	a.warming = w
	w.tasks.Go(func() { w.run(ctx) })
}

func (w *warming) close() {
	if w != nil {
		w.stop()
		w.tasks.Wait()
	}
}

func (w *warming) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.cache.Popular.Fresh():
		}
		w.round(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(warmingEvery):
		}
	}
}

// round asks the most popular first, and once more what could not be kept: a
// clinic's first answers cannot while somebody is writing in a new ledger.
func (w *warming) round(ctx context.Context) {
	ctx, done := context.WithTimeout(ctx, warmingLongest)
	defer done()
	questions, err := w.cache.Popular.Most(ctx, warmedMost)
	if err != nil {
		w.log.DebugContext(ctx, "what is asked most is not known", "error", err)
	}
	began := time.Now()
	for wait := time.Second; len(questions) > 0 && ctx.Err() == nil; wait *= 2 {
		if questions = w.pass(ctx, questions); len(questions) == 0 {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	w.log.DebugContext(ctx, "warmed up", "took", time.Since(began), "failed", len(questions))
}

// pass asks the questions, a few at once, and gives those to ask again.
func (w *warming) pass(ctx context.Context, questions [][]byte) (again [][]byte) {
	var mu sync.Mutex
	var group sync.WaitGroup
	waiting := make(chan []byte)
	for range warmers {
		group.Go(func() {
			for question := range waiting {
				outcome, err := w.ask(ctx, question)
				if err != nil {
					w.log.DebugContext(ctx, "a popular question was not answered", "error", err)
				}
				w.cache.Popular.Warmed(outcome)
				if outcome == warmedFailed {
					mu.Lock()
					again = append(again, question)
					mu.Unlock()
				}
			}
		})
	}
	for _, question := range questions {
		if ctx.Err() != nil {
			break
		}
		waiting <- question
	}
	close(waiting)
	group.Wait()
	return again
}

// What can come of a question: its answer was kept already, was computed, must
// not or could not be.
const (
	warmedKept     = "kept"
	warmedComputed = "computed"
	warmedRefused  = "refused"
	warmedFailed   = "failed"
)

var (
	errNoMember = errors.New("who asked it has no rights there any more")
	errUnfit    = errors.New("its answer cannot be kept")
)

// ask asks one question with the rights that its asker has now.
func (w *warming) ask(ctx context.Context, question []byte) (outcome string, err error) {
	var q asked
	if err := json.Unmarshal(question, &q); err != nil {
		return warmedRefused, fmt.Errorf("read a question: %w", err)
	}
	ctx, done := context.WithTimeout(ctx, w.request)
	defer done()
	all, err := w.members.Of(ctx, q.Subject)
	if err != nil {
		return warmedFailed, err
	}
	in := slices.IndexFunc(all, func(m auth.Membership) bool { return m.ClinicID == q.Clinic })
	if in < 0 {
		return warmedRefused, errNoMember
	}
	answer, err := w.server.Warm(ctx, &tenant.Scope{
		Subject: warmingSubject, ClinicID: q.Clinic, Role: all[in].Role, Permissions: all[in].Permissions,
	}, gqlserver.Asked{Text: q.Text, Name: q.Name, Variables: q.Variables})
	switch {
	case err != nil:
		return warmedRefused, err
	case answer.Hit:
		return warmedKept, nil
	case answer.Stored:
		return warmedComputed, nil
	default:
		return warmedFailed, fmt.Errorf("%w: %s", errUnfit, answer.Reason)
	}
}

// wordless gives a question's variables if neither they nor its document hold
// text that somebody typed, which could be a patient's name.
func wordless(schema *ast.Schema, q *gqlserver.Question) (json.RawMessage, bool) {
	if strings.ContainsAny(q.Text, `"#`) {
		return nil, false
	}
	// It has been checked before: it is no longer than may be, and valid.
	document, err := parser.ParseQuery(&ast.Source{Input: q.Text})
	if err != nil {
		return nil, false
	}
	found := document.Operations.ForName(q.Name)
	var values map[string]any
	if found == nil || json.Unmarshal(q.Variables, &values) != nil {
		return nil, false
	}
	for _, defined := range found.VariableDefinitions {
		if value, given := values[defined.Variable]; given && !isWordless(schema, defined.Type, value) {
			return nil, false
		}
	}
	// Once more, since canonical numbers are not as clients write them.
	variables, err := json.Marshal(values)
	return variables, err == nil
}

// isWordless tells whether a variable's value is of types that hold no words.
func isWordless(schema *ast.Schema, of *ast.Type, value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case []any:
		return of.Elem != nil && !slices.ContainsFunc(v, func(item any) bool { return !isWordless(schema, of.Elem, item) })
	}
	if of.Elem != nil {
		return false
	}
	definition := schema.Types[of.NamedType]
	if definition == nil {
		return false
	}
	switch definition.Kind {
	case ast.Enum:
		return true
	case ast.Scalar:
		return isWordlessScalar(of.NamedType, value)
	case ast.InputObject:
		fields, ok := value.(map[string]any)
		for name, inner := range fields {
			field := definition.Fields.ForName(name)
			if field == nil || !isWordless(schema, field.Type, inner) {
				return false
			}
		}
		return ok
	default:
		return false
	}
}

// isWordlessScalar looks at the value, too: a client may send anything as an ID
// or a day, and it is refused only where it is used.
func isWordlessScalar(name string, value any) bool {
	text, isText := value.(string)
	switch name {
	case "ID":
		_, _, err := models.ParseGlobal(text)
		return err == nil
	case "Date":
		_, err := time.Parse(time.DateOnly, text)
		return err == nil
	case "DateTime":
		_, err := time.Parse(time.RFC3339Nano, text)
		return err == nil
	case "Int", "Float", "Boolean", "Long":
		return !isText
	default:
		return false
	}
}
