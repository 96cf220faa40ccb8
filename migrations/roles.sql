-- The roles TaskMed needs, made once per Postgres server by a superuser (or,
-- on a managed server, by a role with CREATEROLE). It may run any number of
-- times. Passwords are set apart from it:
--
--     ALTER ROLE taskmed_owner PASSWORD '…';
--     ALTER ROLE taskmed_app PASSWORD '…';
--
-- and the database is made with
--
--     CREATE DATABASE taskmed OWNER taskmed_owner;

DO $roles$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['taskmed_owner', 'taskmed_app', 'taskmed_lookup'] LOOP
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
        EXECUTE format('CREATE ROLE %I', wanted);
      END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      -- Someone else made it between the look and the making.
      NULL;
    END;
  END LOOP;
END
$roles$;

-- Owns the databases and runs the migrations; never serves a request.
ALTER ROLE taskmed_owner LOGIN NOCREATEDB NOCREATEROLE;

-- Serves requests. Not an owner and not exempt from row-level security: that
-- is what keeps one clinic's rows from another's.
ALTER ROLE taskmed_app LOGIN NOCREATEDB NOCREATEROLE;

-- Owns the few functions that must look before a clinic is known (a key's
-- hash, a feed's secret). Nobody can log in as it.
ALTER ROLE taskmed_lookup NOLOGIN NOCREATEDB NOCREATEROLE;

-- Naming SUPERUSER or BYPASSRLS in ALTER ROLE takes a superuser, so their
-- absence is checked instead: it works on managed servers too.
DO $check$
DECLARE
  strong text;
BEGIN
  SELECT string_agg(rolname, ', ') INTO strong
  FROM pg_roles
  WHERE rolname IN ('taskmed_owner', 'taskmed_app', 'taskmed_lookup')
    AND (rolsuper OR rolbypassrls);
  IF strong IS NOT NULL THEN
    RAISE EXCEPTION 'these roles must be neither SUPERUSER nor BYPASSRLS: %', strong;
  END IF;
END
$check$;

-- The owner hands functions over to it, which takes membership.
GRANT taskmed_lookup TO taskmed_owner;
