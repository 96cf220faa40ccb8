-- Who may speak for a clinic: its members and its partners' keys, and the functions
-- through which alone the application changes them.

-- +goose Up
CREATE TABLE memberships (
  clinic_id uuid NOT NULL REFERENCES clinics (id),
  id uuid NOT NULL,
  subject text NOT NULL CHECK (char_length(subject) BETWEEN 1 AND 255),
  name text CHECK (char_length(name) <= 200),
  role text NOT NULL CHECK (role IN ('owner', 'admin', 'practitioner', 'receptionist', 'finance', 'partner')),
  -- Rights beyond the role's, e.g. 'developer': sees statements and cost.
  permissions text[] NOT NULL DEFAULT '{}',
  revoked_at timestamptz,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  UNIQUE (clinic_id, subject)
);
CREATE INDEX idx_memberships_subject ON memberships (subject) WHERE revoked_at IS NULL;
CREATE INDEX idx_memberships_clinic_created ON memberships (clinic_id, created_at, id);
CREATE TRIGGER memberships_touch BEFORE UPDATE ON memberships FOR EACH ROW EXECUTE FUNCTION touch_row();

-- A stolen connection string of the application's must not make its thief an owner:
-- it reads here, and writes through the functions below.
SELECT protect_tenant_table('memberships', 'SELECT');

-- Who has which rights: for the keepers of sessions, too. A line break would end a tag.
SELECT cache_announce('memberships',
  $$ARRAY['member:' || r.id, 'membership/subject=' || replace(r.subject, E'\n', ' ')]$$,
  $$ARRAY['member/list']$$, '{subject,created_at,revoked_at}');

-- A partner's key: only its SHA-256 is kept. The key's text names its clinic,
-- so it is looked up under that clinic's policy like any other row.
CREATE TABLE api_keys (
  clinic_id uuid NOT NULL REFERENCES clinics (id),
  id uuid NOT NULL,
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
  role text NOT NULL CHECK (role IN ('owner', 'admin', 'practitioner', 'receptionist', 'finance', 'partner')),
  key_hash bytea NOT NULL CHECK (octet_length(key_hash) = 32),
  last_four text NOT NULL CHECK (char_length(last_four) = 4),
  last_used_at timestamptz,
  expires_at timestamptz,
  revoked_at timestamptz,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  UNIQUE (clinic_id, key_hash)
);
CREATE TRIGGER api_keys_touch BEFORE UPDATE ON api_keys FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('api_keys', 'SELECT');

-- When a key was last used is nothing that anybody gains by.
GRANT UPDATE (last_used_at) ON api_keys TO taskmed_app;

-- Lists are in the order in which they were made.
CREATE INDEX idx_api_keys_created ON api_keys (clinic_id, created_at, id);
SELECT cache_announce('api_keys', $$ARRAY['api_key:' || r.id]$$, $$ARRAY['api_key/list']$$, '{created_at}');

-- Who a subject is in which clinics must be known before a clinic is chosen.
-- The function's owner, a role nobody can log in as, may read these two tables
-- across clinics and nothing else; the function gives out one subject's rows.
GRANT SELECT ON clinics, memberships TO taskmed_lookup;
CREATE POLICY lookup ON clinics FOR SELECT TO taskmed_lookup USING (true);
CREATE POLICY lookup ON memberships FOR SELECT TO taskmed_lookup USING (true);

-- +goose StatementBegin
-- PL/pgSQL keeps the plan; SQL would plan anew at every request (0.05 ms against 0.2).
CREATE FUNCTION app_memberships(wanted_subject text)
RETURNS TABLE (
  clinic_id uuid, slug text, name text, role text, permissions text[], subject_name text,
  time_zone text, currency text, created_at timestamptz, updated_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
  RETURN QUERY SELECT m.clinic_id, c.slug, c.name, m.role, m.permissions, m.name,
         c.time_zone, c.currency::text, c.created_at, c.updated_at
  FROM public.memberships m
  JOIN public.clinics c ON c.id = m.clinic_id
  WHERE m.subject = wanted_subject AND m.revoked_at IS NULL
  ORDER BY m.created_at, m.clinic_id
  LIMIT 1000;
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION app_memberships(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app_memberships(text) TO taskmed_app;

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

-- By which servers prove who asks: the two halves of HMAC-SHA-256's key (RFC 2104), which
-- `taskmed migrate up` makes of the servers' secret. It is no clinic's.
CREATE TABLE asker_proof_key (
  alone boolean PRIMARY KEY DEFAULT true CHECK (alone),
  inner_pad bytea NOT NULL CHECK (octet_length(inner_pad) = 64),
  outer_pad bytea NOT NULL CHECK (octet_length(outer_pad) = 64)
);
REVOKE ALL ON asker_proof_key FROM PUBLIC, taskmed_app;
GRANT SELECT ON asker_proof_key TO taskmed_lookup;

-- +goose StatementBegin
-- The role of the member who asks for a change of members or keys, in the clinic of
-- the connection, or a refusal. That a server knows who asks is proven by app.asker_proof,
-- `until:hash`, where the hash is of clinic, until and asker, in lines. Who owns the tables
-- is asked for nothing. It is no SECURITY DEFINER function and of no use but inside of
-- those below.
CREATE FUNCTION members_asker(asker text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  found_role text;
  proof text[] := regexp_match(current_setting('app.asker_proof', true), '^([0-9]{1,12}):([0-9a-f]{64})$');
BEGIN
  IF pg_has_role(session_user, (SELECT c.relowner FROM pg_class c WHERE c.oid = 'public.memberships'::regclass), 'MEMBER') THEN
    RETURN 'owner';
  END IF;
  IF NOT coalesce(to_timestamp(proof[1]::bigint) BETWEEN clock_timestamp() AND clock_timestamp() + interval '15 minutes' AND EXISTS (
      SELECT FROM public.asker_proof_key k WHERE proof[2] = encode(sha256(k.outer_pad || sha256(k.inner_pad
        || convert_to(public.app_clinic()::text || E'\n' || proof[1] || E'\n' || asker, 'UTF8'))), 'hex')), false) THEN
    RAISE EXCEPTION 'it is not proven who asks: the server''s secret is not the one that taskmed migrate up had, or its clock is wrong'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'members_proof';
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
ALTER FUNCTION app_memberships(text) OWNER TO taskmed_lookup;

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

-- +goose Down
DROP FUNCTION api_key_revoke(text, uuid);
DROP FUNCTION api_key_create(text, uuid, text, text, bytea, text, timestamptz);
DROP FUNCTION member_revoke(text, uuid, integer);
DROP FUNCTION member_change(text, uuid, integer, boolean, text, text);
DROP FUNCTION member_add(text, uuid, text, text, text);
DROP FUNCTION members_lock(text, uuid, integer);
DROP FUNCTION members_refuse_owners(text, text);
DROP FUNCTION members_asker(text);
DROP TABLE asker_proof_key;
DROP FUNCTION app_memberships(text);
DROP POLICY lookup ON clinics;
REVOKE SELECT ON clinics FROM taskmed_lookup;
DROP TABLE api_keys, memberships;
DROP FUNCTION memberships_keep_an_owner();
DROP FUNCTION cache_tags_api_keys();
DROP FUNCTION cache_tags_memberships();
