-- Files of medical records (docs/decisions/0021). A row of attachments is a file whose
-- object is in the store; what is still awaited is in attachment_uploads, and objects
-- that are to go are in attachment_removals, so that no kill leaves an object behind of
-- which no row tells.

-- +goose Up
CREATE TABLE attachments (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  medical_record_id uuid NOT NULL,
  file_name text NOT NULL CHECK (char_length(file_name) BETWEEN 1 AND 255),
  media_type text NOT NULL CHECK (char_length(media_type) BETWEEN 3 AND 255),
  byte_size integer NOT NULL CHECK (byte_size >= 1),
  digest text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, medical_record_id) REFERENCES medical_records (clinic_id, id)
);
CREATE INDEX idx_attachments_record ON attachments (clinic_id, medical_record_id, created_at, id);
SELECT protect_tenant_table('attachments', 'SELECT, INSERT, DELETE');
SELECT cache_announce('attachments',
  $$ARRAY['attachment:' || r.id]$$, $$ARRAY['attachment/medical_record=' || r.medical_record_id]$$, '{medical_record_id,created_at}');

CREATE TABLE attachment_uploads (
  clinic_id uuid NOT NULL,
  -- The attachment's, once there is one, and its object's.
  id uuid NOT NULL,
  medical_record_id uuid NOT NULL,
  file_name text NOT NULL CHECK (char_length(file_name) BETWEEN 1 AND 255),
  media_type text NOT NULL CHECK (char_length(media_type) BETWEEN 3 AND 255),
  byte_size integer NOT NULL CHECK (byte_size >= 1),
  digest text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
  -- SHA-256 of the address's secret, which nobody keeps.
  token_hash bytea NOT NULL CHECK (octet_length(token_hash) = 32),
  requested_by text NOT NULL CHECK (char_length(requested_by) BETWEEN 1 AND 255),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  -- When somebody began to upload: an address is used once.
  taken_at timestamptz,
  -- When that came to an end, be it an attachment or nothing.
  ended_at timestamptz,
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, medical_record_id) REFERENCES medical_records (clinic_id, id),
  CHECK (ended_at IS NULL OR taken_at IS NOT NULL)
);
CREATE UNIQUE INDEX idx_attachment_uploads_token ON attachment_uploads (clinic_id, token_hash);
CREATE INDEX idx_attachment_uploads_record ON attachment_uploads (clinic_id, medical_record_id);
CREATE INDEX idx_attachment_uploads_work ON attachment_uploads (expires_at);
SELECT protect_tenant_table('attachment_uploads', 'SELECT, INSERT, DELETE');
GRANT UPDATE (taken_at, ended_at) ON attachment_uploads TO taskmed_app;
SELECT cache_unread('attachment_uploads', 'nobody reads what is still awaited');

CREATE TABLE attachment_removals (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  -- Not before who may still be storing it has been cut off.
  due_at timestamptz NOT NULL,
  -- Since when it is to go, however often that was put off.
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id)
);
CREATE INDEX idx_attachment_removals_work ON attachment_removals (due_at);
CREATE INDEX idx_attachment_removals_created ON attachment_removals (created_at);
SELECT protect_tenant_table('attachment_removals', 'SELECT, INSERT, DELETE');
GRANT UPDATE (due_at) ON attachment_removals TO taskmed_app;
SELECT cache_unread('attachment_removals', 'nobody reads what is to go');

-- +goose StatementBegin
-- Attachments come and go with drafts alone: those that a record has when it is signed are
-- part of what is signed. The draft is locked, and its version counts them, so that who
-- signs what they read is told that there is another file.
CREATE FUNCTION attachments_of_drafts() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
  r record := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
