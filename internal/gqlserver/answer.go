package gqlserver

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/internal/requestid"
	"github.com/taskmed/taskmed/models"
)

// answer is a response as it goes out. Whoever has an answer's bytes already
// hands them to write, and nothing is encoded again.
type answer struct {
	status int
	body   []byte
}

// write sends an answer. API answers are not to be kept by anyone yet, and
// depend on who asks in which form.
func (s *Server) write(w http.ResponseWriter, media mediaType, a answer) {
	header := w.Header()
	header["Content-Type"] = s.fixed.mediaType(media)
	header.Set("Content-Length", strconv.Itoa(len(a.body)))
	switch a.status {
	case http.StatusUnauthorized:
		if header.Get("WWW-Authenticate") == "" {
			header.Set("WWW-Authenticate", `Bearer realm="taskmed"`)
		}
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", "1")
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // The client is gone: there is nobody to tell.
}

// refuse answers a request that does not get as far as an operation.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, media mediaType, why *refusal) {
	s.fail(w, r, media, why.status, why.code, why.message)
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, media mediaType, status int, code models.Code, message string) {
	body, err := json.Marshal(map[string]gqlerror.List{"errors": {{
		Message:    message,
		Extensions: map[string]any{"code": code, "requestId": requestid.From(r.Context())},
	}}})
	if err != nil { // Strings always marshal.
		status = http.StatusInternalServerError
	}
	s.write(w, media, answer{status, body})
}

// encode writes a response into the buffer. Its data is JSON already and is
// taken as it is; an answer to a request error has none, not even null.
func encode(buffer *bytes.Buffer, response *graphql.Response) error {
	buffer.WriteByte('{')
	if len(response.Errors) > 0 {
		errs, err := json.Marshal(response.Errors)
		if err != nil {
			return err
		}
		buffer.WriteString(`"errors":`)
		buffer.Write(errs)
	}
	if response.Data != nil {
		comma(buffer)
		buffer.WriteString(`"data":`)
		buffer.Write(response.Data)
	}
	if len(response.Extensions) > 0 {
		extensions, err := json.Marshal(response.Extensions)
		if err != nil {
			return err
		}
		comma(buffer)
		buffer.WriteString(`"extensions":`)
		buffer.Write(extensions)
	}
	buffer.WriteByte('}')
	return nil
}

func comma(buffer *bytes.Buffer) {
	if buffer.Len() > 1 {
		buffer.WriteByte(',')
	}
}

// statusOf follows the specification: an answer with data is 200. Without, it
// is 200 for application/json, whose readers of old take any other status for
// something that is not GraphQL, unless the fault lies outside the operation.
func statusOf(response *graphql.Response, media mediaType) int {
	if response.Data != nil {
		if allUnavailable(response) {
			// The specification recommends 200 here as well; but balancers and
			// retrying clients must see that nothing at all could be had.
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	}
	status := http.StatusBadRequest
	for _, err := range response.Errors {
		switch err.Extensions["code"] {
		case models.Unauthenticated:
			return http.StatusUnauthorized
		case models.RateLimited:
			return http.StatusTooManyRequests
		case models.Unavailable:
			return http.StatusServiceUnavailable
		case models.Internal, models.OutcomeUnknown:
			return http.StatusInternalServerError
		case models.Forbidden:
			status = http.StatusForbidden
		}
	}
	if media == jsonType {
		return http.StatusOK
	}
	return status
}

// allUnavailable is true where every error is UNAVAILABLE and no root field has
// a value.
func allUnavailable(response *graphql.Response) bool {
	if len(response.Errors) == 0 {
		return false
	}
	for _, err := range response.Errors {
		if err.Extensions["code"] != models.Unavailable {
			return false
		}
	}
	var roots map[string]json.RawMessage
	if json.Unmarshal(response.Data, &roots) != nil {
		return false
	}
	for _, value := range roots {
		if string(value) != "null" {
			return false
		}
	}
	return true
}
