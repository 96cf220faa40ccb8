package answering

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/gqlserver"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

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

// Examiner computes kept answers anew. It takes nothing from the cache and puts
// nothing into it.
type Examiner struct {
	server  *gqlserver.Server
	program *Program
}

// NewExaminer makes an examiner that has a server compute, as a program.
func NewExaminer(server *gqlserver.Server, program *Program) *Examiner {
	return &Examiner{server: server, program: program}
}

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
	question, compute, err := e.server.Ask(ctx, scope, gqlserver.Asked{Text: r.Text, Name: r.Name, Variables: variables})
	switch {
	case err != nil:
		return nil, err
	case e.program.key(question) != kept.Key:
		return nil, ErrAnotherProgram
	}
	computed := compute(ctx)
	return &Recomputed{
		Body: computed.Data, Digest: computed.Digest, Unfit: computed.Unfit,
		Name: r.Name, Text: r.Text, Role: r.Role,
	}, nil
}
