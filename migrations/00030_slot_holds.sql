-- Holds as entities: what shows one by its id hears that it is gone.

-- +goose Up
-- +goose StatementBegin
DO $$
DECLARE
  event text;
BEGIN
  FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
    EXECUTE format('DROP TRIGGER cache_tags_%s ON slot_holds', event);
  END LOOP;
  -- It comes again below, so no older binary misses it.
  EXECUTE format('DROP %s cache_tags_slot_holds()', 'FUNCTION');
END $$;
-- +goose StatementEnd
SELECT cache_announce('slot_holds',
  $$ARRAY['slot_hold:' || r.id, 'slot_hold/practitioner=' || r.practitioner_id]$$, $$'{}'::text[]$$, '{practitioner_id}');
-- How many somebody holds is counted with each new one.
CREATE INDEX idx_slot_holds_subject ON slot_holds (clinic_id, subject, expires_at);

-- +goose Down
DROP INDEX idx_slot_holds_subject;
-- +goose StatementBegin
DO $$
DECLARE
  event text;
BEGIN
  FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
    EXECUTE format('DROP TRIGGER cache_tags_%s ON slot_holds', event);
  END LOOP;
  DROP FUNCTION cache_tags_slot_holds();
END $$;
-- +goose StatementEnd
SELECT cache_announce('slot_holds',
  $$ARRAY['slot_hold/practitioner=' || r.practitioner_id]$$, $$'{}'::text[]$$, '{practitioner_id}');
