// What the server tells every few seconds: internal/telemetry/dashboard/snapshot.go has
// what each figure means. Times are milliseconds, ratios go from 0 to 1.

export interface Count {
  name: string;
  count: number;
}

export interface Share {
  name: string;
  /** By what a statement's plan is asked for. */
  statement?: string;
  count: number;
  totalMs: number;
  meanMs: number;
}

export interface Field {
  name: string;
  count: number;
  errors: number;
  p50Ms: number;
  p95Ms: number;
  totalMs: number;
  /** Only in the latest snapshot; older ones have null. */
  statements: Share[] | null;
}

export interface Operation {
  name: string;
  type: string;
  count: number;
  failed: number;
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  /** Only in the latest snapshot; older ones have null. */
  fields: Share[] | null;
  statements: Share[] | null;
}

export interface Statement {
  family: string;
  shape: string;
  statement: string;
  count: number;
  errors: number;
  p50Ms: number;
  p95Ms: number;
  totalMs: number;
}

export interface ClinicLoad {
  id: string;
  requests: number;
  failed: number;
  slow: number;
  meanMs: number;
}

export interface Health {
  configured: boolean;
  up: boolean;
  latencyMs: number;
  fault: string;
}

export interface Alert {
  name: string;
  /** The operation, field, family of statements or channel that it is about, or "". */
  subject: string;
  summary: string;
  severity: string;
  value: number;
  threshold: number;
  unit: string;
  since: string;
  until: string | null;
}

export interface Snapshot {
  at: string;
  intervalSeconds: number;
  requests: {
    count: number;
    perSecond: number;
    inFlight: number;
    failed: number;
    refused: number;
    errorRate: number;
    refusedBy: Count[] | null;
    p50Ms: number;
    p95Ms: number;
    p99Ms: number;
    maxMs: number;
  };
  cache: {
    hits: number;
    misses: number;
    bypassed: number;
    hitRate: number | null;
    missesBy: Count[] | null;
  };
  slowFields: Field[] | null;
  slowOperations: Operation[] | null;
  slowStatements: Statement[] | null;
  clinics: ClinicLoad[] | null;
  pool: { max: number; inUse: number; idle: number; utilization: number; waits: number; waitedMs: number };
  process: {
    cpu: number;
    memory: number;
    memoryBytes: number;
    memoryLimitBytes: number;
    heapBytes: number;
    goroutines: number;
    gcs: number;
    gcPauseMs: number;
    uptimeSeconds: number;
  };
  postgres: Health;
  redis: Health;
  alerts: { active: Alert[] | null; recent: Alert[] | null };
}
