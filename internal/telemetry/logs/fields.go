package logs

import (
	"fmt"
	"strings"
)

// Field is a field of the log's lines.
type Field struct {
	// Lines names the lines that have it, by their messages; "every" for all of
	// a request's.
	Lines, Name, Meaning string
}

// Fields are all fields that lines about requests have.
func Fields() []Field {
	return []Field{
		{"every", "time, level, msg", "when, how grave, and which line it is"},
		{"every", "request_id", "the request's name, as X-Request-Id tells the client"},
		{"every", "trace_id", "the request's trace (W3C), where it is traced"},
		{"request, fault, panic, slow operation", "clinic_id", "the clinic it was for, where that is known"},
		{"request, fault, panic, slow operation", "operation", "the operation's name; in slow operation the registered one, or other"},
		{"request", "method", "GET or POST"},
		{"request", "status", "the HTTP status"},
		{"request", "errors", "how many GraphQL errors the answer has"},
		{"request", "bytes", "the answer's length"},
		{"request", "cost", "the operation's cost"},
		{"request", "statements", "SQL statements that were run for it"},
		{"request", "cache", "what the cache did and why, as in Cache-Status"},
		{"request, slow operation", "took", "nanoseconds from the first header to the last byte"},
		{"slow operation", "type", "query or mutation"},
		{"slow operation", "fields", "where the time went: the resolvers that took most, with count and total_ms"},
		{"slow operation", "sql", "where the time went: the statements that took most, without values or columns"},
		{"fault, panic", "path", "the field it happened at"},
		{"fault", "what, error", "what went wrong, in the words of the code that noticed"},
		{"panic", "reason, stack", "the panic's type, and where"},
		{"alert", "alert, state, severity, summary", "which threshold was crossed (active) or is no longer (ended)"},
		{"alert", "subject", "the operation, field, family of statements or channel it is about, or empty"},
		{"alert", "value, threshold, unit", "by how much"},
	}
}

// Markdown is the log's part of docs/observability.md.
func Markdown() string {
	var text strings.Builder
	text.WriteString("## Log\n\n" + logging + "\n| line | field | what |\n|---|---|---|\n")
	for _, field := range Fields() {
		fmt.Fprintf(&text, "| %s | `%s` | %s |\n", field.Lines, strings.ReplaceAll(field.Name, ", ", "`, `"), field.Meaning)
	}
	return text.String()
}

const logging = `One line of JSON each, on standard error. Every request has a line ` + "`request`" + ` (level info); one that takes longer than 100 ms has a line ` + "`slow operation`" + ` (warn) beside it.
`
