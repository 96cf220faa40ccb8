// Package logs is the log's form. Every room logs in one way: it is handed a
// *slog.Logger, without one it is silent, and its lines are one constant message with
// attributes by slog's typed functions. Package app makes the one logger there is.
//
//   - Logger adds the trace's id to the lines of a request that is traced, and notes which
//     requests have their line "request" (handler.go).
//   - NewJSONHandler writes lines as slog's own handler does, plain ones faster (json.go).
//   - Fields are all fields that lines about requests have, from which
//     docs/observability.md is written (fields.go).
//
// It imports none of our packages.
package logs
