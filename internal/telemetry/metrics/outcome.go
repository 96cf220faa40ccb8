package metrics

import (
	"net/http"
	"slices"

	"github.com/taskmed/taskmed/models"
)

// Outcome is how a request ended.
type Outcome int

// A refusal is the client's doing, a failure the server's; Canceled is that the client left.
const (
	OK Outcome = iota
	Refused
	Failed
	Canceled
)

// Other is the name of all that is not told apart.
const Other = "other"

// Judge gives a request's outcome and names what it was refused or failed by: code is the
// worst of its answer's errors, "" if there was none.
func Judge(status int, code models.Code, canceled bool) (outcome Outcome, kind string) {
	kind, failed := string(code), ServerFault(code)
	if kind == "" && status >= http.StatusBadRequest {
		kind, failed = kindOf(status), status >= http.StatusInternalServerError
	}
	switch {
	case kind == "":
		return OK, ""
	case canceled && code != models.Internal:
		return Canceled, "CANCELED"
	case failed:
		outcome = Failed
	default:
		outcome = Refused
	}
	if !slices.Contains(Kinds(), kind) {
		kind = Other
	}
	return outcome, kind
}

// ServerFault tells an error that is the server's doing.
func ServerFault(code models.Code) bool {
	return code == models.Internal || code == models.Unavailable || code == models.OutcomeUnknown
}

// kindOf names a refusal that came before there was an operation.
func kindOf(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return string(models.Unauthenticated)
	case http.StatusForbidden:
		return string(models.Forbidden)
	case http.StatusTooManyRequests:
		return string(models.RateLimited)
	case http.StatusServiceUnavailable:
		return string(models.Unavailable)
	case http.StatusMethodNotAllowed:
		return "METHOD_NOT_ALLOWED"
	case http.StatusNotAcceptable:
		return "NOT_ACCEPTABLE"
	case http.StatusRequestEntityTooLarge:
		return "BODY_TOO_LARGE"
	case http.StatusUnsupportedMediaType:
		return "UNSUPPORTED_MEDIA_TYPE"
	}
	if status >= http.StatusInternalServerError {
		return string(models.Internal)
	}
	return string(models.BadUserInput)
}

// Kinds are all that refusals are counted by, besides "other".
func Kinds() []string {
	return []string{
		string(models.Unauthenticated), string(models.Forbidden), string(models.BadUserInput), string(models.CostLimit),
		string(models.RateLimited), string(models.Unavailable), string(models.OutcomeUnknown), string(models.Expired), string(models.Conflict), string(models.Internal),
		"GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "PERSISTED_QUERY_NOT_FOUND", "PERSISTED_QUERY_NOT_SUPPORTED",
		"METHOD_NOT_ALLOWED", "NOT_ACCEPTABLE", "BODY_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE", "CANCELED",
	}
}
