package operation

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/models"
)

// The codes of what is refused before anything runs, beside those of models.
const (
	ParseFailed      models.Code = "GRAPHQL_PARSE_FAILED"
	ValidationFailed models.Code = "GRAPHQL_VALIDATION_FAILED"
)

// mostFaults is how many faults of one operation are reported.
const mostFaults = 10

// longestMessage bounds a message in which a client's own names stand.
const longestMessage = 200

// Fault is a request error: its code and words are in a *models.Error, so that
// whoever presents errors needs to know one kind only.
func Fault(code models.Code, at *ast.Position, format string, args ...any) *gqlerror.Error {
	message := shorten(fmt.Sprintf(format, args...))
	fault := &gqlerror.Error{Err: &models.Error{Code: code, Message: message}, Message: message}
	if at != nil && at.Line > 0 {
		fault.Locations = []gqlerror.Location{{Line: at.Line, Column: at.Column}}
	}
	return fault
}

// parseFault takes over the parser's message without the token it stopped at:
// that may be a text about a patient.
func parseFault(err error) *gqlerror.Error {
	fault := Fault(ParseFailed, nil, "the document cannot be parsed")
	if parsed, ok := err.(*gqlerror.Error); ok { //nolint:errorlint // the parser's own error, never wrapped
		fault.Message = cleanParse(parsed.Message)
		fault.Locations = parsed.Locations
	}
	fault.Err = &models.Error{Code: ParseFailed, Message: fault.Message}
	return fault
}

func cleanParse(message string) string {
	head, found, _ := strings.Cut(message, ", found ")
	kind, _, _ := strings.Cut(found, ` "`)
	switch {
	case found != "":
		message = head + ", found " + kind
	case strings.HasPrefix(message, "Unexpected "):
		message, _, _ = strings.Cut(message, ` "`)
	default:
		message, _, _ = strings.Cut(message, `: "`)
	}
	return shorten(message)
}

// validationFaults takes over the validator's first messages, without the
// literals they complain about.
func validationFaults(list gqlerror.List) gqlerror.List {
	if len(list) > mostFaults {
		list = list[:mostFaults]
	}
	faults := make(gqlerror.List, len(list))
	for i, err := range list {
		message := cleanValidation(err.Rule, err.Message)
		faults[i] = &gqlerror.Error{
			Err:       &models.Error{Code: ValidationFailed, Message: message},
			Message:   message,
			Locations: err.Locations,
		}
	}
	return faults
}

func cleanValidation(rule, message string) string {
	if strings.HasPrefix(rule, "ValuesOfCorrectType") {
		if _, enum, ok := strings.Cut(message, `" does not exist in "`); ok && strings.HasPrefix(message, `Value "`) {
			return shorten(`The value does not exist in "` + enum)
		}
		// The last of them is ours; a literal may hold the same words.
		if head, _, cut := strings.Cut(message, ", found "); cut {
			return shorten(head + ".")
		}
		if head, _, cut := strings.Cut(message, " value: "); cut {
			return shorten(head + " value.")
		}
	}
	message, _, _ = strings.Cut(message, " Did you mean")
	return shorten(message)
}

func shorten(message string) string {
	if len(message) <= longestMessage {
		return message
	}
	cut := longestMessage
	for cut > 0 && !utf8.RuneStart(message[cut]) {
		cut--
	}
	return message[:cut] + "…"
}
