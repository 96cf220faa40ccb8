// Package persisted knows GraphQL documents by a name that is shorter than
// their text: automatic persisted queries, which clients register by using
// them, and operations that were published beforehand.
package persisted

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/taskmed/taskmed/models"
)

// CodeNotFound says that nothing is known under a name. Apollo Client's
// persisted-query link looks for the code, urql's persisted exchange for the
// message; both then send the text.
const (
	CodeNotFound models.Code = "PERSISTED_QUERY_NOT_FOUND"

	messageNotFound = "PersistedQueryNotFound"
)

// LongestText bounds a document that is known by its hash, in bytes.
const LongestText = 64 << 10

// Hash is a text's SHA-256 as clients send it: 64 lower-case hexadecimal digits.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// isHash tells whether a name has the form of a Hash.
func isHash(name string) bool {
	if len(name) != 2*sha256.Size {
		return false
	}
	for i := range len(name) {
		if c := name[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Operations finds the text that a request means. Its methods are safe for
// concurrent use.
type Operations struct {
	texts    *Texts
	registry *Registry
	// registeredOnly refuses whatever was not published.
	registeredOnly bool
}

// New makes Operations. Without a registry (nil) there are automatic persisted
// queries alone; with registeredOnly there are published operations alone.
func New(texts *Texts, registry *Registry, registeredOnly bool) *Operations {
	return &Operations{texts: texts, registry: registry, registeredOnly: registeredOnly}
}

// Resolve gives the text to run for a request that names a document by its
// hash or its published id, has its text, or both. Its errors are *models.Error.
func (o *Operations) Resolve(ctx context.Context, id, text string) (string, error) {
	if o.registeredOnly {
		return o.registered(ctx, id, text)
	}
	switch {
	case id == "":
		return text, nil
	case text == "":
		return o.find(ctx, id)
	default:
		return text, o.agree(ctx, id, text)
	}
}

// find is for a name without a text.
func (o *Operations) find(ctx context.Context, id string) (string, error) {
	if !isHash(id) {
		if o.registry != nil {
			if operation, ok := o.registry.Find(ctx, id); ok {
				return operation.Body, nil
			}
		}
		return "", malformed()
	}
	if o.registry != nil {
		if operation, ok := o.registry.known(id); ok {
			return operation.Body, nil
		}
	}
	if text, ok := o.texts.Find(ctx, id); ok {
		return text, nil
	}
	return "", &models.Error{Code: CodeNotFound, Message: messageNotFound}
}

// agree refuses a text that is not the one its name says.
func (o *Operations) agree(ctx context.Context, id, text string) error {
	if isHash(id) {
		if Hash(text) != id {
			return models.BadInput("the hash is not the SHA-256 of the document's text")
		}
		return nil
	}
	if o.registry != nil {
		if operation, ok := o.registry.Find(ctx, id); ok {
			if operation.says(text) {
				return nil
			}
			return models.BadInput("the document is not the one that was published under this id")
		}
	}
	return malformed()
}

func (o *Operations) registered(ctx context.Context, id, text string) (string, error) {
	if err := o.registry.Loaded(); err != nil {
		return "", err
	}
	if text == "" {
		operation, ok := o.registry.Find(ctx, id)
		if !ok {
			// Clients then send the text, and are told below what is wrong.
			return "", &models.Error{Code: CodeNotFound, Message: messageNotFound}
		}
		return operation.Body, nil
	}
	if id != "" {
		if err := o.agree(ctx, id, text); err != nil {
			return "", err
		}
	}
	if !o.registry.knows(ctx, text) {
		return "", &models.Error{Code: models.Forbidden, Message: "only registered operations run here: publish this one first"}
	}
	return text, nil
}

func malformed() error {
	return models.BadInput("a document's hash is 64 lower-case hexadecimal digits")
}

// Admitted takes the text of an operation that is valid and was admitted, under
// the name that it was sent with. Only now may others find it.
func (o *Operations) Admitted(ctx context.Context, id, text string) {
	if o.registeredOnly || !isHash(id) {
		return
	}
	if o.registry != nil {
		if _, published := o.registry.known(id); published {
			return // It is kept already.
		}
	}
	o.texts.Keep(ctx, id, text)
}

// Name is the published name of a document, from a closed set: fit for a
// metric's label.
func (o *Operations) Name(text string) (string, bool) {
	if o.registry == nil {
		return "", false
	}
	return o.registry.Name(text)
}