BEGIN
  UPDATE medical_records m SET updated_at = m.updated_at
  WHERE m.clinic_id = r.clinic_id AND m.id = r.medical_record_id AND m.signed_at IS NULL;
  IF NOT FOUND AND EXISTS (SELECT FROM medical_records m WHERE m.clinic_id = r.clinic_id AND m.id = r.medical_record_id) THEN
    RAISE EXCEPTION 'a signed medical record is immutable, and its attachments are part of it'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = 'attachments_signed_immutable';
  END IF;
  RETURN r;
END $$;
-- +goose StatementEnd
CREATE TRIGGER attachments_of_drafts BEFORE INSERT OR DELETE ON attachments FOR EACH ROW EXECUTE FUNCTION attachments_of_drafts();

-- +goose StatementBegin
-- An object goes after the row that told of it, and what is gone is told of until then.
CREATE FUNCTION attachments_removed() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF TG_TABLE_NAME = 'attachment_uploads' THEN
    -- Nothing was begun, or it is an attachment's by now.
    IF OLD.taken_at IS NULL OR EXISTS (SELECT FROM attachments a WHERE a.clinic_id = OLD.clinic_id AND a.id = OLD.id) THEN
      RETURN NULL;
    END IF;
    INSERT INTO attachment_removals (clinic_id, id, due_at)
    VALUES (OLD.clinic_id, OLD.id, clock_timestamp() + CASE WHEN OLD.ended_at IS NULL THEN interval '1 hour' ELSE interval '0' END)
    ON CONFLICT (clinic_id, id) DO UPDATE SET due_at = greatest(attachment_removals.due_at, EXCLUDED.due_at);
    RETURN NULL;
  END IF;
  INSERT INTO attachment_removals (clinic_id, id, due_at) VALUES (OLD.clinic_id, OLD.id, clock_timestamp())
  ON CONFLICT (clinic_id, id) DO NOTHING;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER attachments_removed AFTER DELETE ON attachments FOR EACH ROW EXECUTE FUNCTION attachments_removed();
CREATE TRIGGER attachment_uploads_removed AFTER DELETE ON attachment_uploads FOR EACH ROW EXECUTE FUNCTION attachments_removed();

-- Sweepers ask which clinics have something to clear before they work for one.
GRANT SELECT ON attachment_uploads, attachment_removals TO taskmed_lookup;
CREATE POLICY lookup ON attachment_uploads FOR SELECT TO taskmed_lookup USING (true);
CREATE POLICY lookup ON attachment_removals FOR SELECT TO taskmed_lookup USING (true);

-- +goose StatementBegin
CREATE FUNCTION attachment_work(most integer) RETURNS TABLE (clinic uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT DISTINCT w.clinic_id FROM (
    (SELECT u.clinic_id FROM public.attachment_uploads u WHERE u.expires_at <= clock_timestamp() - interval '1 hour' ORDER BY u.expires_at LIMIT most * 20)
    UNION ALL
    (SELECT r.clinic_id FROM public.attachment_removals r WHERE r.due_at <= clock_timestamp() ORDER BY r.due_at LIMIT most * 20)) w
  LIMIT most
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- For how many seconds the object that is to go from the store, and is to for longest, is,
-- over all clinics.
CREATE FUNCTION attachment_figures() RETURNS TABLE (oldest float8)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(r.created_at))), 0)::float8 FROM public.attachment_removals r
$$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION attachment_work(integer), attachment_figures() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION attachment_work(integer), attachment_figures() TO taskmed_app;
GRANT CREATE ON SCHEMA public TO taskmed_lookup;
ALTER FUNCTION attachment_work(integer) OWNER TO taskmed_lookup;
ALTER FUNCTION attachment_figures() OWNER TO taskmed_lookup;
REVOKE CREATE ON SCHEMA public FROM taskmed_lookup;

-- +goose Down
DROP FUNCTION attachment_figures();
DROP FUNCTION attachment_work(integer);
DROP TABLE attachment_removals, attachment_uploads, attachments;
DROP FUNCTION attachments_removed();
DROP FUNCTION attachments_of_drafts();
DROP FUNCTION cache_tags_attachments();
