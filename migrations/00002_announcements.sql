-- What a write changes, as the tags of internal/touched. Statement triggers
-- compute them from the rows as they were and as they are. A transaction of the
-- API (app.cache_writer = 'api') collects them and tells the caches before its
-- commit; every other writer notifies 'taskmed_cache', which Postgres delivers
-- at the commit. NOTIFY makes commits wait for each other, hence the difference.
-- Rows that are written with triggers disabled are not announced: whoever does
-- that for a clinic that is being served calls cache_emit(clinic, '{*}') after it.
--
-- Every table that answers are, or will be, read from announces its changes; every
-- other one that the application may read says why it does not. A server refuses a
-- database in which a table does neither (internal/fitness).

-- +goose Up
-- +goose StatementBegin
-- Announces tags of a clinic; '*' stands for all of it. What one transaction
-- notifies is bounded: beyond 200 tags the clinic as a whole is named, and
-- Postgres delivers equal notifications of one transaction once.
CREATE FUNCTION cache_emit(clinic uuid, tags text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  collected text;
  notified integer;
  payload text;
BEGIN
  IF cardinality(tags) = 0 OR tags IS NULL THEN
    RETURN;
  END IF;
  IF current_setting('app.cache_writer', true) = 'api' AND current_setting('app.clinic', true) = clinic::text THEN
    collected := coalesce(current_setting('app.cache_tags', true), '');
    IF collected = E'*\n' THEN
      RETURN;
    ELSIF '*' = ANY (tags) OR octet_length(collected) > 65536 THEN
      collected := E'*\n';
    ELSE
      collected := collected || array_to_string(tags, E'\n') || E'\n';
    END IF;
    PERFORM set_config('app.cache_tags', collected, true);
    RETURN;
  END IF;
  notified := coalesce(nullif(current_setting('app.cache_notified', true), '')::integer, 0) + cardinality(tags);
  PERFORM set_config('app.cache_notified', notified::text, true);
  IF notified <= 200 AND NOT '*' = ANY (tags) THEN
    payload := jsonb_build_object('c', clinic, 't', tags)::text;
  END IF;
  IF payload IS NULL OR octet_length(payload) >= 8000 THEN
    payload := jsonb_build_object('c', clinic)::text;
  END IF;
  PERFORM pg_notify('taskmed_cache', payload);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- For a transaction of the API that could not reach the caches: it notifies what
-- it collected, and knows its own notification by the token.
CREATE FUNCTION cache_notify_collected(token text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  clinic text := current_setting('app.clinic');
  tags text[];
  payload text;
BEGIN
  PERFORM set_config('app.cache_writer', '', true);
  tags := ARRAY(
    SELECT DISTINCT t FROM unnest(string_to_array(rtrim(current_setting('app.cache_tags', true), E'\n'), E'\n')) AS t);
  IF cardinality(tags) <= 200 AND NOT '*' = ANY (tags) THEN
    payload := jsonb_build_object('c', clinic, 't', tags, 'k', token)::text;
  END IF;
  IF payload IS NULL OR octet_length(payload) >= 8000 THEN
    payload := jsonb_build_object('c', clinic, 'k', token)::text;
  END IF;
  PERFORM pg_notify('taskmed_cache', payload);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The days of a zone's calendar that a stretch of time touches. Readers and
-- triggers both ask it, so that they mean the same days.
CREATE FUNCTION cache_days(zone text, starts timestamptz, ends timestamptz) RETURNS SETOF text
LANGUAGE sql STABLE AS $$
  SELECT to_char(day, 'YYYY-MM-DD')
  FROM generate_series(
    ((starts AT TIME ZONE zone)::date)::timestamp,
    ((greatest(starts, ends - interval '1 microsecond') AT TIME ZONE zone)::date)::timestamp,
    interval '1 day') AS day
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Which days an appointment touches depends on the clinic's time zone. Who
-- writes appointments holds this shared, who changes the zone alone: otherwise
-- a booking could announce the days of a zone that is being replaced.
CREATE FUNCTION cache_hold_zone(clinic uuid, alone boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  key bigint := hashtextextended('taskmed zone ' || clinic::text, 0);
BEGIN
  IF alone THEN
    PERFORM pg_advisory_xact_lock(key);
  ELSE
    PERFORM pg_advisory_xact_lock_shared(key);
  END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Empties no clinic's rows without a word: there are no rows to look at, so
-- every clinic is named, by none.
CREATE FUNCTION cache_truncated() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('taskmed_cache', '{"c": null}');
  RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Makes a table announce its changes. Both expressions give a text[] for a row
-- r: always has the tags of any change, placed those of a change that adds or
-- removes the row or alters one of the columns: what lists select and sort by.
-- clinic_column and key_column are the table's key. Called again, as by a migration
-- that adds a column, it replaces what the table announced before.
CREATE FUNCTION cache_announce(
  tenant_table regclass, always text, placed text, columns name[],
  clinic_column name DEFAULT 'clinic_id', key_column name DEFAULT 'id')
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  function_name text := 'cache_tags_' || tenant_table::text;
  -- o is the row as it was, n as it is.
  pair text := format('n.%1$I = o.%1$I AND n.%2$I = o.%2$I', clinic_column, key_column);
  moved text := (SELECT format('(%s) IS DISTINCT FROM (%s)', string_agg(format('o.%I', c), ', '), string_agg(format('n.%I', c), ', '))
                 FROM unnest(columns) AS c);
  emit text;
  everything text;
BEGIN
  emit := format('PERFORM cache_emit(e.clinic, array_agg(DISTINCT t.tag)) FROM (SELECT r.%I AS clinic, %%s AS tags FROM %%s r) e, unnest(e.tags) AS t (tag) GROUP BY e.clinic',
                 clinic_column);
  -- What comes in bulk is not worth being named row by row. A series of 52 weeks is,
  -- which moves in one statement.
  everything := format($template$
        IF (SELECT count(*) FROM (SELECT FROM %%1$I LIMIT 101) few) > 100 THEN
          PERFORM cache_emit(c.clinic, '{*}') FROM (SELECT DISTINCT r.%1$I AS clinic FROM %%1$I r%%2$s) c;
          RETURN NULL;
        END IF
    $template$, clinic_column);
  EXECUTE format($template$
    CREATE OR REPLACE FUNCTION %I() RETURNS trigger LANGUAGE plpgsql AS $body$
    BEGIN
      IF TG_OP = 'INSERT' THEN%s;
        %s;
      ELSIF TG_OP = 'DELETE' THEN%s;
        %s;
      ELSE%s;
        %s;
      END IF;
      RETURN NULL;
    END $body$
  $template$,
    function_name,
    format(everything, 'new_rows', ''), format(emit, always || ' || ' || placed, 'new_rows'),
    format(everything, 'old_rows', ''), format(emit, always || ' || ' || placed, 'old_rows'),
    format(everything, 'new_rows', format(' UNION SELECT r.%I FROM old_rows r', clinic_column)),
    format(emit, always || ' || CASE WHEN r.moved THEN ' || placed || ' ELSE ''{}'' END', format(
      '(SELECT o.*, n.%3$I IS NULL OR %2$s AS moved FROM old_rows o LEFT JOIN new_rows n ON %1$s
        UNION ALL SELECT n.*, o.%3$I IS NULL OR %2$s FROM new_rows n LEFT JOIN old_rows o ON %1$s)', pair, moved, key_column)));
  EXECUTE format('CREATE OR REPLACE TRIGGER cache_tags_insert AFTER INSERT ON %s REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION %I()', tenant_table, function_name);
  EXECUTE format('CREATE OR REPLACE TRIGGER cache_tags_update AFTER UPDATE ON %s REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION %I()', tenant_table, function_name);
  EXECUTE format('CREATE OR REPLACE TRIGGER cache_tags_delete AFTER DELETE ON %s REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION %I()', tenant_table, function_name);
  EXECUTE format('CREATE OR REPLACE TRIGGER cache_tags_truncate AFTER TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION cache_truncated()', tenant_table);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Declares that no answer that is kept is read from a table, and why. It stands
-- in the catalogue, where the check looks, and goes with the table. Whoever
-- writes the first such read makes the table announce instead: cache_announce,
-- and COMMENT ON TABLE … IS NULL.
CREATE FUNCTION cache_unread(tenant_table regclass, reason text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  IF coalesce(btrim(reason), '') = '' THEN
    RAISE EXCEPTION 'say why no answer is read from %', tenant_table;
  END IF;
  EXECUTE format('COMMENT ON TABLE %s IS %L', tenant_table, 'no answer is read from it: ' || reason);
END $$;
-- +goose StatementEnd

-- A zone decides which days all tags of days mean.
SELECT cache_announce('clinics', $$ARRAY['clinic:' || r.id]$$, $$'{*}'::text[]$$, '{time_zone}', 'id');

-- +goose StatementBegin
CREATE FUNCTION cache_zone_changes() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM cache_hold_zone(NEW.id, true);
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER cache_zone_changes AFTER UPDATE ON clinics
  FOR EACH ROW WHEN (OLD.time_zone IS DISTINCT FROM NEW.time_zone) EXECUTE FUNCTION cache_zone_changes();

-- +goose Down
DROP TRIGGER cache_zone_changes ON clinics;
DROP FUNCTION cache_zone_changes();
DROP TRIGGER cache_tags_insert ON clinics;
DROP TRIGGER cache_tags_update ON clinics;
DROP TRIGGER cache_tags_delete ON clinics;
DROP TRIGGER cache_tags_truncate ON clinics;
DROP FUNCTION cache_tags_clinics();
DROP FUNCTION cache_unread(regclass, text);
DROP FUNCTION cache_announce(regclass, text, text, name[], name, name);
DROP FUNCTION cache_truncated();
DROP FUNCTION cache_hold_zone(uuid, boolean);
DROP FUNCTION cache_days(text, timestamptz, timestamptz);
DROP FUNCTION cache_notify_collected(text);
DROP FUNCTION cache_emit(uuid, text[]);
