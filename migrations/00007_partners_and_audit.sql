-- What leaves the clinic (outbox, webhooks), what must not happen twice
-- (idempotency) and who did what (audit).

-- +goose Up
CREATE TABLE outbox (
  clinic_id uuid NOT NULL REFERENCES clinics (id),
  id uuid NOT NULL,
  event text NOT NULL CHECK (char_length(event) BETWEEN 1 AND 100),
  entity_kind text NOT NULL CHECK (char_length(entity_kind) BETWEEN 1 AND 50),
  entity_id uuid NOT NULL,
  payload jsonb NOT NULL DEFAULT '{}',
  -- The writing transaction: readers stop before the oldest one still running,
  -- so that a commit that comes late is not passed over.
  transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  dispatched_at timestamptz,
  PRIMARY KEY (clinic_id, id)
);
CREATE INDEX idx_outbox_order ON outbox (clinic_id, transaction_id, id);
CREATE INDEX idx_outbox_pending ON outbox (clinic_id, created_at) WHERE dispatched_at IS NULL;
SELECT protect_tenant_table('outbox', 'SELECT, INSERT, UPDATE');

CREATE TABLE webhook_endpoints (
  clinic_id uuid NOT NULL REFERENCES clinics (id),
  id uuid NOT NULL,
  url text NOT NULL CHECK (url ~ '^https://' AND char_length(url) <= 2000),
  events text[] NOT NULL CHECK (cardinality(events) BETWEEN 1 AND 50),
  active boolean NOT NULL DEFAULT true,
  secret bytea NOT NULL CHECK (octet_length(secret) BETWEEN 24 AND 64),
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id)
);
CREATE TRIGGER webhook_endpoints_touch BEFORE UPDATE ON webhook_endpoints FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('webhook_endpoints', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE webhook_deliveries (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  webhook_endpoint_id uuid NOT NULL,
  outbox_id uuid NOT NULL,
  event text NOT NULL CHECK (char_length(event) BETWEEN 1 AND 100),
  attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  last_status integer,
  delivered_at timestamptz,
  next_attempt_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  UNIQUE (clinic_id, webhook_endpoint_id, outbox_id),
  FOREIGN KEY (clinic_id, webhook_endpoint_id) REFERENCES webhook_endpoints (clinic_id, id) ON DELETE CASCADE,
  FOREIGN KEY (clinic_id, outbox_id) REFERENCES outbox (clinic_id, id)
);
CREATE INDEX idx_webhook_deliveries_due ON webhook_deliveries (clinic_id, next_attempt_at) WHERE delivered_at IS NULL AND next_attempt_at IS NOT NULL;
SELECT protect_tenant_table('webhook_deliveries', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE idempotency_keys (
  clinic_id uuid NOT NULL REFERENCES clinics (id),
  subject text NOT NULL CHECK (char_length(subject) BETWEEN 1 AND 255),
  key text NOT NULL CHECK (char_length(key) BETWEEN 1 AND 255),
  request_hash bytea NOT NULL CHECK (octet_length(request_hash) = 32),
  response jsonb,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (clinic_id, subject, key)
);
CREATE INDEX idx_idempotency_keys_expiry ON idempotency_keys (clinic_id, expires_at);
SELECT protect_tenant_table('idempotency_keys', 'SELECT, INSERT, UPDATE, DELETE');

-- Append-only: the application's role has no right to change or remove a row.
-- Partitioned by month so that an old month can be moved away as one piece.
CREATE TABLE audit_events (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor text NOT NULL CHECK (char_length(actor) BETWEEN 1 AND 255),
  role text,
  action text NOT NULL CHECK (action IN
    ('read', 'create', 'update', 'delete', 'sign', 'export', 'erase', 'login', 'denied')),
  entity_ids text[] NOT NULL DEFAULT '{}',
  operation text CHECK (char_length(operation) <= 255),
  request_id text NOT NULL CHECK (char_length(request_id) <= 255),
  ip inet,
  cached boolean NOT NULL DEFAULT false,
  sequence bigint,
  digest bytea CHECK (octet_length(digest) = 32),
  PRIMARY KEY (clinic_id, at, id)
) PARTITION BY RANGE (at);
CREATE INDEX idx_audit_events_entities ON audit_events USING gin (entity_ids);
CREATE INDEX idx_audit_events_actor ON audit_events (clinic_id, actor, at);
CREATE INDEX idx_audit_events_sequence ON audit_events (clinic_id, sequence);
SELECT protect_tenant_table('audit_events', 'SELECT, INSERT');

-- +goose StatementBegin
-- Makes the partition that holds the given day's month, if it is not there.
-- A partition is under the same policy as its parent and granted to nobody: it
-- is reached through the parent alone.
CREATE FUNCTION ensure_audit_partition(day date) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  first_day date := date_trunc('month', day)::date;
  partition name := 'audit_events_' || to_char(first_day, 'YYYY_MM');
BEGIN
  IF to_regclass(partition) IS NULL THEN
    EXECUTE format('CREATE TABLE %I PARTITION OF audit_events FOR VALUES FROM (%L) TO (%L)',
                   partition, first_day, (first_day + interval '1 month')::date);
    PERFORM protect_tenant_table(partition::regclass, '');
  END IF;
END $$;
-- +goose StatementEnd
SELECT ensure_audit_partition((date_trunc('month', now()) + make_interval(months => n))::date) FROM generate_series(0, 12) AS n;
-- What falls outside the months made so far is kept all the same.
CREATE TABLE audit_events_default PARTITION OF audit_events DEFAULT;
SELECT protect_tenant_table('audit_events_default', '');

-- +goose Down
DROP FUNCTION ensure_audit_partition(date);
DROP TABLE audit_events, idempotency_keys, webhook_deliveries, webhook_endpoints, outbox;
