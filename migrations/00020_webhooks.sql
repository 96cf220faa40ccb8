-- Webhooks (docs/webhooks.md, docs/decisions/0019): what a clinic has told to others. An
-- endpoint's lane goes over `changes` by its cursor and leaves a delivery for each one
-- that the endpoint asked for.

-- +goose Up
CREATE TABLE webhook_endpoints (
  clinic_id uuid NOT NULL REFERENCES clinics (id),
  id uuid NOT NULL,
  url text NOT NULL CHECK (char_length(url) BETWEEN 8 AND 2000),
  events text[] NOT NULL CHECK (cardinality(events) BETWEEN 1 AND 100 AND events::webhook_event[] IS NOT NULL),
  active boolean NOT NULL DEFAULT true,
  paused_at timestamptz,
  pause_reason text CHECK (char_length(pause_reason) BETWEEN 1 AND 500),
  -- What signs, sealed, and whose signatures can be checked by public_key.
  keys bytea NOT NULL CHECK (octet_length(keys) <= 1000),
  public_key text NOT NULL CHECK (char_length(public_key) <= 100),
  -- What signed before the last rotation, and until when it signs as well.
  former_keys bytea CHECK (octet_length(former_keys) <= 1000),
  former_until timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  CONSTRAINT webhook_endpoints_paused CHECK (active = (paused_at IS NULL) AND active = (pause_reason IS NULL)),
  CONSTRAINT webhook_endpoints_former CHECK ((former_keys IS NULL) = (former_until IS NULL))
);
SELECT protect_tenant_table('webhook_endpoints', 'SELECT, INSERT, UPDATE, DELETE');
SELECT cache_announce('webhook_endpoints', $$'{}'::text[]$$, $$ARRAY['webhook_endpoint:' || r.id, 'webhook_endpoint/list']$$,
  '{url,events,active,paused_at,pause_reason,public_key,created_at}');

-- How far an endpoint is. It is written at each step, hence apart from what is shown.
CREATE TABLE webhook_lanes (
  clinic_id uuid NOT NULL,
  endpoint_id uuid NOT NULL,
  -- The last position that was looked at.
  cursor bigint NOT NULL CHECK (cursor >= 0),
  -- Counts replays, so that what was sent before one is not taken for what it sends.
  round integer NOT NULL DEFAULT 0,
  -- Attempts that failed since the last one that did not, since when, and when to try again.
  failures integer NOT NULL DEFAULT 0,
  failing_since timestamptz,
  probe_at timestamptz,
  PRIMARY KEY (clinic_id, endpoint_id),
  FOREIGN KEY (clinic_id, endpoint_id) REFERENCES webhook_endpoints (clinic_id, id) ON DELETE CASCADE
);
ALTER TABLE webhook_lanes SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
SELECT protect_tenant_table('webhook_lanes', 'SELECT, INSERT, UPDATE, DELETE');
SELECT cache_unread('webhook_lanes', 'how far each delivery is stands with the delivery');

-- What is to be sent, or was, once for an endpoint and a position: waiting while there is
-- a next attempt, else delivered, or given up. No foreign key: an endpoint is deleted at
-- once, and its deliveries when the maintenance comes by.
CREATE TABLE webhook_deliveries (
  clinic_id uuid NOT NULL REFERENCES clinics (id),
  id uuid NOT NULL,
  endpoint_id uuid NOT NULL,
  position bigint NOT NULL CHECK (position > 0),
  round integer NOT NULL,
  event webhook_event NOT NULL,
  change_id uuid NOT NULL,
  entity_kind text NOT NULL CHECK (char_length(entity_kind) BETWEEN 1 AND 50),
  entity_id uuid NOT NULL,
  at timestamptz NOT NULL,
  stamped_at timestamptz NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  first_attempt_at timestamptz,
  last_status integer CHECK (last_status BETWEEN 100 AND 999),
  last_error text CHECK (char_length(last_error) BETWEEN 1 AND 200),
  next_attempt_at timestamptz DEFAULT clock_timestamp(),
  delivered_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  CONSTRAINT webhook_deliveries_ended CHECK (next_attempt_at IS NULL OR delivered_at IS NULL)
);
CREATE UNIQUE INDEX idx_webhook_deliveries_once ON webhook_deliveries (clinic_id, endpoint_id, position);
-- The first that waits of each entity is the one that may go.
CREATE INDEX idx_webhook_deliveries_heads ON webhook_deliveries (clinic_id, endpoint_id, entity_id, position) WHERE next_attempt_at IS NOT NULL;
ALTER TABLE webhook_deliveries SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
SELECT protect_tenant_table('webhook_deliveries', 'SELECT, INSERT, UPDATE');
SELECT cache_announce('webhook_deliveries', $$ARRAY['webhook_delivery:' || r.id]$$, $$ARRAY['webhook_delivery/endpoint=' || r.endpoint_id]$$,
  '{endpoint_id,position}');

