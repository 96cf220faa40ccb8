-- What leaves the clinic (outbox, webhooks) and what must not happen twice (idempotency).

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
SELECT cache_unread('outbox', 'what was written leaves by it; it is read by its dispatcher alone');

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
SELECT cache_announce('webhook_endpoints',
  $$ARRAY['webhook_endpoint:' || r.id]$$, $$ARRAY['webhook_endpoint/list']$$, '{active,created_at}');

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
SELECT cache_announce('webhook_deliveries',
  $$ARRAY['webhook_delivery:' || r.id]$$,
  $$ARRAY['webhook_delivery/webhook_endpoint=' || r.webhook_endpoint_id]$$,
  '{webhook_endpoint_id,outbox_id,next_attempt_at,delivered_at,created_at}');

CREATE TABLE idempotency_keys (
  clinic_id uuid NOT NULL REFERENCES clinics (id),
  subject text NOT NULL CHECK (char_length(subject) BETWEEN 1 AND 255),
  key text NOT NULL CHECK (char_length(key) BETWEEN 1 AND 255),
  request_hash bytea NOT NULL CHECK (octet_length(request_hash) = 32),
  -- What came of it, sealed (internal/idempotency).
  response bytea CHECK (octet_length(response) <= 8388608),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL DEFAULT clock_timestamp() + interval '24 hours',
  PRIMARY KEY (clinic_id, subject, key)
);
CREATE INDEX idx_idempotency_keys_expiry ON idempotency_keys (clinic_id, expires_at);
SELECT protect_tenant_table('idempotency_keys', 'SELECT, INSERT, UPDATE, DELETE');
SELECT cache_unread('idempotency_keys', 'mutations alone look at it, and their answers are never kept');

-- +goose Down
DROP TABLE idempotency_keys, webhook_deliveries, webhook_endpoints, outbox;
DROP FUNCTION cache_tags_webhook_deliveries();
DROP FUNCTION cache_tags_webhook_endpoints();
