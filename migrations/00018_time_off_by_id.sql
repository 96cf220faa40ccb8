-- A change of time off announces its id, too: what reads it depends on that.

-- +goose Up
-- +goose StatementBegin
DO $$
DECLARE
  event text;
BEGIN
  FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
    EXECUTE format('DROP TRIGGER cache_tags_%s ON time_off', event);
  END LOOP;
END $$;
-- +goose StatementEnd
DROP FUNCTION cache_tags_time_off();
SELECT cache_announce('time_off',
  $$ARRAY['time_off:' || r.id, 'time_off/practitioner=' || r.practitioner_id]$$, $$'{}'::text[]$$, '{practitioner_id}');

-- +goose Down
-- +goose StatementBegin
DO $$
DECLARE
  event text;
BEGIN
  FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
    EXECUTE format('DROP TRIGGER cache_tags_%s ON time_off', event);
  END LOOP;
END $$;
-- +goose StatementEnd
DROP FUNCTION cache_tags_time_off();
SELECT cache_announce('time_off',
  $$ARRAY['time_off/practitioner=' || r.practitioner_id]$$, $$'{}'::text[]$$, '{practitioner_id}');
