-- What is derived from other columns follows them. An appointment's
-- scheduled_date is the day of starts_at in the clinic's zone; until now it kept
-- the day of the zone in which it was booked, and could be set to any other.

-- +goose Up
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
DROP TRIGGER appointments_day ON appointments;
CREATE TRIGGER appointments_day BEFORE INSERT OR UPDATE OF starts_at, clinic_id, scheduled_date ON appointments
  FOR EACH ROW EXECUTE FUNCTION appointments_day();

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

-- +goose StatementBegin
-- What has gone wrong before. Row-level security binds the owner as well, so each
-- clinic is put in place in turn.
DO $$
DECLARE
  before text := coalesce(current_setting('app.clinic', true), '');
  one uuid;
BEGIN
  FOR one IN SELECT clinic FROM clinic_slugs LOOP
    PERFORM set_config('app.clinic', one::text, true);
    UPDATE appointments a SET scheduled_date = (a.starts_at AT TIME ZONE c.time_zone)::date
    FROM clinics c
    WHERE c.id = one AND a.clinic_id = one AND a.scheduled_date IS DISTINCT FROM (a.starts_at AT TIME ZONE c.time_zone)::date;
  END LOOP;
  PERFORM set_config('app.clinic', before, true);
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER clinics_days_follow ON clinics;
DROP FUNCTION clinics_days_follow();
DROP TRIGGER appointments_day ON appointments;
CREATE TRIGGER appointments_day BEFORE INSERT OR UPDATE OF starts_at, clinic_id ON appointments
  FOR EACH ROW EXECUTE FUNCTION appointments_day();
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION appointments_day() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  SELECT (NEW.starts_at AT TIME ZONE c.time_zone)::date INTO STRICT NEW.scheduled_date
  FROM clinics c WHERE c.id = NEW.clinic_id;
  RETURN NEW;
END $$;
-- +goose StatementEnd
