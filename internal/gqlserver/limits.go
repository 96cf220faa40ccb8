package gqlserver

import (
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/taskmed/taskmed/models"
)

const allowedMethods = "GET, POST, OPTIONS"

// refusal is a request that is answered by a status and one error.
type refusal struct {
	status  int
	code    models.Code
	message string
}

func badRequest(message string) *refusal {
	return &refusal{http.StatusBadRequest, models.BadUserInput, message}
}

// elsewhere answers what is no operation: a browser that asks what it may send,
// and somebody who opened the API's address in one.
func (q *request) elsewhere() bool {
	header := q.out.Header()
	header["Cache-Control"] = q.fixed.noStore
	// What a POST was answered by is nobody's to answer the next one with (RFC 9110,
	// section 9.3.3). More than eight headers make net/http's map grow.
	if q.in.Method != http.MethodPost {
		header["Vary"] = q.fixed.vary
	}
	if q.in.Method == http.MethodOptions {
		q.origins.preflight(q.out, q.in)
		return true
	}
	q.origins.allow(q.out, q.in)
	if q.in.Method == http.MethodGet && acceptsHTML(q.in.Header) && !asks(q.in.URL.Query()) {
		http.Redirect(q.out, q.in, "/", http.StatusSeeOther)
		return true
	}
	return false
}

// asks tells a request from an address that somebody typed.
func asks(query url.Values) bool {
	return query.Has("query") || query.Has("documentId") || query.Has("extensions")
}

// limits refuses what its headers rule out, and says how the answer is labelled.
func (q *request) limits() *refusal {
	media, acceptable := negotiate(q.in.Header)
	q.media = media
	switch {
	case q.in.Method != http.MethodGet && q.in.Method != http.MethodPost:
		q.out.Header().Set("Allow", allowedMethods)
		return &refusal{http.StatusMethodNotAllowed, models.BadUserInput, "send GET or POST"}
	case !acceptable:
		return &refusal{http.StatusNotAcceptable, models.BadUserInput, "answers are application/graphql-response+json or application/json, in UTF-8"}
	case q.origins.forged(q.in):
		return forgedRequest()
	case q.in.Method == http.MethodPost:
		return checkContentType(q.in.Header)
	}
	return nil
}

func forgedRequest() *refusal {
	return &refusal{http.StatusForbidden, models.Forbidden, "this looks like another site's request: send Authorization or GraphQL-Require-Preflight, from an allowed origin"}
}

// checkContentType refuses what a form or a page without a preflight can send,
// and what would have to be decoded before it is bounded.
func checkContentType(header http.Header) *refusal {
	sent := header.Get("Content-Type")
	if sent == string(jsonType) && header["Content-Encoding"] == nil {
		return nil // as almost all say it
	}
	kind, parameters, err := mime.ParseMediaType(sent)
	if err != nil || kind != string(jsonType) {
		return &refusal{http.StatusUnsupportedMediaType, models.BadUserInput, "send the request as application/json"}
	}
	if !utf8Charset(parameters) {
		return &refusal{http.StatusUnsupportedMediaType, models.BadUserInput, "send the request in UTF-8"}
	}
	if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return &refusal{http.StatusUnsupportedMediaType, models.BadUserInput, "send the request uncompressed"}
	}
	return nil
}
