-- The ground of tenancy: who is a clinic, who may speak for it, and the rules
-- that every other table is put under. The roles are made by roles.sql.

-- +goose Up
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE EXTENSION IF NOT EXISTS unaccent;

-- +goose StatementBegin
-- The clinic that this connection works for. Raises where none was set: a
-- forgotten clinic must be an error, never an empty answer. Plain SQL and
-- STABLE, so the planner inlines it and compares it with an index's first
-- column; a sub-select in the policies would be refused by Citus.
CREATE FUNCTION app_clinic() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT current_setting('app.clinic')::uuid $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Text as it is compared and sorted: without accents and case, one blank
-- between words. IMMUTABLE is honest only because the dictionary is named with
-- its schema and is part of the extension.
CREATE FUNCTION normalize_text(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT btrim(regexp_replace(lower(public.unaccent('public.unaccent'::regdictionary, value)), '\s+', ' ', 'g')) COLLATE "C" $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Keeps version, updated_at and created_at out of the clients' hands.
-- updated_at never goes back, even if the clock does.
CREATE FUNCTION touch_row() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  NEW.version := OLD.version + 1;
  NEW.created_at := OLD.created_at;
  NEW.updated_at := greatest(clock_timestamp(), OLD.updated_at + interval '1 microsecond');
  RETURN NEW;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Puts a table under the tenancy rule: row-level security enabled and forced,
-- one policy over all commands, and the privileges the application gets.
CREATE FUNCTION protect_tenant_table(tenant_table regclass, privileges text, clinic_column name DEFAULT 'clinic_id')
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', tenant_table);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', tenant_table);
  EXECUTE format('CREATE POLICY tenant ON %s USING (%I = app_clinic()) WITH CHECK (%I = app_clinic())',
                 tenant_table, clinic_column, clinic_column);
  IF privileges <> '' THEN
    EXECUTE format('GRANT %s ON %s TO taskmed_app', privileges, tenant_table);
  END IF;
END $$;
-- +goose StatementEnd

GRANT USAGE ON SCHEMA public TO taskmed_app, taskmed_lookup;

CREATE TABLE clinics (
  id uuid PRIMARY KEY,
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  slug text NOT NULL CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND char_length(slug) <= 63),
  time_zone text NOT NULL DEFAULT 'America/Sao_Paulo',
  currency char(3) NOT NULL DEFAULT 'BRL' CHECK (currency ~ '^[A-Z]{3}$'),
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TRIGGER clinics_touch BEFORE UPDATE ON clinics FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('clinics', 'SELECT', 'id');

-- Slugs are unique over all clinics, which no key led by the clinic can say;
-- so they stand in a table of their own that the application cannot read. It is
-- no tenant's table, hence the column's name: a clinic_id is always protected.
CREATE TABLE clinic_slugs (
  slug text PRIMARY KEY,
  clinic uuid NOT NULL
);

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
CREATE TRIGGER memberships_touch BEFORE UPDATE ON memberships FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('memberships', 'SELECT, INSERT, UPDATE');

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
SELECT protect_tenant_table('api_keys', 'SELECT, INSERT, UPDATE');

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
GRANT CREATE ON SCHEMA public TO taskmed_lookup;
ALTER FUNCTION app_memberships(text) OWNER TO taskmed_lookup;
REVOKE CREATE ON SCHEMA public FROM taskmed_lookup;

-- +goose Down
DROP FUNCTION app_memberships(text);
DROP TABLE api_keys, memberships, clinic_slugs, clinics;
DROP FUNCTION protect_tenant_table(regclass, text, name);
DROP FUNCTION touch_row();
DROP FUNCTION normalize_text(text);
DROP FUNCTION app_clinic();
DROP EXTENSION unaccent;
DROP EXTENSION btree_gist;
