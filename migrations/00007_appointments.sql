-- The diary: appointments, alone or in series, and their steps. Statuses are stored in the
-- words the clinics use.

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
  -- The wall-clock time that the rule gave, without a zone: a date that the clocks
  -- displaced comes back to it when its series moves.
  recurrence_local timestamp,
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
  CONSTRAINT appointments_series_whole CHECK (num_nonnulls(series_id, recurrence_rule, recurrence_local) IN (0, 3)),
  -- One practitioner, one place at a time. What was cancelled or missed frees
  -- its time; what was overbooked was meant to overlap. Deferrable constraints are
  -- checked at the end of each statement and not row by row: a series that moves by a
  -- week has each of its rows take the time that another one leaves.
  CONSTRAINT appointments_no_double_booking EXCLUDE USING gist (
    clinic_id WITH =, practitioner_id WITH =, tstzrange(starts_at, ends_at) WITH &&)
    WHERE (status NOT IN ('cancelado', 'faltou') AND NOT overbooked) DEFERRABLE INITIALLY IMMEDIATE
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
CREATE INDEX idx_appointments_series ON appointments (clinic_id, series_id, starts_at, id) WHERE series_id IS NOT NULL;
-- Whose appointments are with whom.
CREATE INDEX idx_appointments_practitioner_contact ON appointments (clinic_id, practitioner_id, contact_id);
CREATE UNIQUE INDEX idx_appointments_external_reference ON appointments (clinic_id, external_reference) WHERE external_reference IS NOT NULL;

-- +goose StatementBegin
CREATE FUNCTION appointments_day() RETURNS trigger
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
    || CASE WHEN r.series_id IS NULL THEN '{}' ELSE ARRAY['appointment/series=' || r.series_id] END
    || cache_day_tags(r.clinic_id, r.practitioner_id, r.starts_at, r.ends_at)$$,
  '{contact_id,practitioner_id,service_id,series_id,starts_at,ends_at,status,external_reference,arrived_at,created_at}');

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

-- +goose Down
DROP TRIGGER clinics_days_follow ON clinics;
DROP TABLE appointment_steps, appointments;
DROP FUNCTION clinics_days_follow();
DROP FUNCTION appointments_day();
DROP FUNCTION cache_tags_appointment_steps();
DROP FUNCTION cache_tags_appointments();
DROP FUNCTION cache_day_tags(uuid, uuid, timestamptz, timestamptz);
