-- What conversations' queues need beside work: figures over all clinics, and an end of
-- what providers have posted.

-- +goose Up
GRANT SELECT (clinic_id, id, channel) ON conversations, channel_accounts TO taskmed_lookup;
CREATE POLICY lookup ON conversations FOR SELECT TO taskmed_lookup USING (true);
CREATE POLICY lookup ON channel_accounts FOR SELECT TO taskmed_lookup USING (true);

-- +goose StatementBegin
-- What waits in each channel over all clinics, and for how many seconds the oldest of it
-- has: messages that are to be sent, and posts of providers that are to be understood.
CREATE FUNCTION channel_figures() RETURNS TABLE (channel text, direction text, waiting bigint, oldest float8)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT w.channel, w.direction, count(*), greatest(0, extract(epoch FROM clock_timestamp() - min(w.created_at)))::float8 FROM (
    SELECT c.channel, 'out' AS direction, o.created_at FROM public.outgoing_messages o
      JOIN public.conversations c ON c.clinic_id = o.clinic_id AND c.id = o.conversation_id
    UNION ALL
    SELECT a.channel, 'in', e.created_at FROM public.channel_events e
      JOIN public.channel_accounts a ON a.clinic_id = e.clinic_id AND a.id = e.account_id WHERE e.due_at IS NOT NULL) w
  GROUP BY w.channel, w.direction
$$;
-- +goose StatementEnd

-- What is done with, and what was given up with what was posted, which is a patient's.
CREATE INDEX idx_channel_events_ended ON channel_events (created_at) WHERE due_at IS NULL;
GRANT DELETE ON channel_events TO taskmed_lookup;
CREATE POLICY pruning ON channel_events FOR DELETE TO taskmed_lookup USING (due_at IS NULL AND created_at < clock_timestamp() - interval '8 days');

-- +goose StatementBegin
-- Deletes at most so many posts of providers that are older than they are kept, and that
-- nobody is still to understand. Providers repeat what they posted for up to seven days:
-- until then its name must be known. finished is false while there may be more.
CREATE FUNCTION channel_prune(older interval, most integer) RETURNS TABLE (gone bigint, finished boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  before text := coalesce(current_setting('app.clinic', true), '');
BEGIN
  IF older < interval '8 days' THEN
    RAISE EXCEPTION 'posts of providers are kept for eight days at least';
  END IF;
  -- No clinic's: the tenants' own policy must let nothing more through.
  PERFORM set_config('app.clinic', '00000000-0000-0000-0000-000000000000', true);
  DELETE FROM public.channel_events e WHERE e.ctid = ANY (ARRAY(
    SELECT x.ctid FROM public.channel_events x WHERE x.due_at IS NULL AND x.created_at < clock_timestamp() - older
    ORDER BY x.created_at LIMIT most));
  GET DIAGNOSTICS gone = ROW_COUNT;
  finished := gone < most;
  PERFORM set_config('app.clinic', before, true);
  RETURN NEXT;
END $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION channel_figures(), channel_prune(interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION channel_figures(), channel_prune(interval, integer) TO taskmed_app;
GRANT CREATE ON SCHEMA public TO taskmed_lookup;
ALTER FUNCTION channel_figures() OWNER TO taskmed_lookup;
ALTER FUNCTION channel_prune(interval, integer) OWNER TO taskmed_lookup;
REVOKE CREATE ON SCHEMA public FROM taskmed_lookup;

-- What is revoked above is this migration's own: binaries lack nothing that served before it.
COMMENT ON TABLE goose_db_version IS 'oldest binary: 61';

-- +goose Down
DROP FUNCTION channel_prune(interval, integer);
DROP FUNCTION channel_figures();
DROP POLICY pruning ON channel_events;
DROP INDEX idx_channel_events_ended;
REVOKE DELETE ON channel_events FROM taskmed_lookup;
DROP POLICY lookup ON channel_accounts;
DROP POLICY lookup ON conversations;
REVOKE SELECT (clinic_id, id, channel) ON conversations, channel_accounts FROM taskmed_lookup;
