// Package metrics counts: requests, operations, fields, SQL statements, clinics and
// what the cache did, for Prometheus and for the dashboard at once.
//
//   - A Meter counts durations in buckets (meter.go). It is shown to Prometheus as a
//     classic and native histogram (histogram.go); at the end of an interval it is
//     rolled into a Tally, of which a minute's are kept for percentiles (tally.go).
//   - Each thing that is counted has a file: Requests and their outcomes, Operations,
//     Fields, Statements by what they do to which tables (shape.go), Clinics, the
//     Cache's outcomes, the Process. Its Roll ends an interval and gives the
//     dashboard's rows.
//   - Shares are one request's notes: the fields and statements that its time went into.
//   - The Catalog registers a metric and remembers what it is, from which
//     docs/observability.md is written.
//
// What is kept is bounded whatever clients send. Names come from the schema (fields),
// from the registered operations, and from the code's own SQL (tables); nothing here
// lists a noun, a field or a table.
package metrics
