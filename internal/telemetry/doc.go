// Package telemetry lets operators and developers see what the server does and
// what it costs. It is where a request is watched; what is made of that is done in
// its rooms, each of which has a doc.go with its terms:
//
//   - metrics counts, for Prometheus and the dashboard
//   - traces shows one request in parts
//   - logs is the form of the log's lines
//   - alerts judges the figures
//   - dashboard is the figures' shape, their last hour, and Grafana's dashboards
//
// Imports go from this package to the rooms, from traces and alerts to metrics, and from
// metrics and alerts to dashboard; .golangci.yml holds that.
//
// A request is noted from Begin to its end (request.go) by what gqlgen (extension.go),
// Postgres (sql.go), the look-ahead (fetching.go) and the other parts (traces) tell of it.
// Where nothing is to be watched, Nothing takes a Telemetry's place. Every interval a
// snapshot is taken and judged (sample.go). docs/observability.md is written by the rooms
// (document.go).
//
// What is kept is bounded whatever clients send: names come from the schema,
// the registered operations and the code's own SQL, and clinics are told apart
// up to a thousand.
package telemetry
