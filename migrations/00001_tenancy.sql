-- The ground of tenancy: who is a clinic, and the rules that every other table is put
-- under. The roles are made by roles.sql.

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
-- For functions that go through all clinics, as a role that has policies of its own: sets
-- no clinic, so that the tenants' policy adds nothing to those, and answers with what was
-- set, which the caller sets again before it ends.
CREATE FUNCTION put_clinic_aside() RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  before text := coalesce(current_setting('app.clinic', true), '');
BEGIN
  PERFORM set_config('app.clinic', '00000000-0000-0000-0000-000000000000', true);
  RETURN before;
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION put_clinic_aside() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION put_clinic_aside() TO taskmed_lookup;

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
  slot_grid_minutes integer NOT NULL DEFAULT 15 CHECK (slot_grid_minutes BETWEEN 1 AND 240),
  pix_key text CHECK (char_length(pix_key) BETWEEN 1 AND 77),
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TRIGGER clinics_touch BEFORE UPDATE ON clinics FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('clinics', 'SELECT', 'id');
GRANT UPDATE (name, time_zone, slot_grid_minutes, pix_key) ON clinics TO taskmed_app;

-- Slugs are unique over all clinics, which no key led by the clinic can say;
-- so they stand in a table of their own that the application cannot read. It is
-- no tenant's table, hence the column's name: a clinic_id is always protected.
CREATE TABLE clinic_slugs (
  slug text PRIMARY KEY,
  clinic uuid NOT NULL
);

-- Servers compare what was applied with what they were built with.
GRANT SELECT ON goose_db_version TO taskmed_app;

-- The newest migration that the oldest binary knows which may serve this
-- database: binaries are rolled back without their migrations. A migration that
-- takes something away, or adds what an older binary's writes lack, raises it.
COMMENT ON TABLE goose_db_version IS 'oldest binary: 20';

-- +goose Down
COMMENT ON TABLE goose_db_version IS NULL;
REVOKE SELECT ON goose_db_version FROM taskmed_app;
DROP TABLE clinic_slugs, clinics;
REVOKE USAGE ON SCHEMA public FROM taskmed_app, taskmed_lookup;
DROP FUNCTION protect_tenant_table(regclass, text, name);
DROP FUNCTION touch_row();
DROP FUNCTION normalize_text(text);
DROP FUNCTION put_clinic_aside();
DROP FUNCTION app_clinic();
DROP EXTENSION unaccent;
DROP EXTENSION btree_gist;
