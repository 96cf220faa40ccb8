-- How many wait, over all clinics, for metrics.

-- +goose Up
-- +goose StatementBegin
-- How many entries are in line in all clinics' waiting lists. It counts them clinic by
-- clinic, as each clinic's own policy lets it: its owner sees no row of two at once.
CREATE FUNCTION waitlist_figures() RETURNS TABLE (waiting bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  before text := coalesce(current_setting('app.clinic', true), '');
  one uuid;
BEGIN
  waiting := 0;
  FOR one IN SELECT c.id FROM public.clinics c LOOP
    PERFORM set_config('app.clinic', one::text, true);
    waiting := waiting + (SELECT count(*) FROM public.waitlist_entries e WHERE e.clinic_id = one AND e.status = 'aguardando');
  END LOOP;
  PERFORM set_config('app.clinic', before, true);
  RETURN NEXT;
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION waitlist_figures() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION waitlist_figures() TO taskmed_app;
GRANT CREATE ON SCHEMA public TO taskmed_lookup;
ALTER FUNCTION waitlist_figures() OWNER TO taskmed_lookup;
REVOKE CREATE ON SCHEMA public FROM taskmed_lookup;

-- What is revoked above is this migration's own: binaries lack nothing that served before it.
COMMENT ON TABLE goose_db_version IS 'oldest binary: 61';

-- +goose Down
DROP FUNCTION waitlist_figures();
