-- Who did what.

-- +goose Up
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
SELECT cache_unread('audit_events', 'the trail of reads grows with every answer, so no answer about it can be kept');

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
DROP TABLE audit_events;
