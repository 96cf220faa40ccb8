-- Where time off comes from that was imported from another calendar, so that an import
-- can run again, follow deletions and tell what is newer.

-- +goose Up
ALTER TABLE time_off
  -- The calendar's own name for itself.
  ADD COLUMN external_calendar text CHECK (char_length(external_calendar) <= 300),
  -- Which of the event's occurrences; empty for the only one.
  ADD COLUMN external_instance text CHECK (char_length(external_instance) <= 20),
  -- Whether an event of its own told of the occurrence, and not the one that recurs.
  ADD COLUMN external_own boolean,
  -- What the event's version was that told of it (RFC 5546, section 2.1.5).
  ADD COLUMN external_sequence integer CHECK (external_sequence >= 0),
  ADD COLUMN external_stamp timestamptz,
  ADD COLUMN external_modified timestamptz;
-- A moved occurrence may begin when another does.
DROP INDEX idx_time_off_external_uid;
CREATE UNIQUE INDEX idx_time_off_external_uid ON time_off (clinic_id, practitioner_id, external_uid, external_instance) WHERE external_uid IS NOT NULL;

-- +goose Down
DROP INDEX idx_time_off_external_uid;
CREATE UNIQUE INDEX idx_time_off_external_uid ON time_off (clinic_id, practitioner_id, external_uid, starts_at) WHERE external_uid IS NOT NULL;
ALTER TABLE time_off DROP COLUMN external_modified, DROP COLUMN external_stamp, DROP COLUMN external_sequence, DROP COLUMN external_own, DROP COLUMN external_instance, DROP COLUMN external_calendar;
