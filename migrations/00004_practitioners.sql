-- Who treats patients, what they offer, and when they work.

-- +goose Up
CREATE TABLE practitioners (
  clinic_id uuid NOT NULL REFERENCES clinics (id),
  id uuid NOT NULL,
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  name_key text COLLATE "C" NOT NULL GENERATED ALWAYS AS (normalize_text(name)) STORED,
  specialty text CHECK (char_length(specialty) <= 200),
  registration text CHECK (char_length(registration) <= 50),
  color text CHECK (color ~ '^#[0-9a-f]{6}$'),
  -- The member of the clinic who this is.
  member_id uuid,
  active boolean NOT NULL DEFAULT true,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  CONSTRAINT practitioners_member FOREIGN KEY (clinic_id, member_id) REFERENCES memberships (clinic_id, id)
);
CREATE INDEX idx_practitioners_clinic_name ON practitioners (clinic_id, name_key, id);

-- A member is one practitioner at most.
CREATE UNIQUE INDEX idx_practitioners_member ON practitioners (clinic_id, member_id) WHERE member_id IS NOT NULL;
CREATE TRIGGER practitioners_touch BEFORE UPDATE ON practitioners FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('practitioners', 'SELECT, INSERT, UPDATE');
SELECT cache_announce('practitioners',
  $$ARRAY['practitioner:' || r.id]$$,
  $$ARRAY['practitioner/list'] || CASE WHEN r.member_id IS NULL THEN '{}' ELSE ARRAY['practitioner/member=' || r.member_id] END$$,
  '{name_key,active,member_id}');

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
SELECT cache_announce('services',
  $$ARRAY['service:' || r.id]$$, $$ARRAY['service/list']$$, '{name_key,active}');

-- Who offers what.
CREATE TABLE practitioner_services (
  clinic_id uuid NOT NULL,
  practitioner_id uuid NOT NULL,
  service_id uuid NOT NULL,
  PRIMARY KEY (clinic_id, practitioner_id, service_id),
  FOREIGN KEY (clinic_id, practitioner_id) REFERENCES practitioners (clinic_id, id) ON DELETE CASCADE,
  FOREIGN KEY (clinic_id, service_id) REFERENCES services (clinic_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_practitioner_services_service ON practitioner_services (clinic_id, service_id, practitioner_id);
SELECT protect_tenant_table('practitioner_services', 'SELECT, INSERT, DELETE');
SELECT cache_announce('practitioner_services',
  $$ARRAY['service/practitioner=' || r.practitioner_id, 'practitioner/service=' || r.service_id]$$, $$'{}'::text[]$$,
  '{practitioner_id,service_id}', 'clinic_id', 'practitioner_id');

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
SELECT cache_announce('working_hours',
  $$ARRAY['working_hours/practitioner=' || r.practitioner_id]$$, $$'{}'::text[]$$, '{practitioner_id}');

-- Of one practitioner, or of the whole clinic.
CREATE TABLE time_off (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  practitioner_id uuid,
  starts_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  reason text CHECK (char_length(reason) <= 500),
  -- The UID of the imported calendar's event, so that an import can run again.
  external_uid text CHECK (char_length(external_uid) <= 255),
  -- The calendar's own name for itself.
  external_calendar text CHECK (char_length(external_calendar) <= 300),
  -- Which of the event's occurrences; empty for the only one.
  external_instance text CHECK (char_length(external_instance) <= 20),
  -- Whether an event of its own told of the occurrence, and not the one that recurs.
  external_own boolean,
  -- What the event's version was that told of it (RFC 5546, section 2.1.5).
  external_sequence integer CHECK (external_sequence >= 0),
  external_stamp timestamptz,
  external_modified timestamptz,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, practitioner_id) REFERENCES practitioners (clinic_id, id) ON DELETE CASCADE,
  CHECK (starts_at < ends_at)
);
CREATE INDEX idx_time_off_practitioner_start ON time_off (clinic_id, practitioner_id, starts_at, ends_at);
CREATE INDEX idx_time_off_clinic_start ON time_off (clinic_id, starts_at, ends_at) WHERE practitioner_id IS NULL;
-- A moved occurrence may begin when another does.
CREATE UNIQUE INDEX idx_time_off_external_uid ON time_off (clinic_id, practitioner_id, external_uid, external_instance) WHERE external_uid IS NOT NULL;
CREATE TRIGGER time_off_touch BEFORE UPDATE ON time_off FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('time_off', 'SELECT, INSERT, UPDATE, DELETE');
SELECT cache_announce('time_off',
  $$ARRAY['time_off:' || r.id, CASE WHEN r.practitioner_id IS NULL THEN 'time_off/clinic=' || r.clinic_id
    ELSE 'time_off/practitioner=' || r.practitioner_id END]$$, $$'{}'::text[]$$, '{practitioner_id}');

-- +goose Down
DROP TABLE time_off, working_hours, practitioner_services, services, practitioners;
DROP FUNCTION cache_tags_time_off();
DROP FUNCTION cache_tags_working_hours();
DROP FUNCTION cache_tags_practitioner_services();
DROP FUNCTION cache_tags_services();
DROP FUNCTION cache_tags_practitioners();
