-- Medical records. A draft can change and be discarded. Who signs is the member who is
-- the practitioner; of what is signed nothing changes but that it was withdrawn or amended.

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
  -- The member behind signed_by, found by medical_records_sign.
  signed_by_id uuid,
  -- When its amendment was signed, kept by medical_records_amended.
  amended_at timestamptz,
  withdrawn_at timestamptz,
  withdrawn_by text CHECK (char_length(withdrawn_by) <= 255),
  withdrawal_reason text CHECK (char_length(withdrawal_reason) BETWEEN 1 AND 1000),
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
  CHECK (amends_id <> id),
  CONSTRAINT medical_records_signed_by FOREIGN KEY (clinic_id, signed_by_id) REFERENCES memberships (clinic_id, id),
  CONSTRAINT medical_records_withdrawn CHECK (num_nonnulls(withdrawn_at, withdrawn_by, withdrawal_reason) IN (0, 3)),
  CONSTRAINT medical_records_drafts CHECK (signed_at IS NOT NULL OR num_nonnulls(signed_by_id, amended_at, withdrawn_at) = 0)
);
CREATE INDEX idx_medical_records_contact_date ON medical_records (clinic_id, contact_id, created_at);
CREATE INDEX idx_medical_records_contact_kind ON medical_records (clinic_id, contact_id, kind, created_at, id);
CREATE INDEX idx_medical_records_appointment ON medical_records (clinic_id, appointment_id, created_at, id) WHERE appointment_id IS NOT NULL;
CREATE INDEX idx_medical_records_practitioner ON medical_records (clinic_id, practitioner_id, created_at);

-- A record is amended once; the next correction amends the amendment, so its
-- versions are a line and not a tree. Once an amendment was withdrawn there may be another.
CREATE UNIQUE INDEX idx_medical_records_amends ON medical_records (clinic_id, amends_id) WHERE amends_id IS NOT NULL AND withdrawn_at IS NULL;
-- For the foreign key: discarding a draft looks for what points at it.
CREATE INDEX idx_medical_records_amending ON medical_records (clinic_id, amends_id) WHERE amends_id IS NOT NULL;
CREATE INDEX idx_medical_records_drafts ON medical_records (clinic_id, created_at, id) WHERE signed_at IS NULL;
CREATE INDEX idx_medical_records_practitioner_drafts ON medical_records (clinic_id, practitioner_id, created_at, id) WHERE signed_at IS NULL;

-- +goose StatementBegin
-- Of a signed record nothing changes but that it was withdrawn, once, and that it was
-- amended, which the trigger of its amendment alone says.
CREATE FUNCTION keep_signed_record() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
  apart CONSTANT text[] := '{withdrawn_at,withdrawn_by,withdrawal_reason,amended_at,version,updated_at}';
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF to_jsonb(NEW) - apart = to_jsonb(OLD) - apart AND (
      OLD.withdrawn_at IS NULL AND NEW.withdrawn_at IS NOT NULL AND NEW.amended_at IS NOT DISTINCT FROM OLD.amended_at
      OR pg_trigger_depth() > 1 AND NEW.amended_at IS DISTINCT FROM OLD.amended_at
        AND (NEW.withdrawn_at, NEW.withdrawn_by, NEW.withdrawal_reason) IS NOT DISTINCT FROM (OLD.withdrawn_at, OLD.withdrawn_by, OLD.withdrawal_reason)) THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'a signed medical record is immutable'
    USING ERRCODE = 'restrict_violation', CONSTRAINT = 'medical_records_signed_immutable';
END $$;
-- +goose StatementEnd

-- Named to fire before medical_records_touch: triggers run in order of name.
CREATE TRIGGER medical_records_keep_signed BEFORE UPDATE OR DELETE ON medical_records
  FOR EACH ROW WHEN (OLD.signed_at IS NOT NULL) EXECUTE FUNCTION keep_signed_record();
