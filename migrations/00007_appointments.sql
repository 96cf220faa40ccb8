-- The diary: appointments and their steps, holds, the waiting list, feeds. Statuses are
-- stored in the words the clinics use.

-- +goose Up
CREATE TABLE appointments (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  contact_id uuid NOT NULL,
  practitioner_id uuid NOT NULL,
  service_id uuid,
  starts_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  -- The day of starts_at in the clinic's zone, kept by appointments_day.
  scheduled_date date NOT NULL,
  status text NOT NULL DEFAULT 'agendado' CHECK (status IN
    ('agendado', 'confirmado', 'recepcionado', 'em_atendimento', 'concluido', 'cancelado', 'faltou')),
  cancellation_reason text CHECK (char_length(cancellation_reason) <= 500),
  notes text CHECK (char_length(notes) <= 10000),
  recurrence_rule text CHECK (char_length(recurrence_rule) <= 500),
  series_id uuid,
  overbooked boolean NOT NULL DEFAULT false,
  -- When it was checked in, begun and ended; null where that was not, or was undone.
  arrived_at timestamptz,
  started_at timestamptz,
  completed_at timestamptz,
  external_reference text CHECK (char_length(external_reference) BETWEEN 1 AND 255),
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, contact_id) REFERENCES contacts (clinic_id, id),
  FOREIGN KEY (clinic_id, practitioner_id) REFERENCES practitioners (clinic_id, id),
  FOREIGN KEY (clinic_id, service_id) REFERENCES services (clinic_id, id),
  CHECK (starts_at < ends_at AND ends_at - starts_at <= interval '24 hours'),
  -- One practitioner, one place at a time. What was cancelled or missed frees
  -- its time; what was overbooked was meant to overlap.
  CONSTRAINT appointments_no_double_booking EXCLUDE USING gist (
    clinic_id WITH =, practitioner_id WITH =, tstzrange(starts_at, ends_at) WITH &&)
    WHERE (status NOT IN ('cancelado', 'faltou') AND NOT overbooked)
);
CREATE INDEX idx_appointments_clinic_date ON appointments (clinic_id, scheduled_date);
CREATE INDEX idx_appointments_clinic_start ON appointments (clinic_id, starts_at, id);
CREATE INDEX idx_appointments_clinic_status_start ON appointments (clinic_id, status, starts_at, id);
CREATE INDEX idx_appointments_contact_start ON appointments (clinic_id, contact_id, starts_at, id);
CREATE INDEX idx_appointments_practitioner_start ON appointments (clinic_id, practitioner_id, starts_at, id);
CREATE INDEX idx_appointments_clinic_updated ON appointments (clinic_id, updated_at, id);

-- The waiting room.
CREATE INDEX idx_appointments_clinic_arrived ON appointments (clinic_id, arrived_at, id) WHERE arrived_at IS NOT NULL;
CREATE INDEX idx_appointments_clinic_created ON appointments (clinic_id, created_at, id);
CREATE INDEX idx_appointments_service ON appointments (clinic_id, service_id, starts_at) WHERE service_id IS NOT NULL;
CREATE INDEX idx_appointments_series ON appointments (clinic_id, series_id, starts_at) WHERE series_id IS NOT NULL;
-- Whose appointments are with whom.
CREATE INDEX idx_appointments_practitioner_contact ON appointments (clinic_id, practitioner_id, contact_id);
CREATE UNIQUE INDEX idx_appointments_external_reference ON appointments (clinic_id, external_reference) WHERE external_reference IS NOT NULL;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION appointments_day() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  -- First: whoever changes the zone meanwhile must see this appointment, or this
  -- one must see the new zone.
  PERFORM cache_hold_zone(NEW.clinic_id, false);
  SELECT (NEW.starts_at AT TIME ZONE c.time_zone)::date INTO STRICT NEW.scheduled_date
  FROM clinics c WHERE c.id = NEW.clinic_id;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER appointments_day BEFORE INSERT OR UPDATE OF starts_at, clinic_id, scheduled_date ON appointments
  FOR EACH ROW EXECUTE FUNCTION appointments_day();
CREATE TRIGGER appointments_touch BEFORE UPDATE ON appointments FOR EACH ROW EXECUTE FUNCTION touch_row();

-- +goose StatementBegin
-- A clinic that moves to another zone. Every answer of the clinic counts as
-- changed anyway (cache_announce of clinics).
CREATE FUNCTION clinics_days_follow() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM cache_hold_zone(NEW.id, true);
  UPDATE appointments a SET scheduled_date = (a.starts_at AT TIME ZONE NEW.time_zone)::date
  WHERE a.clinic_id = NEW.id AND a.scheduled_date IS DISTINCT FROM (a.starts_at AT TIME ZONE NEW.time_zone)::date;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER clinics_days_follow AFTER UPDATE ON clinics
  FOR EACH ROW WHEN (OLD.time_zone IS DISTINCT FROM NEW.time_zone) EXECUTE FUNCTION clinics_days_follow();
SELECT protect_tenant_table('appointments', 'SELECT, INSERT, UPDATE');

-- +goose StatementBegin
-- The tags of an appointment's days, for the clinic and for its practitioner.
CREATE FUNCTION cache_day_tags(clinic uuid, practitioner uuid, starts timestamptz, ends timestamptz) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
  zone text;
  tags text[];
