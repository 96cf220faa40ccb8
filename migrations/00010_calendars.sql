-- What calendars elsewhere read: feeds, and for clients that synchronise which
-- appointments changed, in which transaction, and whose they were and are
-- (docs/decisions/0015).

-- +goose Up
-- Only the SHA-256 of the address's secret is kept.
CREATE TABLE calendar_feeds (
  clinic_id uuid NOT NULL REFERENCES clinics (id),
  id uuid NOT NULL,
  practitioner_id uuid,
  secret_hash bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_read_at timestamptz,
  revoked_at timestamptz,
  PRIMARY KEY (clinic_id, id),
  UNIQUE (clinic_id, secret_hash),
  FOREIGN KEY (clinic_id, practitioner_id) REFERENCES practitioners (clinic_id, id)
);
SELECT protect_tenant_table('calendar_feeds', 'SELECT, INSERT, UPDATE');
SELECT cache_announce('calendar_feeds',
  $$ARRAY['calendar_feed:' || r.id]$$, $$ARRAY['calendar_feed/list']$$, '{practitioner_id,created_at,revoked_at}');

-- One row per appointment and practitioner who has or had it: the last transaction
-- that wrote it. Rows stay when the appointment goes.
CREATE TABLE appointment_changes (
  clinic_id uuid NOT NULL REFERENCES clinics (id),
  appointment_id uuid NOT NULL,
  practitioner_id uuid NOT NULL,
  -- Its number says nothing of when it was committed: readers ask a snapshot.
  transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
  PRIMARY KEY (clinic_id, appointment_id, practitioner_id)
);
CREATE INDEX idx_appointment_changes_order ON appointment_changes (clinic_id, transaction_id, appointment_id, practitioner_id);
SELECT protect_tenant_table('appointment_changes', 'SELECT, INSERT, UPDATE');
SELECT cache_unread('appointment_changes', 'calendarChanges alone reads it, and its answers are never kept');

-- +goose StatementBegin
CREATE FUNCTION appointments_note_changes() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO appointment_changes AS c (clinic_id, appointment_id, practitioner_id)
    SELECT clinic_id, id, practitioner_id FROM new_rows
    ON CONFLICT (clinic_id, appointment_id, practitioner_id) DO UPDATE SET transaction_id = excluded.transaction_id
      WHERE c.transaction_id <> excluded.transaction_id;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO appointment_changes AS c (clinic_id, appointment_id, practitioner_id)
    SELECT clinic_id, id, practitioner_id FROM old_rows
    ON CONFLICT (clinic_id, appointment_id, practitioner_id) DO UPDATE SET transaction_id = excluded.transaction_id
      WHERE c.transaction_id <> excluded.transaction_id;
  ELSE
    INSERT INTO appointment_changes AS c (clinic_id, appointment_id, practitioner_id)
    SELECT clinic_id, id, practitioner_id FROM new_rows UNION SELECT clinic_id, id, practitioner_id FROM old_rows
    ON CONFLICT (clinic_id, appointment_id, practitioner_id) DO UPDATE SET transaction_id = excluded.transaction_id
      WHERE c.transaction_id <> excluded.transaction_id;
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER appointments_note_insert AFTER INSERT ON appointments REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION appointments_note_changes();
CREATE TRIGGER appointments_note_update AFTER UPDATE ON appointments REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION appointments_note_changes();
CREATE TRIGGER appointments_note_delete AFTER DELETE ON appointments REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION appointments_note_changes();

-- +goose Down
DROP TRIGGER appointments_note_delete ON appointments;
DROP TRIGGER appointments_note_update ON appointments;
DROP TRIGGER appointments_note_insert ON appointments;
DROP FUNCTION appointments_note_changes();
DROP TABLE appointment_changes, calendar_feeds;
DROP FUNCTION cache_tags_calendar_feeds();
