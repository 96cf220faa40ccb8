-- A clinic from nothing: what its desk sets up by the API, and functions through
-- which alone the application changes who belongs to a clinic.

-- +goose Up
-- No clinic's: Postgres looks at rows as the owner does when a foreign key is added.
SELECT set_config('app.clinic', '00000000-0000-0000-0000-000000000000', true);
ALTER TABLE clinics
  ADD COLUMN slot_grid_minutes integer NOT NULL DEFAULT 15 CHECK (slot_grid_minutes BETWEEN 1 AND 240),
  ADD COLUMN pix_key text CHECK (char_length(pix_key) BETWEEN 1 AND 77);
GRANT UPDATE (name, time_zone, slot_grid_minutes, pix_key) ON clinics TO taskmed_app;

ALTER TABLE practitioners
  ADD COLUMN member_id uuid,
  ADD CONSTRAINT practitioners_member FOREIGN KEY (clinic_id, member_id) REFERENCES memberships (clinic_id, id);
-- A member is one practitioner at most.
CREATE UNIQUE INDEX idx_practitioners_member ON practitioners (clinic_id, member_id) WHERE member_id IS NOT NULL;
CREATE INDEX idx_memberships_clinic_created ON memberships (clinic_id, created_at, id);

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

-- +goose StatementBegin
-- Until now everybody offered everything. Row-level security binds the owner as
-- well, so each clinic is put in place in turn.
DO $$
DECLARE
  before text := coalesce(current_setting('app.clinic', true), '');
  one uuid;
BEGIN
  FOR one IN SELECT clinic FROM clinic_slugs LOOP
    PERFORM set_config('app.clinic', one::text, true);
    INSERT INTO practitioner_services (clinic_id, practitioner_id, service_id)
    SELECT one, p.id, s.id FROM practitioners p JOIN services s ON s.clinic_id = p.clinic_id WHERE p.clinic_id = one;
  END LOOP;
  PERFORM set_config('app.clinic', before, true);
END $$;
-- +goose StatementEnd

-- Time off of the whole clinic has no practitioner.
ALTER TABLE time_off ALTER COLUMN practitioner_id DROP NOT NULL;
CREATE INDEX idx_time_off_clinic_start ON time_off (clinic_id, starts_at, ends_at) WHERE practitioner_id IS NULL;

-- What they announce, anew: an answer with a practitioner's member depends on more
-- than it did, and so does one with the hours at which nobody works.
-- +goose StatementBegin
DO $$
DECLARE
  announcing text;
  event text;
BEGIN
  FOREACH announcing IN ARRAY ARRAY['practitioners', 'time_off', 'memberships'] LOOP
    FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
      EXECUTE format('DROP TRIGGER cache_tags_%s ON %I', event, announcing);
    END LOOP;
    EXECUTE format('DROP FUNCTION cache_tags_%s()', announcing);
  END LOOP;
END $$;
-- +goose StatementEnd
SELECT cache_announce('practitioners',
  $$ARRAY['practitioner:' || r.id]$$,
  $$ARRAY['practitioner/list'] || CASE WHEN r.member_id IS NULL THEN '{}' ELSE ARRAY['practitioner/member=' || r.member_id] END$$,
  '{name_key,active,member_id}');
SELECT cache_announce('time_off',
  $$ARRAY['time_off:' || r.id, CASE WHEN r.practitioner_id IS NULL THEN 'time_off/clinic=' || r.clinic_id
    ELSE 'time_off/practitioner=' || r.practitioner_id END]$$, $$'{}'::text[]$$, '{practitioner_id}');
SELECT cache_announce('memberships',
  $$ARRAY['member:' || r.id, 'membership/subject=' || replace(r.subject, E'\n', ' ')]$$,
  $$ARRAY['member/list']$$, '{subject,created_at,revoked_at}');

-- A stolen connection string of the application's must not make its thief an owner.
REVOKE INSERT, UPDATE, DELETE ON memberships, api_keys FROM taskmed_app;
-- When a key was last used is nothing that anybody gains by.
GRANT UPDATE (last_used_at) ON api_keys TO taskmed_app;
-- Under the tenants' own policy: rows of the clinic that the connection works for.
GRANT INSERT, UPDATE ON memberships, api_keys TO taskmed_lookup;
GRANT SELECT ON api_keys TO taskmed_lookup;

-- +goose StatementBegin
-- A clinic has an owner as long as it has members: whoever writes, by whatever way.
-- The lock has two owners who leave at once come one after the other.
CREATE FUNCTION memberships_keep_an_owner() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('taskmed owners ' || OLD.clinic_id::text, 0));
  IF EXISTS (SELECT FROM memberships m WHERE m.clinic_id = OLD.clinic_id)
    AND NOT EXISTS (SELECT FROM memberships m WHERE m.clinic_id = OLD.clinic_id AND m.role = 'owner' AND m.revoked_at IS NULL) THEN
    RAISE EXCEPTION 'the last owner of a clinic stays' USING ERRCODE = 'check_violation', CONSTRAINT = 'memberships_keep_an_owner';
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER memberships_keep_an_owner AFTER UPDATE ON memberships
  FOR EACH ROW WHEN (OLD.role = 'owner' AND OLD.revoked_at IS NULL AND (NEW.role <> 'owner' OR NEW.revoked_at IS NOT NULL))
  EXECUTE FUNCTION memberships_keep_an_owner();
