-- What lists of contacts are narrowed by, each with an index that serves it under
-- row-level security; and lists leave out who is archived unless they are asked for.

-- +goose Up
-- Month and day of birth as a number, 229 for the 29th of February.
ALTER TABLE contacts ADD COLUMN birthday smallint GENERATED ALWAYS AS
  ((extract(month FROM birth_date) * 100 + extract(day FROM birth_date))::smallint) STORED;
CREATE INDEX idx_contacts_clinic_birthday ON contacts (clinic_id, birthday, id);

-- The orders of lists without archived contacts, however many of those there are, and
-- of lists of a status.
DROP INDEX idx_contacts_clinic_name, idx_contacts_clinic_created, idx_contacts_clinic_updated;
CREATE INDEX idx_contacts_clinic_name ON contacts (clinic_id, name_key, id) WHERE status <> 'arquivado';
CREATE INDEX idx_contacts_clinic_created ON contacts (clinic_id, created_at, id) WHERE status <> 'arquivado';
CREATE INDEX idx_contacts_clinic_updated ON contacts (clinic_id, updated_at, id) WHERE status <> 'arquivado';
CREATE INDEX idx_contacts_clinic_status_created ON contacts (clinic_id, status, created_at, id);
CREATE INDEX idx_contacts_clinic_status_updated ON contacts (clinic_id, status, updated_at, id);
-- Few patients lack a CPF: without this they would be looked for among all.
CREATE INDEX idx_contacts_clinic_without_tax_id ON contacts (clinic_id, name_key, id) WHERE tax_id IS NULL AND status <> 'arquivado';

-- Whose appointments are with whom.
CREATE INDEX idx_appointments_practitioner_contact ON appointments (clinic_id, practitioner_id, contact_id);

