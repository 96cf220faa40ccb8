package gqlserver

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/models"
)

// persistedQuery is the extension in which clients send a document's name:
// {"persistedQuery": {"version": 1, "sha256Hash": "…"}}.
const persistedQuery = "persistedQuery"

// notSupported is what a server answers that keeps no documents: clients then
// send texts for good. They look for the code or for the message.
const notSupported models.Code = "PERSISTED_QUERY_NOT_SUPPORTED"

// longestID bounds a document's name, in bytes.
const longestID = 200

// Documents knows GraphQL documents by a shorter name. Its errors are *models.Error.
type Documents interface {
	// Resolve gives the text to run for a name, a text, or both; one of them may be "".
	Resolve(ctx context.Context, id, text string) (string, error)
	// Admitted is told of a text that came with a name and of which an operation
	// is valid and may run. Only then may the text be found by its name.
	Admitted(ctx context.Context, id, text string)
}

// textsAlone is Documents where no names are known.
type textsAlone struct{}

// Resolve implements Documents.
func (textsAlone) Resolve(_ context.Context, _, text string) (string, error) {
	if text == "" {
		return "", &models.Error{Code: notSupported, Message: "PersistedQueryNotSupported"}
	}
	return text, nil
}

// Admitted implements Documents.
func (textsAlone) Admitted(context.Context, string, string) {}

// document finds the operation to run, in the text that was sent or that is known by
// the name that was.
func (q *request) document(ctx context.Context) gqlerror.List {
	var err error
	if q.id, err = q.said.name(); err != nil {
		return toFaults(err)
	}
	text := q.said.query
	if strings.TrimSpace(text) == "" {
		text = "" // Blanks are no text.
	}
	if text, err = q.config.Documents.Resolve(ctx, q.id, text); err != nil {
		return toFaults(err)
	}
	q.op.RawQuery, q.op.OperationName = text, q.said.operationName
	q.op.Extensions, q.op.Headers = q.said.extensions, q.in.Header
	document, faults := q.checker.Document(text)
	if len(faults) > 0 {
		return faults
	}
	found, fault := document.Operation(q.said.operationName)
	if fault != nil {
		return gqlerror.List{fault}
	}
	q.checked, q.op.Doc, q.op.Operation = found, document.AST, found.Definition
	return nil
}

// name is what a request calls its document; "" if it gives no name. documentId, which
// the appendix on persisted documents of GraphQL over HTTP has ("sha256:…", or an id
// that was published), says the same as the extension.
func (s *said) name() (string, error) {
	id, ok := strings.TrimPrefix(s.documentID, "sha256:"), true
	if s.documentID == "" {
		sent, given := s.extensions[persistedQuery]
		if !given || sent == nil {
			return "", nil
		}
		fields, isObject := sent.(map[string]any)
		if !isObject {
			return "", models.BadInput("extensions.persistedQuery must be an object")
		}
		if version, _ := fields["version"].(json.Number); version != "1" {
			return "", models.BadInput("extensions.persistedQuery.version must be 1")
		}
		id, ok = fields["sha256Hash"].(string)
	}
	if !ok || id == "" || len(id) > longestID {
		return "", models.BadInput("extensions.persistedQuery.sha256Hash must be 64 lower-case hexadecimal digits")
	}
	return id, nil
}

func toFaults(err error) gqlerror.List {
	if known, ok := errors.AsType[*models.Error](err); ok {
		return gqlerror.List{operation.Fault(known.Code, nil, "%s", known.Message)}
	}
	return gqlerror.List{{Err: err, Message: internalMessage}}
}

// variables gives the operation its variables, coerced.
func (q *request) variables() (faults gqlerror.List) {
	if q.said.passedAs(q.op.RawQuery) {
		q.op.Variables, q.canonical = q.said.passed.coerced, q.said.passed.canonical
		return nil
	}
	q.op.Variables, faults = q.checker.Variables(q.checked, q.said.variables)
	return faults
}

// comparable gives the variables as text, equal ones as equal texts.
func (q *request) comparable() (_ []byte, err error) {
	if q.canonical == nil {
		q.canonical, err = operation.Canonical(q.op.Variables)
	}
	return q.canonical, err
}

// cost refuses what the role may not select or what would cost too much.
func (q *request) cost() gqlerror.List {
	q.verdict = q.checker.Admit(q.checked, q.op.Variables, q.scope.Role)
	return q.verdict.Faults
}

// estimate is what the operation would cost; 0 if it did not come so far.
func (q *request) estimate() int64 {
	if q.verdict == nil {
		return 0
	}
	return q.verdict.Cost
}
