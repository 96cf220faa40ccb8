package gqlserver

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/99designs/gqlgen/graphql"
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

// documentID is the name that a request gives its document; "" if it gives none.
func documentID(params *graphql.RawParams) (string, error) {
	sent, given := params.Extensions[persistedQuery]
	if !given || sent == nil {
		return "", nil
	}
	fields, ok := sent.(map[string]any)
	if !ok {
		return "", models.BadInput("extensions.persistedQuery must be an object")
	}
	if version, _ := fields["version"].(json.Number); version != "1" {
		return "", models.BadInput("extensions.persistedQuery.version must be 1")
	}
	id, ok := fields["sha256Hash"].(string)
	if !ok || id == "" || len(id) > longestID {
		return "", models.BadInput("extensions.persistedQuery.sha256Hash must be 64 lower-case hexadecimal digits")
	}
	return id, nil
}

// nameDocument takes over the parameter documentId, which the appendix on
// persisted documents of GraphQL over HTTP has: "sha256:…", or an id that was
// published. It says the same as the extension.
func nameDocument(params *graphql.RawParams, id string) bool {
	if id == "" {
		return true
	}
	if params.Extensions[persistedQuery] != nil {
		return false
	}
	if params.Extensions == nil {
		params.Extensions = map[string]any{}
	}
	params.Extensions[persistedQuery] = map[string]any{
		"version": json.Number("1"), "sha256Hash": strings.TrimPrefix(id, "sha256:"),
	}
	return true
}

// resolve puts the text to run into the parameters and gives the name that it
// was asked for by.
func (e *executor) resolve(ctx context.Context, params *graphql.RawParams) (id string, fault *gqlerror.Error) {
	id, err := documentID(params)
	switch {
	case err != nil:
		return "", toFault(err)
	case strings.TrimSpace(params.Query) != "":
	case id == "":
		return "", nil // An extension may have taken the document away; that there is none is told below.
	case e.documents == nil:
		return "", toFault(&models.Error{Code: notSupported, Message: "PersistedQueryNotSupported"})
	default:
		params.Query = "" // Blanks are no text.
	}
	if e.documents == nil {
		return "", nil
	}
	if params.Query, err = e.documents.Resolve(ctx, id, params.Query); err != nil {
		return "", toFault(err)
	}
	return id, nil
}

func toFault(err error) *gqlerror.Error {
	if known, ok := errors.AsType[*models.Error](err); ok {
		return operation.Fault(known.Code, nil, "%s", known.Message)
	}
	return &gqlerror.Error{Err: err, Message: internalMessage}
}