GRANT SELECT ON webhook_endpoints, webhook_lanes TO taskmed_lookup;
GRANT SELECT, DELETE ON webhook_deliveries TO taskmed_lookup;
CREATE POLICY lookup ON webhook_endpoints FOR SELECT TO taskmed_lookup USING (true);
CREATE POLICY lookup ON webhook_lanes FOR SELECT TO taskmed_lookup USING (true);
CREATE POLICY pruning ON webhook_deliveries TO taskmed_lookup USING (true);

-- +goose StatementBegin
-- The active endpoints that have something to do, of some clinics or, without any, of all.
-- Where there are more than are asked for, each time others.
CREATE FUNCTION webhook_work(clinics uuid[], most integer) RETURNS TABLE (clinic uuid, endpoint uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  before text := public.put_clinic_aside();
BEGIN
  RETURN QUERY SELECT e.clinic_id, e.id
  FROM public.webhook_endpoints e
  JOIN public.webhook_lanes l ON l.clinic_id = e.clinic_id AND l.endpoint_id = e.id
  JOIN public.counters c ON c.clinic_id = e.clinic_id AND c.name = 'changes'
  WHERE e.active AND (clinics IS NULL OR e.clinic_id = ANY (clinics))
    -- Who takes nothing is tried when its time has come, with what is due or not.
    AND (l.probe_at IS NULL OR l.probe_at <= clock_timestamp())
    AND (l.cursor < c.last OR EXISTS (SELECT FROM public.webhook_deliveries d
      WHERE d.clinic_id = e.clinic_id AND d.endpoint_id = e.id AND (l.probe_at IS NOT NULL AND d.next_attempt_at IS NOT NULL OR d.next_attempt_at <= clock_timestamp())))
  ORDER BY random() LIMIT most;
  PERFORM set_config('app.clinic', before, true);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- How many deliveries wait, how many endpoints are paused, and for how many seconds what
-- has waited longest for the sender has: over all clinics, for metrics. That is an attempt
-- that is due, of an entity's first delivery, and a change that an endpoint's cursor has
-- not come to; what a replay has set the cursor back to is not late.
CREATE FUNCTION webhook_figures() RETURNS TABLE (waiting bigint, paused bigint, overdue float8)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  before text := public.put_clinic_aside();
BEGIN
  SELECT count(*) INTO waiting FROM public.webhook_endpoints e JOIN public.webhook_deliveries d
    ON d.clinic_id = e.clinic_id AND d.endpoint_id = e.id AND d.next_attempt_at IS NOT NULL;
  SELECT count(*) INTO paused FROM public.webhook_endpoints e WHERE NOT e.active;
  SELECT coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(least(attempt.due, change.stamped_at)))), 0) INTO overdue
  FROM public.webhook_endpoints e
  JOIN public.webhook_lanes l ON l.clinic_id = e.clinic_id AND l.endpoint_id = e.id
  CROSS JOIN LATERAL (
    -- Who takes nothing is tried when its time has come, with what is due or not.
    SELECT CASE WHEN l.probe_at IS NULL THEN min(h.next_attempt_at) WHEN count(*) > 0 THEN l.probe_at END AS due FROM (
      SELECT DISTINCT ON (d.entity_id) d.next_attempt_at FROM public.webhook_deliveries d
      WHERE d.clinic_id = e.clinic_id AND d.endpoint_id = e.id AND d.next_attempt_at IS NOT NULL AND d.position <= l.cursor
      ORDER BY d.entity_id, d.position) h) attempt
  LEFT JOIN LATERAL (
    SELECT c.stamped_at FROM public.changes c WHERE c.clinic_id = e.clinic_id AND c.position > l.cursor AND l.probe_at IS NULL
      AND NOT EXISTS (SELECT FROM public.webhook_deliveries d WHERE d.clinic_id = e.clinic_id AND d.endpoint_id = e.id AND d.position > l.cursor)
    ORDER BY c.position LIMIT 1) change ON true
  WHERE e.active;
  PERFORM set_config('app.clinic', before, true);
  RETURN NEXT;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Deletes deliveries of changes that are no longer kept, and of endpoints that are gone;
