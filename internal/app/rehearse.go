package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/graph/generated"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/gqlserver"
	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/loaders"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/rehearsal"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
	"github.com/taskmed/taskmed/resolvers"
	"github.com/taskmed/taskmed/web"
)

// Rehearsal is what Rehearse found out.
type Rehearsal struct {
	// Operations is how many were run, registered ones and the playground's examples.
	Operations int
	// Statements are the texts of what they sent to Postgres.
	Statements []string
	// Writing are the names of those that write: what they do after their first
	// write is not among the statements.
	Writing []string
	// Failed are those that could not be run, with the reason.
	Failed map[string]string
}

// document is an operation's name and text.
type document struct{ Name, Body string }

// Rehearse runs every registered operation for a clinic, with variables that are
// made up, as a subject who may do everything, to see which statements it
// sends. Every transaction is read-only: the first statement that writes is
// refused by Postgres, and seen. No data leaves the process.
func Rehearse(ctx context.Context, settings config.Config, clinic uuid.UUID) (found Rehearsal, err error) {
	recorder := &rehearsal.Recorder{}
	stage, err := newStage(ctx, settings, clinic, recorder)
	if err != nil {
		return found, err
	}
	defer stage.db.Close()
	documents, ids, err := stage.prepare(ctx, settings.DatabaseURL)
	if err != nil {
		return found, err
	}
	filler := rehearsal.Filler{Schema: stage.schema, IDs: ids, Now: time.Now()}
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
			if op.Operation == ast.Mutation {
				found.Writing = append(found.Writing, op.Name)
			}
			for _, all := range []bool{false, true} {
				// What was asked for may fail, its statements were seen; but not before it ran.
				if why := stage.run(ctx, d.Body, op.Name, filler.Variables(parsed, op, all)); why != "" {
					found.Failed[op.Name] = why
				}
			}
		}
	}
	found.Statements = recorder.Statements()
	return found, ctx.Err()
}

// stage is a server without sockets, for one clinic.
type stage struct {
	db     *database.DB
	server *gqlserver.Server
	schema *ast.Schema
	clinic uuid.UUID
}

func newStage(ctx context.Context, settings config.Config, clinic uuid.UUID, recorder *rehearsal.Recorder) (_ *stage, err error) {
	// Cursors are sealed and opened here alone.
	secret := bytes.Repeat([]byte("rehearsal"), 8)
	cursors, err := paging.NewCursors(secret)
	if err != nil {
		return nil, err
	}
	const connections = 4
	s := &stage{clinic: clinic}
	s.db, err = database.Open(ctx, database.Config{
		URL: readOnly(settings.DatabaseURL), MaxConns: connections, Tracer: recorder,
		AcquireTimeout: settings.AcquireTimeout, StatementTimeout: settings.StatementTimeout,
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.db.Close()
		}
	}()
	sources := sourcesOf(s.db, cursors, time.Now)
	schema := generated.NewExecutableSchema(generated.Config{})
	s.schema = schema.Schema()
	table, err := rights.New(s.schema)
	if err != nil {
		return nil, err
	}
	s.server, err = gqlserver.New(gqlserver.Config{
		Schema: generated.NewExecutableSchema(generated.Config{Resolvers: resolvers.New(sources, table)}),
		Auth:   everyone{clinic}, Log: slog.New(slog.DiscardHandler), Rights: table, Secret: secret,
		Operations: operation.Limits{Tokens: settings.TokenLimit, Depth: settings.DepthLimit, Cost: int64(settings.CostLimit)},
		Extensions: []graphql.HandlerExtension{loaders.PerResponse(sources)},
	})
	return s, err
}

// everyone is an owner of the clinic.
type everyone struct{ clinic uuid.UUID }

// Authenticate implements gqlserver.Authenticator.
func (e everyone) Authenticate(context.Context, *http.Request) (*tenant.Scope, error) {
	return &tenant.Scope{Subject: "taskmed:rehearsal", ClinicID: e.clinic, Role: models.RoleOwner}, nil
}

// prepare reads what is to be run and with whose ids.
func (s *stage) prepare(ctx context.Context, databaseURL string) ([]document, map[string]string, error) {
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
	ids := map[string]string{"Clinic": models.KindClinic.Global(s.clinic)}
	for _, entity := range []struct {
		kind   models.Kind
		table  string
		schema string
	}{
		{models.KindContact, "contacts", "Contact"},
		{models.KindPractitioner, "practitioners", "Practitioner"},
		{models.KindService, "services", "Service"},
		{models.KindAppointment, "appointments", "Appointment"},
		{models.KindMedicalRecord, "medical_records", "MedicalRecord"},
		{models.KindTimeOff, "time_off", "TimeOff"},
	} {
		var id uuid.UUID
		err := conn.QueryRow(ctx, "SELECT id FROM "+entity.table+" WHERE clinic_id = $1 ORDER BY id DESC LIMIT 1", s.clinic).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			id, err = models.NewID(), nil // one that is not there has its statements, too
		}
		if err != nil {
			return nil, nil, fmt.Errorf("look for one of %s: %w", entity.table, err)
		}
		ids[entity.schema] = entity.kind.Global(id)
	}
	return documents, ids, nil
}

// run asks for an operation and says why it was refused before it ran; "" if it ran.
func (s *stage) run(ctx context.Context, text, name string, variables map[string]any) string {
	body, err := json.Marshal(map[string]any{"query": text, "operationName": name, "variables": variables})
	if err != nil {
		return err.Error()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, gqlserver.Path, bytes.NewReader(body))
	if err != nil {
		return err.Error()
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
	if err := json.Unmarshal(answer.body.Bytes(), &read); err != nil {
		return "the answer cannot be read"
	}
	if read.Data != nil || len(read.Errors) == 0 {
		return ""
	}
	messages := make([]string, len(read.Errors))
	for i, fault := range read.Errors {
		messages[i] = fault.Message
	}
	return strings.Join(messages, "; ")
}

// written is an answer that nobody waits for.
type written struct {
	header http.Header
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *written) Header() http.Header { return w.header }

// Write implements http.ResponseWriter.
func (w *written) Write(p []byte) (int, error) { return w.body.Write(p) }

// WriteHeader implements http.ResponseWriter.
func (*written) WriteHeader(int) {}
