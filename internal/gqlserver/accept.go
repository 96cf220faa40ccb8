package gqlserver

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// mediaType is how an answer is labelled; it decides which statuses it may have.
type mediaType string

const (
	jsonType     mediaType = "application/json"
	responseType mediaType = "application/graphql-response+json"
)

func (m mediaType) header() string { return string(m) + "; charset=utf-8" }

// negotiate picks the answer's media type by the Accept header (RFC 9110,
// section 12.5.1). Without one it is application/json, as the GraphQL over HTTP
// specification has it for clients of old; false means that neither will do.
func negotiate(header http.Header) (mediaType, bool) {
	values := header.Values("Accept")
	switch {
	case len(values) == 0:
		return jsonType, true
	case len(values) == 1 && (values[0] == "*/*" || values[0] == string(jsonType)):
		return jsonType, true
	case len(values) == 1 && values[0] == string(responseType):
		return responseType, true
	}
	var plain, response preference
	for part := range strings.SplitSeq(strings.Join(values, ","), ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		kind, parameters, err := mime.ParseMediaType(part)
		if err != nil || !utf8Charset(parameters) {
			continue
		}
		q := quality(parameters["q"])
		switch kind {
		case string(jsonType):
			plain.set(exact, q)
		case string(responseType):
			response.set(exact, q)
		case "application/*":
			plain.set(subtypes, q)
			response.set(subtypes, q)
		case "*/*":
			plain.set(anything, q)
			response.set(anything, q)
		}
	}
	switch {
	case plain.q == 0 && response.q == 0:
		return jsonType, false
	case response.q > plain.q || response.q == plain.q && response.how == exact:
		return responseType, true
	default:
		return jsonType, true
	}
}

// How precisely an Accept range names a type.
const (
	anything = iota + 1
	subtypes
	exact
)

// preference is the quality that the most precise range gave.
type preference struct {
	how int
	q   float64
}

func (p *preference) set(how int, q float64) {
	if how > p.how {
		p.how, p.q = how, q
	}
}

func quality(text string) float64 {
	if text == "" {
		return 1
	}
	q, err := strconv.ParseFloat(text, 64)
	if err != nil || q < 0 || q > 1 {
		return 0
	}
	return q
}

func utf8Charset(parameters map[string]string) bool {
	charset, given := parameters["charset"]
	return !given || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
}

// acceptsHTML is true for a browser that navigates.
func acceptsHTML(header http.Header) bool {
	return strings.Contains(header.Get("Accept"), "text/html")
}
