package rehearsal

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/google/uuid"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/gqlserver"
)

// Found is what a run found out.
type Found struct {
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

// Stage is a server without sockets, for one clinic.
type Stage struct {
	// Server answers requests; all that it sends to Postgres goes through a Guard and
	// the Recorder.
	Server   http.Handler
	Schema   *ast.Schema
	Recorder *Recorder
	Clinic   uuid.UUID
	// URL reaches the database as the role that serves, and cannot write.
	URL string
}

// Run runs every registered operation for the clinic, with variables that are made up,
// to see which statements it sends. Those that write run to their end and are rolled
// back, for each state that an appointment or a record of the clinic's is in.
func (s *Stage) Run(ctx context.Context) (found Found, err error) {
	documents, fillers, err := s.prepare(ctx)
	if err != nil {
		return found, err
	}
	found.Failed = map[string]string{}
	for _, d := range documents {
		parsed, faults := gqlparser.LoadQueryWithRules(s.Schema, d.Body, nil)
		if faults != nil {
			found.Failed[d.Name] = faults.Error()
			continue
		}
		for _, op := range parsed.Operations {
			if op.Operation == ast.Subscription {
				continue
			}
			found.Operations++
			finished, why := s.operation(ctx, d.Body, parsed, op, fillers)
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
	found.Statements = s.Recorder.Statements()
	return found, ctx.Err()
}

// operation runs one with what the fillers make up: a query with the first's
// alone, for no state of an entity changes what it sends. It tells whether a
// write was sent, and nothing refused, in any of the runs; and why it could not
// be run at all.
func (s *Stage) operation(
	ctx context.Context, text string, parsed *ast.QueryDocument, op *ast.OperationDefinition, fillers []Filler,
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
			s.Recorder.Tally()
			// What was asked for may fail, its statements were seen; but not before it ran.
			if data, refused := s.run(ctx, body); data == nil {
				why = refused
			}
			tally := s.Recorder.Tally()
			finished = finished || tally.Written > 0 && tally.Failed == 0
		}
	}
	return finished, why
}

// run sends a request and gives the answer's data, or why it was refused before it ran.
func (s *Stage) run(ctx context.Context, body []byte) (data json.RawMessage, refused string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, gqlserver.Path, bytes.NewReader(body))
	if err != nil {
		return nil, err.Error()
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/graphql-response+json")
	request.Header.Set("Authorization", "Bearer rehearsal")
	answer := &written{header: http.Header{}}
	s.Server.ServeHTTP(answer, request)
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
