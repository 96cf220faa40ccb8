-- Medical records. A draft can change; a signed record never does.

-- +goose Up
CREATE TABLE medical_records (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  contact_id uuid NOT NULL,
  practitioner_id uuid NOT NULL,
  appointment_id uuid,
  kind text NOT NULL CHECK (kind IN
    ('evolution', 'anamnesis', 'prescription', 'exam_request', 'exam_result', 'certificate', 'referral')),
  title text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 300),
  body text NOT NULL CHECK (char_length(body) BETWEEN 1 AND 100000),
  codes text[] NOT NULL DEFAULT '{}' CHECK (cardinality(codes) <= 50),
  data jsonb CHECK (octet_length(data::text) <= 262144),
  signed_at timestamptz,
  signed_by text CHECK (char_length(signed_by) <= 255),
  digest text CHECK (digest ~ '^[0-9a-f]{64}$'),
  amends_id uuid,
  amendment_reason text CHECK (char_length(amendment_reason) BETWEEN 1 AND 1000),
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, contact_id) REFERENCES contacts (clinic_id, id),
  FOREIGN KEY (clinic_id, practitioner_id) REFERENCES practitioners (clinic_id, id),
  FOREIGN KEY (clinic_id, appointment_id) REFERENCES appointments (clinic_id, id),
  FOREIGN KEY (clinic_id, amends_id) REFERENCES medical_records (clinic_id, id),
  CHECK (num_nonnulls(signed_at, signed_by, digest) IN (0, 3)),
  CHECK ((amends_id IS NULL) = (amendment_reason IS NULL)),
  CHECK (amends_id <> id)
);
CREATE INDEX idx_medical_records_contact_date ON medical_records (clinic_id, contact_id, created_at);
CREATE INDEX idx_medical_records_contact_kind ON medical_records (clinic_id, contact_id, kind, created_at, id);
CREATE INDEX idx_medical_records_appointment ON medical_records (clinic_id, appointment_id, created_at, id) WHERE appointment_id IS NOT NULL;
CREATE INDEX idx_medical_records_practitioner ON medical_records (clinic_id, practitioner_id, created_at);

-- A record is amended once; the next correction amends the amendment, so its
-- versions are a line and not a tree.
CREATE UNIQUE INDEX idx_medical_records_amends ON medical_records (clinic_id, amends_id) WHERE amends_id IS NOT NULL;

-- +goose StatementBegin
CREATE FUNCTION keep_signed_record() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a signed medical record is immutable'
    USING ERRCODE = 'restrict_violation', CONSTRAINT = 'medical_records_signed_immutable';
END $$;
-- +goose StatementEnd

-- Named to fire before medical_records_touch: triggers run in order of name.
CREATE TRIGGER medical_records_keep_signed BEFORE UPDATE OR DELETE ON medical_records
  FOR EACH ROW WHEN (OLD.signed_at IS NOT NULL) EXECUTE FUNCTION keep_signed_record();
CREATE TRIGGER medical_records_touch BEFORE UPDATE ON medical_records FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('medical_records', 'SELECT, INSERT, UPDATE');
SELECT cache_announce('medical_records',
  $$ARRAY['medical_record:' || r.id]$$,
  $$ARRAY['medical_record/contact=' || r.contact_id]
    || CASE WHEN r.appointment_id IS NULL THEN '{}' ELSE ARRAY['medical_record/appointment=' || r.appointment_id] END
    || CASE WHEN r.amends_id IS NULL THEN '{}' ELSE ARRAY['medical_record/amends=' || r.amends_id] END$$,
  '{contact_id,appointment_id,amends_id,kind,created_at}');

CREATE TABLE attachments (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  medical_record_id uuid NOT NULL,
  file_name text NOT NULL CHECK (char_length(file_name) BETWEEN 1 AND 255),
  media_type text NOT NULL CHECK (char_length(media_type) BETWEEN 3 AND 255),
  byte_size integer NOT NULL CHECK (byte_size >= 0),
  digest text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
  storage_key text NOT NULL CHECK (char_length(storage_key) BETWEEN 1 AND 500),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, medical_record_id) REFERENCES medical_records (clinic_id, id)
);
CREATE INDEX idx_attachments_record ON attachments (clinic_id, medical_record_id, created_at, id);
SELECT protect_tenant_table('attachments', 'SELECT, INSERT');
SELECT cache_announce('attachments',
  $$ARRAY['attachment:' || r.id]$$, $$ARRAY['attachment/medical_record=' || r.medical_record_id]$$, '{medical_record_id,created_at}');

-- +goose Down
DROP TABLE attachments, medical_records;
DROP FUNCTION keep_signed_record();
DROP FUNCTION cache_tags_attachments();
DROP FUNCTION cache_tags_medical_records();
