-- What servers do regularly by themselves, as the application's role
-- (internal/maintenance): rows that have expired are deleted across clinics.
-- The role itself may look into one clinic at a time and cannot list them, and
-- stays so: it calls two functions, owned by a role nobody can log in as, which
-- give out counts and nothing else.

-- +goose Up
-- Not a tenant's table: the application cannot reach it but through the functions.
CREATE TABLE maintenance_runs (
  task text PRIMARY KEY CHECK (task = 'daily'),
  -- By Postgres' clock, so that an instance whose clock is wrong runs nothing twice.
  began_at timestamptz NOT NULL,
  -- The clinic that the run has come to.
  reached uuid
);
GRANT SELECT, INSERT, UPDATE ON maintenance_runs TO taskmed_lookup;

-- What has not expired is out of the functions' reach, whatever their text says.
-- Locking a row takes the right to change it; WITH CHECK lets no change through.
GRANT SELECT, DELETE, UPDATE (expires_at) ON idempotency_keys, slot_holds TO taskmed_lookup;
CREATE POLICY expired ON idempotency_keys TO taskmed_lookup USING (expires_at < now()) WITH CHECK (false);
CREATE POLICY expired ON slot_holds TO taskmed_lookup USING (expires_at < now()) WITH CHECK (false);

-- +goose StatementBegin
-- Takes the period's run: true for one caller, once per period. A run that lies
-- in the future is one from before Postgres' clock was set back.
CREATE FUNCTION maintenance_begin(period interval) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
  INSERT INTO public.maintenance_runs AS last (task, began_at) VALUES ('daily', clock_timestamp())
  ON CONFLICT (task) DO UPDATE SET began_at = clock_timestamp(), reached = NULL
    WHERE last.began_at <= clock_timestamp() - period OR last.began_at > clock_timestamp() + period;
  RETURN FOUND;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Deletes at most so many expired rows of each table, going on at the clinic
-- that the last call came to. What a request holds locked is left for another day.
CREATE FUNCTION maintenance_expire(most integer)
RETURNS TABLE (clinics integer, keys bigint, holds bigint, finished boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  before text := public.put_clinic_aside();
  clinic uuid;
  gone_keys bigint;
  gone_holds bigint;
BEGIN
  clinics := 0; keys := 0; holds := 0; finished := false;
  FOR clinic IN
    SELECT c.id FROM public.clinics c
    WHERE c.id > coalesce((SELECT r.reached FROM public.maintenance_runs r), '00000000-0000-0000-0000-000000000000')
    ORDER BY c.id LIMIT 200
  LOOP
    DELETE FROM public.idempotency_keys k WHERE k.clinic_id = clinic AND k.ctid = ANY (ARRAY(
      SELECT x.ctid FROM public.idempotency_keys x WHERE x.clinic_id = clinic AND x.expires_at < now()
      LIMIT greatest(most - keys, 1) FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS gone_keys = ROW_COUNT;
    keys := keys + gone_keys;
    DELETE FROM public.slot_holds h WHERE h.clinic_id = clinic AND h.ctid = ANY (ARRAY(
      SELECT x.ctid FROM public.slot_holds x WHERE x.clinic_id = clinic AND x.expires_at < now()
      LIMIT greatest(most - holds, 1) FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS gone_holds = ROW_COUNT;
    holds := holds + gone_holds;
    -- This clinic may have more.
    EXIT WHEN keys >= most OR holds >= most;
    clinics := clinics + 1;
    UPDATE public.maintenance_runs SET reached = clinic;
  END LOOP;
  finished := clinics < 200 AND keys < most AND holds < most;
  PERFORM set_config('app.clinic', before, true);
  RETURN NEXT;
END $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION maintenance_begin(interval), maintenance_expire(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION maintenance_begin(interval), maintenance_expire(integer) TO taskmed_app;
GRANT CREATE ON SCHEMA public TO taskmed_lookup;
ALTER FUNCTION maintenance_begin(interval) OWNER TO taskmed_lookup;
ALTER FUNCTION maintenance_expire(integer) OWNER TO taskmed_lookup;
REVOKE CREATE ON SCHEMA public FROM taskmed_lookup;

-- +goose Down
DROP FUNCTION maintenance_expire(integer);
DROP FUNCTION maintenance_begin(interval);
DROP POLICY expired ON slot_holds;
DROP POLICY expired ON idempotency_keys;
REVOKE ALL ON idempotency_keys, slot_holds FROM taskmed_lookup;
DROP TABLE maintenance_runs;
