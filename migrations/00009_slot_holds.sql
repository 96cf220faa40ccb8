-- Holds: times that are kept for somebody who books, or for an offer of the waiting list.

-- +goose Up
CREATE TABLE slot_holds (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  practitioner_id uuid NOT NULL,
  subject text NOT NULL CHECK (char_length(subject) BETWEEN 1 AND 255),
  -- Whose offer keeps it; NULL for a member's.
  waitlist_entry_id uuid,
  starts_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, practitioner_id) REFERENCES practitioners (clinic_id, id) ON DELETE CASCADE,
  FOREIGN KEY (clinic_id, waitlist_entry_id) REFERENCES waitlist_entries (clinic_id, id),
  CHECK (starts_at < ends_at AND ends_at - starts_at <= interval '24 hours'),
  CHECK (expires_at > created_at AND expires_at <= created_at + interval '1 hour'),
  CONSTRAINT slot_holds_no_double_hold EXCLUDE USING gist (
    clinic_id WITH =, practitioner_id WITH =, tstzrange(starts_at, ends_at) WITH &&)
);
CREATE INDEX idx_slot_holds_expiry ON slot_holds (clinic_id, expires_at);
-- How many somebody holds is counted with each new one.
CREATE INDEX idx_slot_holds_subject ON slot_holds (clinic_id, subject, expires_at);
CREATE UNIQUE INDEX idx_slot_holds_waitlist_entry ON slot_holds (clinic_id, waitlist_entry_id) WHERE waitlist_entry_id IS NOT NULL;

-- +goose StatementBegin
-- No exclusion constraint spans two tables. Whoever takes a practitioner's time
-- locks the practitioner's row first, so a booking and a hold for the same time
-- come one after the other, and the second sees the first. The hold that a
-- booking redeems is deleted by the booking's transaction before it inserts.
CREATE FUNCTION respect_slot_holds() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM practitioners p
  WHERE p.clinic_id = NEW.clinic_id AND p.id = NEW.practitioner_id FOR NO KEY UPDATE;
  IF EXISTS (
    SELECT 1 FROM slot_holds h
    WHERE h.clinic_id = NEW.clinic_id AND h.practitioner_id = NEW.practitioner_id
      AND tstzrange(h.starts_at, h.ends_at) && tstzrange(NEW.starts_at, NEW.ends_at)
      AND h.expires_at > clock_timestamp()
  ) THEN
    RAISE EXCEPTION 'slot is held' USING ERRCODE = 'exclusion_violation', CONSTRAINT = 'appointments_respect_holds';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER appointments_respect_holds BEFORE INSERT OR UPDATE OF practitioner_id, starts_at, ends_at ON appointments
  FOR EACH ROW WHEN (NOT NEW.overbooked AND NEW.status NOT IN ('cancelado', 'faltou'))
  EXECUTE FUNCTION respect_slot_holds();

-- +goose StatementBegin
CREATE FUNCTION respect_appointments() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM practitioners p
  WHERE p.clinic_id = NEW.clinic_id AND p.id = NEW.practitioner_id FOR NO KEY UPDATE;
  DELETE FROM slot_holds h
  WHERE h.clinic_id = NEW.clinic_id AND h.practitioner_id = NEW.practitioner_id
    AND h.expires_at <= clock_timestamp()
    AND tstzrange(h.starts_at, h.ends_at) && tstzrange(NEW.starts_at, NEW.ends_at);
  IF EXISTS (
    SELECT 1 FROM appointments a
    WHERE a.clinic_id = NEW.clinic_id AND a.practitioner_id = NEW.practitioner_id
      AND a.status NOT IN ('cancelado', 'faltou')
      AND tstzrange(a.starts_at, a.ends_at) && tstzrange(NEW.starts_at, NEW.ends_at)
  ) THEN
    RAISE EXCEPTION 'slot is taken' USING ERRCODE = 'exclusion_violation', CONSTRAINT = 'slot_holds_respect_appointments';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER slot_holds_respect_appointments BEFORE INSERT ON slot_holds
  FOR EACH ROW EXECUTE FUNCTION respect_appointments();
SELECT protect_tenant_table('slot_holds', 'SELECT, INSERT, DELETE');
SELECT cache_announce('slot_holds',
  $$ARRAY['slot_hold:' || r.id, 'slot_hold/practitioner=' || r.practitioner_id]$$, $$'{}'::text[]$$, '{practitioner_id}');

-- What has expired was noted when it was held; an offer's end is noted by whoever ends it.
CREATE TRIGGER slot_holds_free_time AFTER DELETE ON slot_holds
  FOR EACH ROW WHEN (OLD.waitlist_entry_id IS NULL AND OLD.expires_at > clock_timestamp()) EXECUTE FUNCTION waitlist_hears();

-- +goose StatementBegin
CREATE FUNCTION waitlist_hears_of_hold() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM waitlist_note(NEW.clinic_id, NEW.practitioner_id, NEW.starts_at, NEW.ends_at, NEW.expires_at);
  RETURN NULL;
END $$;
-- +goose StatementEnd
-- Nobody writes when a hold runs out, so it is noted beforehand.
CREATE TRIGGER slot_holds_run_out AFTER INSERT ON slot_holds
  FOR EACH ROW WHEN (NEW.waitlist_entry_id IS NULL) EXECUTE FUNCTION waitlist_hears_of_hold();

-- +goose Down
DROP TRIGGER appointments_respect_holds ON appointments;
DROP TABLE slot_holds;
DROP FUNCTION waitlist_hears_of_hold();
DROP FUNCTION respect_appointments();
DROP FUNCTION respect_slot_holds();
DROP FUNCTION cache_tags_slot_holds();