-- +goose StatementBegin
CREATE FUNCTION medical_records_sign() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  -- Locked: who the practitioner is must not change before this is committed.
  SELECT m.id INTO NEW.signed_by_id
  FROM practitioners p JOIN memberships m ON m.clinic_id = p.clinic_id AND m.id = p.member_id
  WHERE p.clinic_id = NEW.clinic_id AND p.id = NEW.practitioner_id AND m.subject = NEW.signed_by AND m.revoked_at IS NULL
  FOR SHARE OF p;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'only the member who is the practitioner signs' USING ERRCODE = 'check_violation', CONSTRAINT = 'medical_records_signer';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd
-- Triggers run in order of name: after medical_records_keep_signed.
CREATE TRIGGER medical_records_sign BEFORE UPDATE ON medical_records
  FOR EACH ROW WHEN (OLD.signed_at IS NULL AND NEW.signed_at IS NOT NULL) EXECUTE FUNCTION medical_records_sign();
CREATE TRIGGER medical_records_sign_new BEFORE INSERT ON medical_records
  FOR EACH ROW WHEN (NEW.signed_at IS NOT NULL) EXECUTE FUNCTION medical_records_sign();

-- +goose StatementBegin
-- An amendment that is signed, or withdrawn, says so of the record that it amends.
CREATE FUNCTION medical_records_amended() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.withdrawn_at IS NOT NULL THEN
    UPDATE medical_records r SET amended_at = NULL WHERE r.clinic_id = NEW.clinic_id AND r.id = NEW.amends_id AND r.amended_at IS NOT NULL;
    RETURN NULL;
  END IF;
  UPDATE medical_records r SET amended_at = NEW.signed_at
  WHERE r.clinic_id = NEW.clinic_id AND r.id = NEW.amends_id AND r.signed_at IS NOT NULL AND r.withdrawn_at IS NULL;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'what it amends was withdrawn' USING ERRCODE = 'check_violation', CONSTRAINT = 'medical_records_amends_withdrawn';
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER medical_records_amended AFTER UPDATE ON medical_records
  FOR EACH ROW WHEN (NEW.amends_id IS NOT NULL AND (OLD.signed_at IS NULL AND NEW.signed_at IS NOT NULL OR OLD.withdrawn_at IS NULL AND NEW.withdrawn_at IS NOT NULL))
  EXECUTE FUNCTION medical_records_amended();
CREATE TRIGGER medical_records_amended_new AFTER INSERT ON medical_records
  FOR EACH ROW WHEN (NEW.amends_id IS NOT NULL AND NEW.signed_at IS NOT NULL) EXECUTE FUNCTION medical_records_amended();

CREATE TRIGGER medical_records_touch BEFORE UPDATE ON medical_records FOR EACH ROW EXECUTE FUNCTION touch_row();
-- The triggers keep what is signed.
SELECT protect_tenant_table('medical_records', 'SELECT, INSERT, UPDATE, DELETE');
SELECT cache_announce('medical_records',
  $$ARRAY['medical_record:' || r.id]$$,
  $$ARRAY['medical_record/contact=' || r.contact_id]
    || CASE WHEN r.appointment_id IS NULL THEN '{}' ELSE ARRAY['medical_record/appointment=' || r.appointment_id] END
    || CASE WHEN r.amends_id IS NULL THEN '{}' ELSE ARRAY['medical_record/amends=' || r.amends_id] END
    || CASE WHEN r.signed_at IS NULL THEN ARRAY['medical_record/drafts'] ELSE '{}' END$$,
  '{contact_id,appointment_id,amends_id,kind,created_at,practitioner_id,signed_at,withdrawn_at}');

-- +goose Down
DROP TABLE medical_records;
DROP FUNCTION medical_records_amended();
DROP FUNCTION medical_records_sign();
DROP FUNCTION keep_signed_record();
DROP FUNCTION cache_tags_medical_records();
