-- The operations that front ends were built with: published by the owner's
-- role, read by every server. Documents are program text and no clinic's data.

-- +goose Up
CREATE TABLE registered_operations (
  -- What clients call it: as a rule the SHA-256 of the body.
  id text PRIMARY KEY CHECK (id ~ '^[!-~]{1,200}$'),
  hash text NOT NULL CHECK (hash = encode(sha256(convert_to(body, 'UTF8')), 'hex')),
  name text NOT NULL CHECK (name ~ '^[_A-Za-z][_0-9A-Za-z]*$' AND char_length(name) <= 200),
  kind text NOT NULL CHECK (kind IN ('query', 'mutation', 'subscription')),
  body text NOT NULL CHECK (octet_length(body) BETWEEN 1 AND 65536),
  published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK (id !~ '^[0-9a-f]{64}$' OR id = hash)
);
GRANT SELECT ON registered_operations TO taskmed_app;

-- +goose Down
DROP TABLE registered_operations;
