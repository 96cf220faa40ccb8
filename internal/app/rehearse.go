package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/gqlserver"
	"github.com/taskmed/taskmed/internal/rehearsal"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
	"github.com/taskmed/taskmed/web"
)

// Rehearsal is what Rehearse found out.
type Rehearsal struct {
	// Operations is how many were run, registered ones and the playground's examples.
	Operations int
	// Statements are the texts of what they sent to Postgres.
	Statements []string
	// Writing are the names of those that write. Unfinished are those of them that
	// never came as far as a write without a statement being refused: what they
	// would have sent then is not among the statements.
	Writing, Unfinished []string
	// Failed are those that could not be run, with the reason.
	Failed map[string]string
}

// document is an operation's name and text.
type document struct{ Name, Body string }

// rehearsed bounds a rehearsed statement, and twice the wait for a lock: what is
// rehearsed holds rows that somebody may want to change. A statement that takes
// longer was seen all the same.
const rehearsed = 2 * time.Second

// Rehearse runs every registered operation for a clinic, with variables that are
// made up, as a subject who may do everything, to see which statements it
// sends. Those that write run to their end and are rolled back, for each state
// that an appointment or a record of the clinic's is in. No data leaves the
// process, and nothing is kept: writes happen inside transactions that cannot
// commit (database.DryRun, and rehearsal.Guard behind it), everything else is
// read-only.
func Rehearse(ctx context.Context, settings config.Config, clinic uuid.UUID) (found Rehearsal, err error) {
	settings.StatementTimeout = rehearsed
	recorder := &rehearsal.Recorder{}
	made, err := newReadOnlyServer(ctx, settings, readOnlyParts{
		// Cursors are sealed and opened here alone.
		secret: bytes.Repeat([]byte("rehearsal"), 8), auth: everyone{clinic}, log: slog.New(slog.DiscardHandler),
		tracer: multitracer.New(rehearsal.Guard{}, recorder),
	})
	if err != nil {
		return found, err
	}
	defer made.db.Close()
	stage := stage{readOnlyServer: made, recorder: recorder, clinic: clinic}
	documents, fillers, err := stage.prepare(ctx, settings.DatabaseURL)
	if err != nil {
		return found, err
	}
	found.Failed = map[string]string{}
	for _, d := range documents {
		parsed, faults := gqlparser.LoadQueryWithRules(stage.schema, d.Body, nil)
		if faults != nil {
			found.Failed[d.Name] = faults.Error()
			continue
		}
		for _, op := range parsed.Operations {
			if op.Operation == ast.Subscription {
				continue
			}
			found.Operations++
			finished, why := stage.operation(ctx, d.Body, parsed, op, fillers)
			if op.Operation == ast.Mutation {
				found.Writing = append(found.Writing, op.Name)
				if !finished {
					found.Unfinished = append(found.Unfinished, op.Name)
				}
			}
			if why != "" {
				found.Failed[op.Name] = why
			}
		}
	}
	found.Statements = recorder.Statements()
	return found, ctx.Err()
}

// stage is a server without sockets, for one clinic.
type stage struct {
	*readOnlyServer

	recorder *rehearsal.Recorder
	clinic   uuid.UUID
}

// operation runs one with what the fillers make up: a query with the first's
// alone, for no state of an entity changes what it sends. It tells whether a
// write was sent, and nothing refused, in any of the runs; and why it could not
// be run at all.
func (s *stage) operation(
	ctx context.Context, text string, parsed *ast.QueryDocument, op *ast.OperationDefinition, fillers []rehearsal.Filler,
) (finished bool, why string) {
	if op.Operation != ast.Mutation {
		fillers = fillers[:1]
	}
	seen := map[string]bool{}
	for _, filler := range fillers {
		for _, all := range []bool{false, true} {
			body, err := json.Marshal(map[string]any{"query": text, "operationName": op.Name, "variables": filler.Variables(parsed, op, all)})
			if err != nil {
				return finished, err.Error()
			}
			if seen[string(body)] {
				continue
			}
			seen[string(body)] = true
			s.recorder.Tally()
			// What was asked for may fail, its statements were seen; but not before it ran.
			if data, refused := s.run(database.DryRun(ctx), body); data == nil {
				why = refused
			}
			tally := s.recorder.Tally()
			finished = finished || tally.Written > 0 && tally.Failed == 0
		}
	}
	return finished, why
}

// everyone is an owner of the clinic.
type everyone struct{ clinic uuid.UUID }

// Authenticate implements gqlserver.Authenticator.
func (e everyone) Authenticate(context.Context, *http.Request) (*tenant.Scope, error) {
	return &tenant.Scope{Subject: "taskmed:rehearsal", ClinicID: e.clinic, Role: models.RoleOwner}, nil
}

// prepare reads what is to be run, and whose ids it is run with.
func (s *stage) prepare(ctx context.Context, databaseURL string) ([]document, []rehearsal.Filler, error) {
	conn, err := pgx.Connect(ctx, readOnly(databaseURL))
	if err != nil {
		return nil, nil, fmt.Errorf("connect as the role that serves: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is left to lose
	rows, err := conn.Query(ctx, "SELECT name, body FROM registered_operations WHERE kind <> 'subscription' ORDER BY name, id")
	if err != nil {
		return nil, nil, fmt.Errorf("list the registered operations: %w", err)
	}
	documents, err := pgx.CollectRows(rows, pgx.RowToStructByPos[document])
	if err != nil {
		return nil, nil, fmt.Errorf("list the registered operations: %w", err)
	}
	for _, example := range web.Examples() {
		documents = append(documents, document{example.Name, example.Query})
	}
	if _, err := conn.Exec(ctx, "SELECT set_config('app.clinic', $1, false)", s.clinic.String()); err != nil {
		return nil, nil, fmt.Errorf("set the clinic: %w", err)
	}
	fillers, err := s.fillers(ctx, conn)
	return documents, fillers, err
}

// run sends a request and gives the answer's data, or why it was refused before it ran.
func (s *stage) run(ctx context.Context, body []byte) (data json.RawMessage, refused string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, gqlserver.Path, bytes.NewReader(body))
	if err != nil {
		return nil, err.Error()
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/graphql-response+json")
	request.Header.Set("Authorization", "Bearer rehearsal")
	answer := &written{header: http.Header{}}
	s.server.Public().ServeHTTP(answer, request)
	var read struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	if err := json.Unmarshal(answer.body, &read); err != nil {
		return nil, "the answer cannot be read"
	}
	messages := make([]string, len(read.Errors))
	for i, fault := range read.Errors {
		messages[i] = fault.Message
	}
	return read.Data, strings.Join(messages, "; ")
}

// written is an answer that nobody waits for.
type written struct {
	header http.Header
	body   []byte
}

// Header implements http.ResponseWriter.
func (w *written) Header() http.Header { return w.header }

// Write implements http.ResponseWriter.
func (w *written) Write(p []byte) (int, error) {
	w.body = append(w.body, p...)
	return len(p), nil
}

// WriteHeader implements http.ResponseWriter.
func (*written) WriteHeader(int) {}
