-- Series of appointments: their dates are found together, and move together.

-- +goose Up
-- No clinic's: Postgres looks at rows as the owner does when a constraint is added.
SELECT set_config('app.clinic', '00000000-0000-0000-0000-000000000000', true);

-- The wall-clock time that the rule gave, without a zone: a date that the clocks
-- displaced comes back to it when its series moves.
ALTER TABLE appointments ADD COLUMN recurrence_local timestamp;
ALTER TABLE appointments ADD CONSTRAINT appointments_series_whole
  CHECK (num_nonnulls(series_id, recurrence_rule, recurrence_local) IN (0, 3));

DROP INDEX idx_appointments_series;
CREATE INDEX idx_appointments_series ON appointments (clinic_id, series_id, starts_at, id) WHERE series_id IS NOT NULL;

-- Deferrable constraints are checked at the end of each statement and not row by row: a
-- series that moves by a week has each of its rows take the time that another one leaves.
ALTER TABLE appointments DROP CONSTRAINT appointments_no_double_booking;
ALTER TABLE appointments ADD CONSTRAINT appointments_no_double_booking EXCLUDE USING gist (
  clinic_id WITH =, practitioner_id WITH =, tstzrange(starts_at, ends_at) WITH &&)
  WHERE (status NOT IN ('cancelado', 'faltou') AND NOT overbooked) DEFERRABLE INITIALLY IMMEDIATE;

-- +goose StatementBegin
DO $$
DECLARE
  event text;
BEGIN
  FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
    EXECUTE format('DROP TRIGGER cache_tags_%s ON appointments', event);
  END LOOP;
  -- It comes again below, so no older binary misses it.
  EXECUTE format('DROP %s cache_tags_appointments()', 'FUNCTION');
END $$;
-- +goose StatementEnd
SELECT cache_announce('appointments',
  $$ARRAY['appointment:' || r.id, 'appointment/updated']$$,
  $$ARRAY['appointment/all', 'appointment/practitioner=' || r.practitioner_id, 'appointment/contact=' || r.contact_id]
    || CASE WHEN r.series_id IS NULL THEN '{}' ELSE ARRAY['appointment/series=' || r.series_id] END
    || cache_day_tags(r.clinic_id, r.practitioner_id, r.starts_at, r.ends_at)$$,
  '{contact_id,practitioner_id,service_id,series_id,starts_at,ends_at,status,external_reference,arrived_at,created_at}');

-- +goose Down
-- +goose StatementBegin
DO $$
DECLARE
  event text;
BEGIN
  FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
    EXECUTE format('DROP TRIGGER cache_tags_%s ON appointments', event);
  END LOOP;
  EXECUTE format('DROP %s cache_tags_appointments()', 'FUNCTION');
END $$;
-- +goose StatementEnd
SELECT cache_announce('appointments',
  $$ARRAY['appointment:' || r.id, 'appointment/updated']$$,
  $$ARRAY['appointment/all', 'appointment/practitioner=' || r.practitioner_id, 'appointment/contact=' || r.contact_id]
    || cache_day_tags(r.clinic_id, r.practitioner_id, r.starts_at, r.ends_at)$$,
  '{contact_id,practitioner_id,service_id,starts_at,ends_at,status,external_reference,arrived_at,created_at}');
SELECT set_config('app.clinic', '00000000-0000-0000-0000-000000000000', true);
ALTER TABLE appointments DROP CONSTRAINT appointments_no_double_booking;
ALTER TABLE appointments ADD CONSTRAINT appointments_no_double_booking EXCLUDE USING gist (
  clinic_id WITH =, practitioner_id WITH =, tstzrange(starts_at, ends_at) WITH &&)
  WHERE (status NOT IN ('cancelado', 'faltou') AND NOT overbooked);
DROP INDEX idx_appointments_series;
CREATE INDEX idx_appointments_series ON appointments (clinic_id, series_id, starts_at) WHERE series_id IS NOT NULL;
ALTER TABLE appointments DROP CONSTRAINT appointments_series_whole;
ALTER TABLE appointments DROP COLUMN recurrence_local;
