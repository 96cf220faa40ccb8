-- What must not happen twice: requests with a key, and what came of each.

-- +goose Up
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
DROP TABLE idempotency_keys;
