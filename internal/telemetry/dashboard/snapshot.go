package dashboard

import "time"

// Snapshot is what a live dashboard shows of one instance: an interval's
// figures, and lists of what was slow or busy over the last minute. Times are
// milliseconds, ratios go from 0 to 1. It never holds a value that a client
// sent: names are the schema's, the registered operations' and the code's own.
type Snapshot struct {
	// At is the interval's end.
	At time.Time `json:"at"`
	// IntervalSeconds is how long the interval was; 5 as a rule.
	IntervalSeconds float64 `json:"intervalSeconds"`

	Requests Requests `json:"requests"`
	Cache    Cache    `json:"cache"`

	// SlowFields, SlowOperations and SlowStatements are the last minute's, the
	// highest P95 first, ten at most; Clinics the last minute's, the busiest
	// first, twenty at most.
	SlowFields     []Field     `json:"slowFields"`
	SlowOperations []Operation `json:"slowOperations"`
	SlowStatements []Statement `json:"slowStatements"`
	Clinics        []Clinic    `json:"clinics"`

	Pool     Pool    `json:"pool"`
	Process  Process `json:"process"`
	Postgres Health  `json:"postgres"`
	Redis    Health  `json:"redis"`
	Alerts   Alerts  `json:"alerts"`
}

// Requests are the API's requests that ended in the interval.
type Requests struct {
	Count     int64   `json:"count"`
	PerSecond float64 `json:"perSecond"`
	InFlight  int64   `json:"inFlight"`
	// Failed are answers with a fault of the server's (INTERNAL, UNAVAILABLE,
	// OUTCOME_UNKNOWN), Refused those that the client brought on itself.
	Failed  int64 `json:"failed"`
	Refused int64 `json:"refused"`
	// ErrorRate is Failed of Count; 0 where there were no requests.
	ErrorRate float64 `json:"errorRate"`
	// RefusedBy counts the refusals by their error code, the most first.
	RefusedBy []Count `json:"refusedBy"`
	P50       float64 `json:"p50Ms"`
	P95       float64 `json:"p95Ms"`
	P99       float64 `json:"p99Ms"`
	Max       float64 `json:"maxMs"`
}

// Count is how often something with a name happened.
type Count struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// Cache is what the response cache did in the interval.
type Cache struct {
	// Hits and Misses are of reads that may be cached; Bypassed may not be.
	Hits     int64 `json:"hits"`
	Misses   int64 `json:"misses"`
	Bypassed int64 `json:"bypassed"`
	// HitRate is Hits of Hits and Misses; null where there were none.
	HitRate *float64 `json:"hitRate"`
	// MissesBy counts misses and bypasses by reason, the most first.
	MissesBy []Count `json:"missesBy"`
}

// Field is a field with a resolver, and how long its resolver alone took.
type Field struct {
	// Name is as in "Query.appointments".
	Name   string  `json:"name"`
	Count  int64   `json:"count"`
	Errors int64   `json:"errors"`
	P50    float64 `json:"p50Ms"`
	P95    float64 `json:"p95Ms"`
	Total  float64 `json:"totalMs"`
	// Statements are those that its resolver made over the last minute, the most
	// time first, ten at most; like an Operation's.
	Statements []Share `json:"statements"`
}

// Operation is a registered or well-known operation, or "other".
type Operation struct {
	Name string `json:"name"`
	// Type is query, mutation or subscription.
	Type   string  `json:"type"`
	Count  int64   `json:"count"`
	Failed int64   `json:"failed"`
	P50    float64 `json:"p50Ms"`
	P95    float64 `json:"p95Ms"`
	P99    float64 `json:"p99Ms"`
	// Fields and Statements say where its time went over the last minute, the
	// most time first, ten at most each. They are kept in the latest Snapshot
	// only; older ones have null.
	Fields     []Share `json:"fields"`
	Statements []Share `json:"statements"`
}

