-- Contacts, practitioners and the diary. Statuses are stored in the words the
-- clinics use; models maps them to the contract's enums.

-- +goose Up
CREATE TABLE practitioners (
  clinic_id uuid NOT NULL REFERENCES clinics (id),
  id uuid NOT NULL,
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  name_key text COLLATE "C" NOT NULL GENERATED ALWAYS AS (normalize_text(name)) STORED,
  specialty text CHECK (char_length(specialty) <= 200),
  registration text CHECK (char_length(registration) <= 50),
  color text CHECK (color ~ '^#[0-9a-f]{6}$'),
  active boolean NOT NULL DEFAULT true,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id)
);
CREATE INDEX idx_practitioners_clinic_name ON practitioners (clinic_id, name_key, id);
CREATE TRIGGER practitioners_touch BEFORE UPDATE ON practitioners FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('practitioners', 'SELECT, INSERT, UPDATE');

-- Wall-clock minutes since midnight in the clinic's zone; ISO 8601 weekday.
CREATE TABLE working_hours (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  practitioner_id uuid NOT NULL,
  weekday smallint NOT NULL CHECK (weekday BETWEEN 1 AND 7),
  from_minute integer NOT NULL CHECK (from_minute BETWEEN 0 AND 1439),
  to_minute integer NOT NULL CHECK (to_minute BETWEEN 1 AND 1440),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, practitioner_id) REFERENCES practitioners (clinic_id, id) ON DELETE CASCADE,
  CHECK (from_minute < to_minute),
  CONSTRAINT working_hours_overlap EXCLUDE USING gist (
    clinic_id WITH =, practitioner_id WITH =, weekday WITH =, int4range(from_minute, to_minute) WITH &&)
);
CREATE INDEX idx_working_hours_practitioner ON working_hours (clinic_id, practitioner_id, weekday, from_minute);
SELECT protect_tenant_table('working_hours', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE time_off (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  practitioner_id uuid NOT NULL,
  starts_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  reason text CHECK (char_length(reason) <= 500),
  -- The UID of the imported calendar's event, so that an import can run again.
  external_uid text CHECK (char_length(external_uid) <= 255),
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, practitioner_id) REFERENCES practitioners (clinic_id, id) ON DELETE CASCADE,
  CHECK (starts_at < ends_at)
);
CREATE INDEX idx_time_off_practitioner_start ON time_off (clinic_id, practitioner_id, starts_at, ends_at);
CREATE UNIQUE INDEX idx_time_off_external_uid ON time_off (clinic_id, practitioner_id, external_uid, starts_at) WHERE external_uid IS NOT NULL;
CREATE TRIGGER time_off_touch BEFORE UPDATE ON time_off FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('time_off', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE services (
  clinic_id uuid NOT NULL REFERENCES clinics (id),
  id uuid NOT NULL,
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  name_key text COLLATE "C" NOT NULL GENERATED ALWAYS AS (normalize_text(name)) STORED,
  duration_minutes integer NOT NULL CHECK (duration_minutes BETWEEN 1 AND 1440),
  price_minor bigint NOT NULL CHECK (price_minor >= 0),
  currency char(3) NOT NULL DEFAULT 'BRL' CHECK (currency ~ '^[A-Z]{3}$'),
  active boolean NOT NULL DEFAULT true,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id)
);
CREATE INDEX idx_services_clinic_name ON services (clinic_id, name_key, id);
CREATE TRIGGER services_touch BEFORE UPDATE ON services FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('services', 'SELECT, INSERT, UPDATE');

CREATE TABLE contacts (
  clinic_id uuid NOT NULL REFERENCES clinics (id),
  id uuid NOT NULL,
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  -- What lists sort by: comparisons in collation C are leakproof, so their
  -- indexes stay usable under row-level security.
  name_key text COLLATE "C" NOT NULL GENERATED ALWAYS AS (normalize_text(name)) STORED,
  preferred_name text CHECK (char_length(preferred_name) <= 200),
  email text CHECK (char_length(email) BETWEEN 3 AND 254),
  phone text CHECK (phone ~ '^\+[1-9][0-9]{6,14}$'),
  tax_id text CHECK (tax_id ~ '^[0-9]{11}$'),
  birth_date date,
  status text NOT NULL DEFAULT 'ativo' CHECK (status IN ('ativo', 'inativo', 'lead', 'arquivado')),
  tags text[] NOT NULL DEFAULT '{}' CHECK (cardinality(tags) <= 50),
  source text CHECK (char_length(source) <= 100),
  notes text CHECK (char_length(notes) <= 10000),
  external_reference text CHECK (char_length(external_reference) BETWEEN 1 AND 255),
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id)
);
CREATE INDEX idx_contacts_clinic_active ON contacts (clinic_id, status) WHERE status = 'ativo';
CREATE INDEX idx_contacts_clinic_name ON contacts (clinic_id, name_key, id);
CREATE INDEX idx_contacts_clinic_status_name ON contacts (clinic_id, status, name_key, id);
CREATE INDEX idx_contacts_clinic_created ON contacts (clinic_id, created_at, id);
CREATE INDEX idx_contacts_clinic_updated ON contacts (clinic_id, updated_at, id);
CREATE UNIQUE INDEX idx_contacts_tax_id ON contacts (clinic_id, tax_id) WHERE tax_id IS NOT NULL;
CREATE UNIQUE INDEX idx_contacts_external_reference ON contacts (clinic_id, external_reference) WHERE external_reference IS NOT NULL;
CREATE TRIGGER contacts_touch BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('contacts', 'SELECT, INSERT, UPDATE');

CREATE TABLE consents (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  contact_id uuid NOT NULL,
  purpose text NOT NULL CHECK (purpose IN ('treatment', 'communication', 'marketing', 'research', 'data_sharing')),
  granted boolean NOT NULL,
  evidence text CHECK (char_length(evidence) <= 2000),
  decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, contact_id) REFERENCES contacts (clinic_id, id)
);
CREATE INDEX idx_consents_contact ON consents (clinic_id, contact_id, purpose, decided_at DESC);
SELECT protect_tenant_table('consents', 'SELECT, INSERT');

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
CREATE UNIQUE INDEX idx_appointments_external_reference ON appointments (clinic_id, external_reference) WHERE external_reference IS NOT NULL;

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

-- +goose StatementBegin
CREATE FUNCTION appointments_day() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  SELECT (NEW.starts_at AT TIME ZONE c.time_zone)::date INTO STRICT NEW.scheduled_date
  FROM clinics c WHERE c.id = NEW.clinic_id;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER appointments_day BEFORE INSERT OR UPDATE OF starts_at, clinic_id ON appointments
  FOR EACH ROW EXECUTE FUNCTION appointments_day();
CREATE TRIGGER appointments_touch BEFORE UPDATE ON appointments FOR EACH ROW EXECUTE FUNCTION touch_row();

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

SELECT protect_tenant_table('appointments', 'SELECT, INSERT, UPDATE');
SELECT protect_tenant_table('appointment_steps', 'SELECT, INSERT');
SELECT protect_tenant_table('slot_holds', 'SELECT, INSERT, DELETE');

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

-- +goose Down
DROP TABLE calendar_feeds, waitlist_entries, slot_holds, appointment_steps, appointments, consents, contacts, services, time_off, working_hours, practitioners;
DROP FUNCTION respect_appointments();
DROP FUNCTION respect_slot_holds();
DROP FUNCTION appointments_day();
