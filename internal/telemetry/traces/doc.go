// Package traces shows one request in parts: spans by OpenTelemetry, sent to a collector
// over OTLP.
//
//   - A Request is the span of a whole request. It continues the client's trace and tells
//     the client its own; whether it is sampled is decided here (traces.go).
//   - A Span is a part of one: the look-up in the cache, the operation's execution, a
//     fetch, a SQL statement, commands to Redis (parts.go, redis.go). No span holds a value, a
//     column, a key or an argument.
//
// Without a collector there are no Traces but nil, and a request pays nothing: no span
// and no allocation. It imports metrics, for the names of statements and of the cache's
// reasons, and nothing of telemetry besides.
package traces