CREATE TRIGGER memberships_keep_an_owner_there AFTER DELETE ON memberships
  FOR EACH ROW WHEN (OLD.role = 'owner' AND OLD.revoked_at IS NULL)
  EXECUTE FUNCTION memberships_keep_an_owner();

-- +goose StatementBegin
-- The role of the member who asks for a change of members or keys, in the clinic of
-- the connection, or a refusal. Who owns the tables is asked for nothing. It is no
-- SECURITY DEFINER function and of no use but inside of those below.
CREATE FUNCTION members_asker(asker text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  found_role text;
BEGIN
  IF pg_has_role(session_user, (SELECT c.relowner FROM pg_class c WHERE c.oid = 'public.memberships'::regclass), 'MEMBER') THEN
    RETURN 'owner';
  END IF;
  -- Locked: whose rights are being taken away must not use them meanwhile.
  SELECT m.role INTO found_role FROM public.memberships m
  WHERE m.clinic_id = public.app_clinic() AND m.subject = asker AND m.revoked_at IS NULL FOR SHARE;
  IF found_role IS NULL OR found_role NOT IN ('owner', 'admin') THEN
    RAISE EXCEPTION 'only an owner or an admin changes members and keys' USING ERRCODE = 'check_violation', CONSTRAINT = 'members_asker';
  END IF;
  RETURN found_role;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION members_refuse_owners(asking text, wanted text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  IF wanted = 'owner' AND asking <> 'owner' THEN
    RAISE EXCEPTION 'only an owner makes, changes and removes owners' USING ERRCODE = 'check_violation', CONSTRAINT = 'members_owners';
  END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Makes a subject a member; one who was revoked comes back under the same id.
CREATE FUNCTION member_add(asker text, new_id uuid, new_subject text, new_name text, new_role text) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  clinic uuid := public.app_clinic();
  made uuid;
BEGIN
  PERFORM public.members_refuse_owners(public.members_asker(asker), new_role);
  INSERT INTO public.memberships AS m (clinic_id, id, subject, name, role) VALUES (clinic, new_id, new_subject, new_name, new_role)
  ON CONFLICT (clinic_id, subject) DO UPDATE SET role = excluded.role, name = coalesce(excluded.name, m.name), permissions = '{}', revoked_at = NULL
    WHERE m.revoked_at IS NOT NULL
  RETURNING m.id INTO made;
  IF made IS NULL THEN
    RAISE EXCEPTION 'the subject is a member already' USING ERRCODE = 'unique_violation', CONSTRAINT = 'members_once';
  END IF;
  RETURN made;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- A member of the connection's clinic whom the asker may change, locked.
CREATE FUNCTION members_lock(asker text, member uuid, expected integer) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  asking text := public.members_asker(asker);
  found_role text;
  found_version integer;
BEGIN
  SELECT m.role, m.version INTO found_role, found_version FROM public.memberships m
  WHERE m.clinic_id = public.app_clinic() AND m.id = member AND m.revoked_at IS NULL FOR UPDATE;
  IF found_role IS NULL THEN
    RAISE EXCEPTION 'there is no such member' USING ERRCODE = 'check_violation', CONSTRAINT = 'members_known';
  END IF;
  IF expected <> found_version THEN
    RAISE EXCEPTION 'the member has changed' USING ERRCODE = 'check_violation', CONSTRAINT = 'members_stale';
  END IF;
  PERFORM public.members_refuse_owners(asking, found_role);
  RETURN asking;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Gives a member another name, with rename, and another role, unless that is null.
CREATE FUNCTION member_change(asker text, member uuid, expected integer, rename boolean, new_name text, new_role text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
  PERFORM public.members_refuse_owners(public.members_lock(asker, member, expected), new_role);
  IF rename OR new_role IS NOT NULL THEN
    UPDATE public.memberships m SET name = CASE WHEN rename THEN new_name ELSE m.name END, role = coalesce(new_role, m.role)
    WHERE m.clinic_id = public.app_clinic() AND m.id = member;
  END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Ends a membership.
CREATE FUNCTION member_revoke(asker text, member uuid, expected integer) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
  PERFORM public.members_lock(asker, member, expected);
  UPDATE public.memberships m SET revoked_at = now() WHERE m.clinic_id = public.app_clinic() AND m.id = member;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Makes a partner's key. No key may: askers are members.
CREATE FUNCTION api_key_create(asker text, new_id uuid, new_name text, new_role text, hash bytea, last_chars text, expires timestamptz)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  made timestamptz;
BEGIN
  PERFORM public.members_refuse_owners(public.members_asker(asker), new_role);
  INSERT INTO public.api_keys AS k (clinic_id, id, name, role, key_hash, last_four, expires_at)
  VALUES (public.app_clinic(), new_id, new_name, new_role, hash, last_chars, expires) RETURNING k.created_at INTO made;
  RETURN made;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Ends a partner's key; one that has ended stays as it is.
CREATE FUNCTION api_key_revoke(asker text, key_id uuid) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
  PERFORM public.members_asker(asker);
  UPDATE public.api_keys k SET revoked_at = now() WHERE k.clinic_id = public.app_clinic() AND k.id = key_id AND k.revoked_at IS NULL;
END $$;
-- +goose StatementEnd

GRANT CREATE ON SCHEMA public TO taskmed_lookup;
-- +goose StatementBegin
DO $$
DECLARE
  one text;
BEGIN
  FOREACH one IN ARRAY ARRAY['member_add(text, uuid, text, text, text)', 'member_change(text, uuid, integer, boolean, text, text)', 'member_revoke(text, uuid, integer)',
      'api_key_create(text, uuid, text, text, bytea, text, timestamptz)', 'api_key_revoke(text, uuid)'] LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', one);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO taskmed_app, taskmed_owner', one);
    EXECUTE format('ALTER FUNCTION %s OWNER TO taskmed_lookup', one);
  END LOOP;
END $$;
-- +goose StatementEnd
REVOKE CREATE ON SCHEMA public FROM taskmed_lookup;

-- An older binary writes members and keys by itself, and knows no closures.
COMMENT ON TABLE goose_db_version IS 'oldest binary: 20';

-- +goose Down
COMMENT ON TABLE goose_db_version IS 'oldest binary: 14';
DROP FUNCTION api_key_revoke(text, uuid);
DROP FUNCTION api_key_create(text, uuid, text, text, bytea, text, timestamptz);
DROP FUNCTION member_revoke(text, uuid, integer);
DROP FUNCTION member_change(text, uuid, integer, boolean, text, text);
DROP FUNCTION member_add(text, uuid, text, text, text);
DROP FUNCTION members_lock(text, uuid, integer);
DROP FUNCTION members_refuse_owners(text, text);
DROP FUNCTION members_asker(text);
DROP TRIGGER memberships_keep_an_owner_there ON memberships;
DROP TRIGGER memberships_keep_an_owner ON memberships;
DROP FUNCTION memberships_keep_an_owner();
REVOKE ALL ON api_keys FROM taskmed_lookup;
REVOKE INSERT, UPDATE ON memberships FROM taskmed_lookup;
REVOKE UPDATE (last_used_at) ON api_keys FROM taskmed_app;
GRANT INSERT, UPDATE ON memberships, api_keys TO taskmed_app;
-- +goose StatementBegin
DO $$
DECLARE
  announcing text;
  event text;
BEGIN
  FOREACH announcing IN ARRAY ARRAY['practitioners', 'time_off', 'memberships', 'practitioner_services'] LOOP
    FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
      EXECUTE format('DROP TRIGGER cache_tags_%s ON %I', event, announcing);
    END LOOP;
    EXECUTE format('DROP FUNCTION cache_tags_%s()', announcing);
  END LOOP;
END $$;
-- +goose StatementEnd
DROP TABLE practitioner_services;
-- +goose StatementBegin
-- Closures have no place before this migration.
DO $$
DECLARE
  before text := coalesce(current_setting('app.clinic', true), '');
  one uuid;
BEGIN
  FOR one IN SELECT clinic FROM clinic_slugs LOOP
    PERFORM set_config('app.clinic', one::text, true);
    DELETE FROM time_off WHERE clinic_id = one AND practitioner_id IS NULL;
  END LOOP;
  PERFORM set_config('app.clinic', before, true);
END $$;
-- +goose StatementEnd
DROP INDEX idx_time_off_clinic_start;
ALTER TABLE time_off ALTER COLUMN practitioner_id SET NOT NULL;
DROP INDEX idx_memberships_clinic_created;
ALTER TABLE practitioners DROP COLUMN member_id;
REVOKE UPDATE (name, time_zone, slot_grid_minutes, pix_key) ON clinics FROM taskmed_app;
ALTER TABLE clinics DROP COLUMN pix_key, DROP COLUMN slot_grid_minutes;
SELECT cache_announce('practitioners',
  $$ARRAY['practitioner:' || r.id]$$, $$ARRAY['practitioner/list']$$, '{name_key,active}');
SELECT cache_announce('time_off',
  $$ARRAY['time_off:' || r.id, 'time_off/practitioner=' || r.practitioner_id]$$, $$'{}'::text[]$$, '{practitioner_id}');
SELECT cache_announce('memberships',
  $$ARRAY['membership:' || r.id, 'membership/subject=' || replace(r.subject, E'\n', ' ')]$$, $$'{}'::text[]$$, '{subject}');