-- at most so many. finished is false while there may be more.
CREATE FUNCTION webhook_prune(most integer) RETURNS TABLE (gone bigint, finished boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  before text := public.put_clinic_aside();
  lane record;
  least_kept bigint;
  deleted bigint;
BEGIN
  gone := 0;
  FOR lane IN
    WITH RECURSIVE lanes AS (
      (SELECT d.clinic_id, d.endpoint_id FROM public.webhook_deliveries d ORDER BY d.clinic_id, d.endpoint_id LIMIT 1)
      UNION ALL
      SELECT n.clinic_id, n.endpoint_id FROM lanes l, LATERAL (SELECT d.clinic_id, d.endpoint_id FROM public.webhook_deliveries d
        WHERE (d.clinic_id, d.endpoint_id) > (l.clinic_id, l.endpoint_id) ORDER BY d.clinic_id, d.endpoint_id LIMIT 1) n)
    SELECT l.clinic_id, l.endpoint_id, e.id IS NULL AS deleted
    FROM lanes l LEFT JOIN public.webhook_endpoints e ON e.clinic_id = l.clinic_id AND e.id = l.endpoint_id
  LOOP
    SELECT coalesce(min(c.position), 9223372036854775807) INTO least_kept FROM public.changes c WHERE c.clinic_id = lane.clinic_id;
    DELETE FROM public.webhook_deliveries d WHERE d.clinic_id = lane.clinic_id AND d.id = ANY (ARRAY(
      SELECT x.id FROM public.webhook_deliveries x
      WHERE x.clinic_id = lane.clinic_id AND x.endpoint_id = lane.endpoint_id AND (lane.deleted OR x.position < least_kept)
      ORDER BY x.position LIMIT most - gone));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    gone := gone + deleted;
    EXIT WHEN gone >= most;
  END LOOP;
  finished := gone < most;
  PERFORM set_config('app.clinic', before, true);
  RETURN NEXT;
END $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION webhook_work(uuid[], integer), webhook_figures(), webhook_prune(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION webhook_work(uuid[], integer), webhook_figures(), webhook_prune(integer) TO taskmed_app;
GRANT CREATE ON SCHEMA public TO taskmed_lookup;
ALTER FUNCTION webhook_work(uuid[], integer) OWNER TO taskmed_lookup;
ALTER FUNCTION webhook_figures() OWNER TO taskmed_lookup;
ALTER FUNCTION webhook_prune(integer) OWNER TO taskmed_lookup;
REVOKE CREATE ON SCHEMA public FROM taskmed_lookup;

-- +goose Down
DROP FUNCTION webhook_prune(integer);
DROP FUNCTION webhook_figures();
DROP FUNCTION webhook_work(uuid[], integer);
DROP TABLE webhook_deliveries, webhook_lanes, webhook_endpoints;
DROP FUNCTION cache_tags_webhook_deliveries();
DROP FUNCTION cache_tags_webhook_endpoints();
