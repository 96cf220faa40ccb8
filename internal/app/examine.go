package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/gqlserver"
	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// recipe is what it takes to compute a kept answer anew. It stands beside the
// answer, to whose clinic it belongs.
type recipe struct {
	Name      string          `json:"n,omitempty"`
	Text      string          `json:"q"`
	Variables json.RawMessage `json:"v,omitempty"`
	Role      models.Role     `json:"r"`
	// Permissions are those of who asked, Subject who it was where the answer is
	// the subject's own, and SubjectName what it was called.
	Permissions []string `json:"p,omitempty"`
	Subject     string   `json:"s,omitempty"`
	SubjectName string   `json:"m,omitempty"`
}

// longestRecipe bounds a recipe, in bytes. A longer one is not kept: the answer
// is then one that nobody can examine.
const longestRecipe = 16 << 10

// recipeOf is a question's recipe, nil if it is too long.
func recipeOf(q *gqlserver.Question) []byte {
	if len(q.Text)+len(q.Variables) > longestRecipe {
		return nil
	}
	r := recipe{Name: q.Name, Text: q.Text, Variables: q.Variables, Role: q.Scope.Role, Permissions: q.Scope.Permissions}
	if q.Caching.Scope == operation.ScopePrivate {
		r.Subject, r.SubjectName = q.Scope.Subject, q.Scope.Name
	}
	text, err := json.Marshal(r)
	if err != nil || len(text) > longestRecipe {
		return nil
	}
	return text
}

// The reasons why an answer cannot be examined.
var (
	// ErrNoRecipe: it does not say what it answers.
	ErrNoRecipe = errors.New("the kept answer does not say how it came about")
	// ErrAnotherProgram: another build of the program kept it, which may answer differently.
	ErrAnotherProgram = errors.New("another build of taskmed kept the answer")
)

// Recomputed is a kept answer as it would be computed now.
type Recomputed struct {
	// Body is the answer's data as JSON, and Digest what it would be kept with.
	Body   []byte
	Digest string
	// Unfit says why there is none: the operation has errors.
	Unfit string
	// Name is the operation's, Text its document.
	Name, Text string
	Role       models.Role
}

// Examiner computes kept answers anew: a server without sockets, whose every
// transaction is read-only, and that takes nothing from the cache and puts
// nothing into it.
type Examiner struct {
	made    *readOnlyServer
	answers answering
}

// NewExaminer makes an examiner for servers with the same settings: their
// database and their secret, with which cursors are sealed.
func NewExaminer(ctx context.Context, settings config.Config, log *slog.Logger) (*Examiner, error) {
	secret, err := settings.SecretBytes()
	if err != nil {
		return nil, fmt.Errorf("TASKMED_SECRET %w", err)
	}
	made, err := newReadOnlyServer(ctx, settings, readOnlyParts{secret: secret, auth: nobody{}, log: log})
	if err != nil {
		return nil, err
	}
	return &Examiner{made: made, answers: answering{program: newProgram(made.schema, "")}}, nil
}

// Close lets go of the database.
func (e *Examiner) Close() { e.made.db.Close() }

// Again computes a kept answer anew, for the same role, permissions and, where
// the answer is a subject's own, subject. Its error is ErrNoRecipe,
// ErrAnotherProgram, or tells that it is refused.
func (e *Examiner) Again(ctx context.Context, kept *answers.Kept) (*Recomputed, error) {
	var r recipe
	if len(kept.Recipe) == 0 {
		return nil, ErrNoRecipe
	}
	if err := json.Unmarshal(kept.Recipe, &r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoRecipe, err)
	}
	variables, err := asSent(r.Variables)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoRecipe, err)
	}
	scope := &tenant.Scope{Subject: r.Subject, Name: r.SubjectName, ClinicID: kept.Clinic, Role: r.Role, Permissions: r.Permissions}
	if scope.Subject == "" {
		scope.Subject = "taskmed:doctor" // the answer is not to depend on it
	}
	question, compute, err := e.made.server.Ask(ctx, scope, gqlserver.Asked{Text: r.Text, Name: r.Name, Variables: variables})
	switch {
	case err != nil:
		return nil, err
	case e.answers.key(question) != kept.Key:
		return nil, ErrAnotherProgram
	}
	computed := compute(ctx)
	return &Recomputed{
		Body: computed.Data, Digest: computed.Digest, Unfit: computed.Unfit,
		Name: r.Name, Text: r.Text, Role: r.Role,
	}, nil
}

// nobody lets nobody in: an examiner takes no requests.
type nobody struct{}

// Authenticate implements gqlserver.Authenticator.
func (nobody) Authenticate(context.Context, *http.Request) (*tenant.Scope, error) {
	return nil, tenant.ErrNoScope
}

// asSent turns canonical variables back into some that a client could send:
// whole numbers stand without an exponent.
func asSent(canonical json.RawMessage) (json.RawMessage, error) {
	if len(canonical) == 0 {
		return nil, nil
	}
	decoder := json.NewDecoder(strings.NewReader(string(canonical)))
	decoder.UseNumber()
	var values any
	if err := decoder.Decode(&values); err != nil {
		return nil, fmt.Errorf("read the variables: %w", err)
	}
	return json.Marshal(plain(values))
}

func plain(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = plain(inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = plain(inner)
		}
	case json.Number:
		const most = 20 // digits of a 64-bit number
		digits, power, _ := strings.Cut(v.String(), "e")
		if zeros := len(power); zeros > 0 && power[0] != '-' {
			var n int
			if _, err := fmt.Sscan(power, &n); err == nil && n <= most {
				return json.Number(digits + strings.Repeat("0", n))
			}
		}
	}
	return value
}

// ClinicID reads a clinic's id as operators have it, a UUID, or as clients do.
func ClinicID(text string) (uuid.UUID, error) {
	if id, err := uuid.Parse(text); err == nil {
		return id, nil
	}
	id, err := models.KindClinic.Parse(text)
	if err != nil {
		return uuid.Nil, fmt.Errorf("%q is no clinic's id", text)
	}
	return id, nil
}