-- A row per contact and label: operators of arrays are not leakproof, so that no index
-- of contacts.tags could be used.
CREATE TABLE contact_tags (
  clinic_id uuid NOT NULL,
  tag text COLLATE "C" NOT NULL,
  contact_id uuid NOT NULL,
  PRIMARY KEY (clinic_id, tag, contact_id),
  FOREIGN KEY (clinic_id, contact_id) REFERENCES contacts (clinic_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_contact_tags_contact ON contact_tags (clinic_id, contact_id);
SELECT protect_tenant_table('contact_tags', 'SELECT, INSERT, DELETE');
SELECT cache_unread('contact_tags', 'it follows contacts.tags, which announces');

-- +goose StatementBegin
-- Keeps contact_tags as contacts.tags is. Like the search's tables it stands back for a
-- bulk load, which rebuild_contact_search ends.
CREATE FUNCTION contact_tags_follow() RETURNS trigger
LANGUAGE plpgsql SET enable_seqscan = off
AS $$
BEGIN
  IF current_setting('app.contact_search', true) = 'deferred' THEN
    RETURN NULL;
  END IF;
  IF TG_OP = 'INSERT' THEN
    INSERT INTO contact_tags (clinic_id, tag, contact_id)
    SELECT DISTINCT n.clinic_id, t.tag, n.id FROM new_rows n, unnest(n.tags) AS t (tag) WHERE t.tag IS NOT NULL;
    RETURN NULL;
  END IF;
  DELETE FROM contact_tags g
  USING (SELECT o.clinic_id, o.id FROM old_rows o LEFT JOIN new_rows n ON n.clinic_id = o.clinic_id AND n.id = o.id
         WHERE o.tags IS DISTINCT FROM n.tags OFFSET 0) gone
  WHERE g.clinic_id = gone.clinic_id AND g.contact_id = gone.id;
  INSERT INTO contact_tags (clinic_id, tag, contact_id)
  SELECT DISTINCT n.clinic_id, t.tag, n.id
  FROM new_rows n LEFT JOIN old_rows o ON o.clinic_id = n.clinic_id AND o.id = n.id, unnest(n.tags) AS t (tag)
  WHERE o.tags IS DISTINCT FROM n.tags AND t.tag IS NOT NULL;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER contacts_tags_insert AFTER INSERT ON contacts
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION contact_tags_follow();
CREATE TRIGGER contacts_tags_update AFTER UPDATE ON contacts
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION contact_tags_follow();

-- +goose StatementBegin
-- Makes a clinic's search anew from its contacts; app.clinic must be set to
-- it. For bulk loads, and for a doctor who found it wanting. Contacts of the
-- clinic cannot be changed while it runs; new ones can be added.
CREATE OR REPLACE FUNCTION rebuild_contact_search(clinic uuid) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
  before text := coalesce(current_setting('app.contact_search', true), '');
  added bigint;
BEGIN
  PERFORM FROM contacts c WHERE c.clinic_id = clinic ORDER BY c.id FOR SHARE;
  PERFORM set_config('app.contact_search', 'deferred', true);
  -- Both in one statement, so that they delete the same contacts' rows.
  WITH rows_gone AS (DELETE FROM contact_search s WHERE s.clinic_id = clinic)
  DELETE FROM contact_search_words w WHERE w.clinic_id = clinic;
  WITH fresh AS (
    INSERT INTO contact_search
    SELECT r.* FROM contacts c,
      LATERAL contact_search_row(c.clinic_id, c.id, c.name, c.preferred_name, c.email, c.phone, c.tax_id, c.status) r
    WHERE c.clinic_id = clinic
    ON CONFLICT (clinic_id, contact_id) DO NOTHING
    RETURNING clinic_id, contact_id, archived, line)
  , spread AS (
    INSERT INTO contact_search_words (clinic_id, word, archived, place, line, contact_id)
    SELECT f.clinic_id, e.word, f.archived, e.place, f.line, f.contact_id
    FROM fresh f, LATERAL contact_search_entries(f.line) e
    ORDER BY e.word, f.archived, e.place, f.line, f.contact_id)
  SELECT count(*) INTO added FROM fresh;
  PERFORM contact_search_learn(clinic, ARRAY(SELECT DISTINCT w.word FROM contact_search_words w WHERE w.clinic_id = clinic));
  PERFORM contact_search_forget(clinic, ARRAY(SELECT v.word FROM contact_search_vocabulary v WHERE v.clinic_id = clinic));
  DELETE FROM contact_search_phones s WHERE s.clinic_id = clinic;
  INSERT INTO contact_search_phones (clinic_id, phone_tail, phone_national, phone_local, contact_id)
  SELECT DISTINCT clinic, r.phone_tail, r.phone_national, r.phone_local, c.id
  FROM contacts c, unnest(c.other_phones) AS p (phone),
    LATERAL contact_search_row(c.clinic_id, c.id, '', NULL, NULL, p.phone, NULL, c.status) r
  WHERE c.clinic_id = clinic;
  DELETE FROM contact_tags g WHERE g.clinic_id = clinic;
  INSERT INTO contact_tags (clinic_id, tag, contact_id)
  SELECT DISTINCT clinic, t.tag, c.id FROM contacts c, unnest(c.tags) AS t (tag) WHERE c.clinic_id = clinic AND t.tag IS NOT NULL;
  PERFORM set_config('app.contact_search', before, true);
  RETURN added;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The labels that there are. Row-level security binds the owner as well, so each clinic
-- is put in place in turn.
DO $$
DECLARE
  before text := coalesce(current_setting('app.clinic', true), '');
  one uuid;
BEGIN
  FOR one IN SELECT clinic FROM clinic_slugs LOOP
    PERFORM set_config('app.clinic', one::text, true);
    INSERT INTO contact_tags (clinic_id, tag, contact_id)
    SELECT DISTINCT one, t.tag, c.id FROM contacts c, unnest(c.tags) AS t (tag) WHERE c.clinic_id = one AND t.tag IS NOT NULL;
  END LOOP;
  PERFORM set_config('app.clinic', before, true);
END $$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
-- Makes a clinic's search anew from its contacts; app.clinic must be set to
-- it. For bulk loads, and for a doctor who found it wanting. Contacts of the
-- clinic cannot be changed while it runs; new ones can be added.
CREATE OR REPLACE FUNCTION rebuild_contact_search(clinic uuid) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
  before text := coalesce(current_setting('app.contact_search', true), '');
  added bigint;
BEGIN
  PERFORM FROM contacts c WHERE c.clinic_id = clinic ORDER BY c.id FOR SHARE;
  PERFORM set_config('app.contact_search', 'deferred', true);
  -- Both in one statement, so that they delete the same contacts' rows.
  WITH rows_gone AS (DELETE FROM contact_search s WHERE s.clinic_id = clinic)
  DELETE FROM contact_search_words w WHERE w.clinic_id = clinic;
  WITH fresh AS (
    INSERT INTO contact_search
    SELECT r.* FROM contacts c,
      LATERAL contact_search_row(c.clinic_id, c.id, c.name, c.preferred_name, c.email, c.phone, c.tax_id, c.status) r
    WHERE c.clinic_id = clinic
    ON CONFLICT (clinic_id, contact_id) DO NOTHING
    RETURNING clinic_id, contact_id, archived, line)
  , spread AS (
    INSERT INTO contact_search_words (clinic_id, word, archived, place, line, contact_id)
    SELECT f.clinic_id, e.word, f.archived, e.place, f.line, f.contact_id
    FROM fresh f, LATERAL contact_search_entries(f.line) e
    ORDER BY e.word, f.archived, e.place, f.line, f.contact_id)
  SELECT count(*) INTO added FROM fresh;
  PERFORM contact_search_learn(clinic, ARRAY(SELECT DISTINCT w.word FROM contact_search_words w WHERE w.clinic_id = clinic));
  PERFORM contact_search_forget(clinic, ARRAY(SELECT v.word FROM contact_search_vocabulary v WHERE v.clinic_id = clinic));
  DELETE FROM contact_search_phones s WHERE s.clinic_id = clinic;
  INSERT INTO contact_search_phones (clinic_id, phone_tail, phone_national, phone_local, contact_id)
  SELECT DISTINCT clinic, r.phone_tail, r.phone_national, r.phone_local, c.id
  FROM contacts c, unnest(c.other_phones) AS p (phone),
    LATERAL contact_search_row(c.clinic_id, c.id, '', NULL, NULL, p.phone, NULL, c.status) r
  WHERE c.clinic_id = clinic;
  PERFORM set_config('app.contact_search', before, true);
  RETURN added;
END $$;
-- +goose StatementEnd
DROP TRIGGER contacts_tags_update ON contacts;
DROP TRIGGER contacts_tags_insert ON contacts;
DROP FUNCTION contact_tags_follow();
DROP TABLE contact_tags;
DROP INDEX idx_appointments_practitioner_contact, idx_contacts_clinic_without_tax_id, idx_contacts_clinic_status_updated,
  idx_contacts_clinic_status_created, idx_contacts_clinic_updated, idx_contacts_clinic_created, idx_contacts_clinic_name, idx_contacts_clinic_birthday;
ALTER TABLE contacts DROP COLUMN birthday;
CREATE INDEX idx_contacts_clinic_name ON contacts (clinic_id, name_key, id);
CREATE INDEX idx_contacts_clinic_created ON contacts (clinic_id, created_at, id);
CREATE INDEX idx_contacts_clinic_updated ON contacts (clinic_id, updated_at, id);