// Share is a part of an operation's time.
type Share struct {
	// Name is a field ("Contact.appointments") or a statement's shape.
	Name string `json:"name"`
	// Statement is by what a statement's plan is asked for; "" for a field.
	Statement string  `json:"statement,omitempty"`
	Count     int64   `json:"count"`
	Total     float64 `json:"totalMs"`
	Mean      float64 `json:"meanMs"`
}

// Statement is a family of SQL statements.
type Statement struct {
	// Family is what it does to which tables, as "select appointments".
	Family string `json:"family"`
	// Shape is the SQL of its slowest statement, without values or columns;
	// Statement is by what its plan is asked for.
	Shape     string  `json:"shape"`
	Statement string  `json:"statement"`
	Count     int64   `json:"count"`
	Errors    int64   `json:"errors"`
	P50       float64 `json:"p50Ms"`
	P95       float64 `json:"p95Ms"`
	Total     float64 `json:"totalMs"`
}

// Clinic is a clinic's share of the load.
type Clinic struct {
	// ID is the clinic's, or "other" for those beyond the thousand that are told apart.
	ID       string `json:"id"`
	Requests int64  `json:"requests"`
	Failed   int64  `json:"failed"`
	// Slow are the requests over 100 ms.
	Slow int64   `json:"slow"`
	Mean float64 `json:"meanMs"`
}

// Pool is the state of the connections to Postgres.
type Pool struct {
	Max   int32 `json:"max"`
	InUse int32 `json:"inUse"`
	Idle  int32 `json:"idle"`
	// Utilization is InUse of Max.
	Utilization float64 `json:"utilization"`
	// Waits are the acquisitions of the interval that found no idle connection,
	// Waited how long they waited in all.
	Waits  int64   `json:"waits"`
	Waited float64 `json:"waitedMs"`
}

// Process is what this instance takes of its machine.
type Process struct {
	// CPU is the share of the processors that Go may use.
	CPU float64 `json:"cpu"`
	// Memory is the share of MemoryLimitBytes that MemoryBytes, the resident set, is.
	Memory           float64 `json:"memory"`
	MemoryBytes      uint64  `json:"memoryBytes"`
	MemoryLimitBytes uint64  `json:"memoryLimitBytes"`
	HeapBytes        uint64  `json:"heapBytes"`
	Goroutines       int64   `json:"goroutines"`
	// GCs are the garbage collections of the interval, GCPause their longest pause.
	GCs           int64   `json:"gcs"`
	GCPause       float64 `json:"gcPauseMs"`
	UptimeSeconds float64 `json:"uptimeSeconds"`
}

// Health is whether a server that this instance needs answers.
type Health struct {
	// Configured is false where there is none to ask.
	Configured bool    `json:"configured"`
	Up         bool    `json:"up"`
	Latency    float64 `json:"latencyMs"`
	// Fault is "" or one of "no answer in time", "unreachable".
	Fault string `json:"fault"`
}

// Alerts are the thresholds that are crossed now and were within the last hour.
type Alerts struct {
	Active []Alert `json:"active"`
	// Recent have ended, the latest first.
	Recent []Alert `json:"recent"`
}

// Alert is one crossing of a threshold.
type Alert struct {
	// Name is as in docs/observability.md: "ResponseTime", "SlowField", "Errors", …
	Name string `json:"name"`
	// Subject is the operation, field, family of statements or channel that it is about;
	// "" where it is about the whole instance.
	Subject string `json:"subject"`
	// Summary says in words what is wrong.
	Summary string `json:"summary"`
	// Severity is "warning" or "critical".
	Severity string `json:"severity"`
	// Value is the latest that crossed it; Threshold what it is held against, both in Unit: "ms", "s", "ratio", "times" or "up".
	Value     float64 `json:"value"`
	Threshold float64 `json:"threshold"`
	Unit      string  `json:"unit"`
	// Since is when it began; Until when it ended, null while it lasts.
	Since time.Time  `json:"since"`
	Until *time.Time `json:"until"`
}
