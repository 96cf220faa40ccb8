// Package dashboard is what people look at: the figures of one instance as the
// operators' page has them, an hour of them, and Grafana's dashboards.
//
//   - A Snapshot is what one interval of five seconds came to (snapshot.go). It never
//     holds a value that a client sent.
//   - The History keeps the last hour's and hands each to whoever watches (history.go).
//   - Grafana's dashboards are made from the names of metrics (grafana.go) and stand in
//     deploy/grafana.
//
// It is the lowest of telemetry's rooms and imports none of our packages: metrics fills
// in what it counted, alerts judges by it, and web shows it.
package dashboard
