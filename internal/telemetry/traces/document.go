package traces

// Markdown is the traces' part of docs/observability.md.
func Markdown() string { return tracing }

const tracing = `## Traces

Off unless ` + "`OTEL_EXPORTER_OTLP_ENDPOINT`" + ` names a collector (OTLP over HTTP, as ` + "`http://localhost:4318`" + `). ` + "`OTEL_TRACES_SAMPLER_ARG`" + ` is the share of requests that are traced, 0.1 by default; a client's own ` + "`traceparent`" + ` is continued, but whether a request is traced is decided here. A traced answer names its span in ` + "`traceresponse`" + `. What is not traced costs nothing: no span, no allocation.

| span | attributes |
|---|---|
| ` + "`query DayView`" + `: a request, by its operation's type and registered name | ` + "`http.request.method`, `http.response.status_code`, `graphql.operation.type`, `graphql.operation.name`, `taskmed.clinic_id`, `taskmed.statements`, `taskmed.cache`, `taskmed.cache_reason`" + ` |
| ` + "`cache`" + `: the look-up, and what is computed where it is a miss | ` + "`taskmed.cache.outcome`" + ` (hit, miss, shared, bypass), ` + "`taskmed.cache.tier`, `taskmed.cache.reason`, `taskmed.cache.stored`" + ` |
| ` + "`execute`" + `: the operation is run | |
| ` + "`load Contact.appointments`" + `: a field is fetched for all parents at once, by the look-ahead; ` + "`load contacts`" + `: by a data loader | ` + "`taskmed.loader`, `taskmed.loader.keys`" + ` |
| ` + "`select appointments`" + `: a SQL statement, by its family | ` + "`db.system.name`, `db.query.summary`, `db.query.text`" + ` (without values or columns) |
| ` + "`redis HGET`, `redis pipeline`" + `: commands to Redis | ` + "`db.system.name`, `db.operation.name`, `db.operation.batch.size`" + `, no keys and no arguments |
`
