-- Who signed is the member who is the practitioner; what is signed can be withdrawn, and
-- knows whether it was amended; drafts are listed and can be discarded.

-- +goose Up
-- No clinic's: Postgres looks at rows as the owner does when a foreign key is added.
SELECT set_config('app.clinic', '00000000-0000-0000-0000-000000000000', true);
ALTER TABLE medical_records
  -- The member behind signed_by, found by medical_records_sign.
  ADD COLUMN signed_by_id uuid,
  -- When its amendment was signed, kept by medical_records_amended.
  ADD COLUMN amended_at timestamptz,
  ADD COLUMN withdrawn_at timestamptz,
  ADD COLUMN withdrawn_by text CHECK (char_length(withdrawn_by) <= 255),
  ADD COLUMN withdrawal_reason text CHECK (char_length(withdrawal_reason) BETWEEN 1 AND 1000),
  ADD CONSTRAINT medical_records_signed_by FOREIGN KEY (clinic_id, signed_by_id) REFERENCES memberships (clinic_id, id),
  ADD CONSTRAINT medical_records_withdrawn CHECK (num_nonnulls(withdrawn_at, withdrawn_by, withdrawal_reason) IN (0, 3)),
  ADD CONSTRAINT medical_records_drafts CHECK (signed_at IS NOT NULL OR num_nonnulls(signed_by_id, amended_at, withdrawn_at) = 0);

-- Once an amendment was withdrawn there may be another.
DROP INDEX idx_medical_records_amends;
CREATE UNIQUE INDEX idx_medical_records_amends ON medical_records (clinic_id, amends_id) WHERE amends_id IS NOT NULL AND withdrawn_at IS NULL;
-- For the foreign key: discarding a draft looks for what points at it.
CREATE INDEX idx_medical_records_amending ON medical_records (clinic_id, amends_id) WHERE amends_id IS NOT NULL;
CREATE INDEX idx_medical_records_drafts ON medical_records (clinic_id, created_at, id) WHERE signed_at IS NULL;
CREATE INDEX idx_medical_records_practitioner_drafts ON medical_records (clinic_id, practitioner_id, created_at, id) WHERE signed_at IS NULL;

-- +goose StatementBegin
-- What is there already. Row-level security binds the owner as well, so each clinic is
-- put in place in turn; the triggers would refuse it.
DO $$
DECLARE
  before text := coalesce(current_setting('app.clinic', true), '');
  one uuid;
BEGIN
  ALTER TABLE medical_records DISABLE TRIGGER USER;
  FOR one IN SELECT clinic FROM clinic_slugs LOOP
    PERFORM set_config('app.clinic', one::text, true);
    UPDATE medical_records r SET signed_by_id = m.id FROM memberships m
    WHERE r.clinic_id = one AND m.clinic_id = one AND m.subject = r.signed_by;
    UPDATE medical_records r SET amended_at = a.signed_at FROM medical_records a
    WHERE r.clinic_id = one AND a.clinic_id = one AND a.amends_id = r.id AND a.signed_at IS NOT NULL AND r.signed_at IS NOT NULL;
  END LOOP;
  PERFORM set_config('app.clinic', before, true);
  ALTER TABLE medical_records ENABLE TRIGGER USER;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Of a signed record nothing changes but that it was withdrawn, once, and that it was
-- amended, which the trigger of its amendment alone says.
CREATE OR REPLACE FUNCTION keep_signed_record() RETURNS trigger
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

-- The triggers above keep what is signed.
GRANT DELETE ON medical_records TO taskmed_app;

-- What they announce, anew: the list of drafts, too.
-- +goose StatementBegin
DO $$
DECLARE
  event text;
BEGIN
  FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
    EXECUTE format('DROP TRIGGER cache_tags_%s ON medical_records', event);
  END LOOP;
  DROP FUNCTION cache_tags_medical_records();
END $$;
-- +goose StatementEnd
SELECT cache_announce('medical_records',
  $$ARRAY['medical_record:' || r.id]$$,
  $$ARRAY['medical_record/contact=' || r.contact_id]
    || CASE WHEN r.appointment_id IS NULL THEN '{}' ELSE ARRAY['medical_record/appointment=' || r.appointment_id] END
    || CASE WHEN r.amends_id IS NULL THEN '{}' ELSE ARRAY['medical_record/amends=' || r.amends_id] END
    || CASE WHEN r.signed_at IS NULL THEN ARRAY['medical_record/drafts'] ELSE '{}' END$$,
  '{contact_id,appointment_id,amends_id,kind,created_at,practitioner_id,signed_at,withdrawn_at}');

-- An older binary would have anybody sign.
COMMENT ON TABLE goose_db_version IS 'oldest binary: 42';

-- +goose Down
COMMENT ON TABLE goose_db_version IS 'oldest binary: 20';
-- +goose StatementBegin
DO $$
DECLARE
  event text;
BEGIN
  FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
    EXECUTE format('DROP TRIGGER cache_tags_%s ON medical_records', event);
  END LOOP;
  DROP FUNCTION cache_tags_medical_records();
END $$;
-- +goose StatementEnd
SELECT cache_announce('medical_records',
  $$ARRAY['medical_record:' || r.id]$$,
  $$ARRAY['medical_record/contact=' || r.contact_id]
    || CASE WHEN r.appointment_id IS NULL THEN '{}' ELSE ARRAY['medical_record/appointment=' || r.appointment_id] END
    || CASE WHEN r.amends_id IS NULL THEN '{}' ELSE ARRAY['medical_record/amends=' || r.amends_id] END$$,
  '{contact_id,appointment_id,amends_id,kind,created_at}');
REVOKE DELETE ON medical_records FROM taskmed_app;
DROP TRIGGER medical_records_amended_new ON medical_records;
DROP TRIGGER medical_records_amended ON medical_records;
DROP FUNCTION medical_records_amended();
DROP TRIGGER medical_records_sign_new ON medical_records;
DROP TRIGGER medical_records_sign ON medical_records;
DROP FUNCTION medical_records_sign();
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION keep_signed_record() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a signed medical record is immutable'
    USING ERRCODE = 'restrict_violation', CONSTRAINT = 'medical_records_signed_immutable';
END $$;
-- +goose StatementEnd
DROP INDEX idx_medical_records_practitioner_drafts, idx_medical_records_drafts, idx_medical_records_amending, idx_medical_records_amends;
ALTER TABLE medical_records DROP COLUMN withdrawal_reason, DROP COLUMN withdrawn_by, DROP COLUMN withdrawn_at, DROP COLUMN amended_at, DROP COLUMN signed_by_id;
-- Of several amendments of one record, all but one withdrawn, nothing remains that tells
-- them apart: the index is no unique one then.
CREATE INDEX idx_medical_records_amends ON medical_records (clinic_id, amends_id) WHERE amends_id IS NOT NULL;