BEGIN
  PERFORM cache_hold_zone(clinic, false);
  SELECT c.time_zone INTO zone FROM clinics c WHERE c.id = clinic;
  IF NOT FOUND THEN
    RETURN '{*}';
  END IF;
  SELECT array_agg(t) INTO tags
  FROM cache_days(zone, starts, ends) AS day,
    unnest(ARRAY['appointment/day=' || day, 'appointment/practitioner=' || practitioner || '/day=' || day]) AS t;
  RETURN tags;
END $$;
-- +goose StatementEnd
SELECT cache_announce('appointments',
  $$ARRAY['appointment:' || r.id, 'appointment/updated']$$,
  $$ARRAY['appointment/all', 'appointment/practitioner=' || r.practitioner_id, 'appointment/contact=' || r.contact_id]
    || cache_day_tags(r.clinic_id, r.practitioner_id, r.starts_at, r.ends_at)$$,
  '{contact_id,practitioner_id,service_id,starts_at,ends_at,status,external_reference,arrived_at,created_at}');

-- Every step that an appointment took, and who took it. Nothing is taken back: an
-- undone step is followed by another that says so.
CREATE TABLE appointment_steps (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  appointment_id uuid NOT NULL,
  step text NOT NULL CHECK (step IN ('confirm', 'check_in', 'start', 'complete', 'no_show', 'cancel', 'undo', 'reschedule')),
  from_status text NOT NULL CHECK (from_status IN
    ('agendado', 'confirmado', 'recepcionado', 'em_atendimento', 'concluido', 'cancelado', 'faltou')),
  to_status text NOT NULL CHECK (to_status IN
    ('agendado', 'confirmado', 'recepcionado', 'em_atendimento', 'concluido', 'cancelado', 'faltou')),
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor text NOT NULL CHECK (char_length(actor) BETWEEN 1 AND 255),
  reason text CHECK (char_length(reason) <= 500),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, appointment_id) REFERENCES appointments (clinic_id, id)
);
CREATE INDEX idx_appointment_steps_appointment ON appointment_steps (clinic_id, appointment_id, at, id);
SELECT protect_tenant_table('appointment_steps', 'SELECT, INSERT');
SELECT cache_announce('appointment_steps',
  $$ARRAY['appointment_steps/appointment=' || r.appointment_id]$$, $$'{}'::text[]$$, '{appointment_id}');

CREATE TABLE slot_holds (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  practitioner_id uuid NOT NULL,
  subject text NOT NULL CHECK (char_length(subject) BETWEEN 1 AND 255),
  starts_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, practitioner_id) REFERENCES practitioners (clinic_id, id) ON DELETE CASCADE,
  CHECK (starts_at < ends_at AND ends_at - starts_at <= interval '24 hours'),
  CHECK (expires_at > created_at AND expires_at <= created_at + interval '1 hour'),
  CONSTRAINT slot_holds_no_double_hold EXCLUDE USING gist (
    clinic_id WITH =, practitioner_id WITH =, tstzrange(starts_at, ends_at) WITH &&)
);
CREATE INDEX idx_slot_holds_expiry ON slot_holds (clinic_id, expires_at);
-- How many somebody holds is counted with each new one.
CREATE INDEX idx_slot_holds_subject ON slot_holds (clinic_id, subject, expires_at);

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

CREATE TABLE waitlist_entries (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  contact_id uuid NOT NULL,
  practitioner_id uuid,
  service_id uuid NOT NULL,
  range_from timestamptz,
  range_to timestamptz,
  offered_practitioner_id uuid,
  offered_starts_at timestamptz,
  offered_ends_at timestamptz,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, contact_id) REFERENCES contacts (clinic_id, id),
  FOREIGN KEY (clinic_id, practitioner_id) REFERENCES practitioners (clinic_id, id),
  FOREIGN KEY (clinic_id, offered_practitioner_id) REFERENCES practitioners (clinic_id, id),
  FOREIGN KEY (clinic_id, service_id) REFERENCES services (clinic_id, id),
  CHECK (range_from < range_to),
  CHECK (num_nonnulls(offered_practitioner_id, offered_starts_at, offered_ends_at) IN (0, 3))
);
CREATE INDEX idx_waitlist_service_created ON waitlist_entries (clinic_id, service_id, created_at, id);
CREATE INDEX idx_waitlist_contact ON waitlist_entries (clinic_id, contact_id);
CREATE TRIGGER waitlist_entries_touch BEFORE UPDATE ON waitlist_entries FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('waitlist_entries', 'SELECT, INSERT, UPDATE, DELETE');
SELECT cache_announce('waitlist_entries',
  $$ARRAY['waitlist_entry:' || r.id]$$,
  $$ARRAY['waitlist_entry/list', 'waitlist_entry/service=' || r.service_id, 'waitlist_entry/contact=' || r.contact_id]
    || CASE WHEN r.practitioner_id IS NULL THEN '{}' ELSE ARRAY['waitlist_entry/practitioner=' || r.practitioner_id] END$$,
  '{contact_id,practitioner_id,service_id,created_at}');

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

-- +goose Down
DROP TRIGGER clinics_days_follow ON clinics;
DROP TABLE calendar_feeds, waitlist_entries, slot_holds, appointment_steps, appointments;
DROP FUNCTION respect_appointments();
DROP FUNCTION respect_slot_holds();
DROP FUNCTION clinics_days_follow();
DROP FUNCTION appointments_day();
DROP FUNCTION cache_tags_calendar_feeds();
DROP FUNCTION cache_tags_waitlist_entries();
DROP FUNCTION cache_tags_slot_holds();
DROP FUNCTION cache_tags_appointment_steps();
DROP FUNCTION cache_tags_appointments();
DROP FUNCTION cache_day_tags(uuid, uuid, timestamptz, timestamptz);
