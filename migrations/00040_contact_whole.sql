-- The contact whole: who a person is beyond a name and a number, where they live, who
-- decides for them and who pays. Their further numbers are found by searches, too.

-- +goose Up
-- No clinic's: Postgres looks at rows as the owner does when a foreign key is added.
SELECT set_config('app.clinic', '00000000-0000-0000-0000-000000000000', true);
ALTER TABLE contacts
  -- FHIR R4 administrative-gender.
  ADD COLUMN sex text NOT NULL DEFAULT 'unknown' CHECK (sex IN ('female', 'male', 'other', 'unknown')),
  ADD COLUMN deceased_on date,
  ADD COLUMN other_phones text[] NOT NULL DEFAULT '{}'
    CONSTRAINT contacts_other_phones CHECK (other_phones::text ~ '^\{(\+[1-9][0-9]{6,14}(,\+[1-9][0-9]{6,14}){0,9})?\}$'),
  ADD COLUMN guardian_id uuid,
  ADD COLUMN address_street text CHECK (char_length(address_street) BETWEEN 1 AND 200),
  ADD COLUMN address_number text CHECK (char_length(address_number) BETWEEN 1 AND 20),
  ADD COLUMN address_complement text CHECK (char_length(address_complement) BETWEEN 1 AND 100),
  ADD COLUMN address_district text CHECK (char_length(address_district) BETWEEN 1 AND 100),
  ADD COLUMN address_city text CHECK (char_length(address_city) BETWEEN 1 AND 100),
  ADD COLUMN address_state text CHECK (char_length(address_state) BETWEEN 1 AND 50),
  ADD COLUMN address_postal_code text CHECK (char_length(address_postal_code) BETWEEN 1 AND 20),
  -- ISO 3166-1 alpha-2; an address is there if its country is.
  ADD COLUMN address_country text CHECK (address_country ~ '^[A-Z]{2}$'),
  ADD COLUMN health_plan_name text CHECK (char_length(health_plan_name) BETWEEN 1 AND 100),
  ADD COLUMN health_plan_card_number text CHECK (char_length(health_plan_card_number) BETWEEN 1 AND 50),
  ADD COLUMN health_plan_valid_until date,
  ADD CONSTRAINT contacts_guardian FOREIGN KEY (clinic_id, guardian_id) REFERENCES contacts (clinic_id, id),
  ADD CONSTRAINT contacts_own_guardian CHECK (guardian_id <> id),
  ADD CONSTRAINT contacts_deceased_on CHECK (deceased_on >= birth_date),
  ADD CONSTRAINT contacts_address CHECK (address_country IS NOT NULL OR num_nonnulls(address_street, address_number,
    address_complement, address_district, address_city, address_state, address_postal_code) = 0),
  ADD CONSTRAINT contacts_brazilian_address CHECK (address_country <> 'BR' OR coalesce(address_postal_code ~ '^[0-9]{8}$', true)
    AND coalesce(address_state IN ('AC', 'AL', 'AM', 'AP', 'BA', 'CE', 'DF', 'ES', 'GO', 'MA', 'MG', 'MS', 'MT', 'PA', 'PB', 'PE',
      'PI', 'PR', 'RJ', 'RN', 'RO', 'RR', 'RS', 'SC', 'SE', 'SP', 'TO'), true)),
  ADD CONSTRAINT contacts_health_plan CHECK (health_plan_name IS NOT NULL OR num_nonnulls(health_plan_card_number, health_plan_valid_until) = 0);

-- A contact's further numbers, in the forms in which contact_search has the first.
CREATE TABLE contact_search_phones (
  clinic_id uuid NOT NULL,
  phone_tail text COLLATE "C" NOT NULL,
  phone_national text COLLATE "C" NOT NULL,
  phone_local text COLLATE "C" NOT NULL,
  contact_id uuid NOT NULL,
  PRIMARY KEY (clinic_id, phone_tail, contact_id),
  FOREIGN KEY (clinic_id, contact_id) REFERENCES contacts (clinic_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_contact_search_phones_contact ON contact_search_phones (clinic_id, contact_id);
CREATE INDEX idx_contact_search_phones_national ON contact_search_phones (clinic_id, phone_national);
CREATE INDEX idx_contact_search_phones_local ON contact_search_phones (clinic_id, phone_local);
SELECT protect_tenant_table('contact_search_phones', 'SELECT, INSERT, DELETE');
SELECT cache_announce('contact_search_phones',
  'cache_search_row_tags(NULL, NULL, NULL, r.phone_tail, r.phone_national, r.phone_local)', $$'{}'::text[]$$, '{phone_tail}', 'clinic_id', 'contact_id');

-- +goose StatementBegin
-- Keeps contact_search_phones as contacts is. Whatever changes how a contact is shown
-- among what a search finds makes its rows anew, and so tells the searches for them.
CREATE FUNCTION contact_search_phones_follow() RETURNS trigger
LANGUAGE plpgsql SET enable_seqscan = off
AS $$
BEGIN
  IF current_setting('app.contact_search', true) = 'deferred' THEN
    RETURN NULL;
  END IF;
  IF TG_OP = 'INSERT' THEN
    IF NOT EXISTS (SELECT FROM new_rows n WHERE n.other_phones <> '{}') THEN
      RETURN NULL;
    END IF;
    INSERT INTO contact_search_phones (clinic_id, phone_tail, phone_national, phone_local, contact_id)
    SELECT DISTINCT n.clinic_id, r.phone_tail, r.phone_national, r.phone_local, n.id
    FROM new_rows n, unnest(n.other_phones) AS p (phone),
      LATERAL contact_search_row(n.clinic_id, n.id, '', NULL, NULL, p.phone, NULL, n.status) r
    ON CONFLICT DO NOTHING;
    RETURN NULL;
  END IF;
  IF NOT EXISTS (SELECT FROM old_rows o WHERE o.other_phones <> '{}') AND NOT EXISTS (SELECT FROM new_rows n WHERE n.other_phones <> '{}') THEN
    RETURN NULL;
  END IF;
  DELETE FROM contact_search_phones s
  USING (SELECT o.clinic_id, o.id FROM old_rows o LEFT JOIN new_rows n ON n.clinic_id = o.clinic_id AND n.id = o.id
         WHERE (o.name, o.preferred_name, o.email, o.phone, o.tax_id, o.status = 'arquivado', o.other_phones)
           IS DISTINCT FROM (n.name, n.preferred_name, n.email, n.phone, n.tax_id, n.status = 'arquivado', n.other_phones) OFFSET 0) gone
  WHERE s.clinic_id = gone.clinic_id AND s.contact_id = gone.id;
  INSERT INTO contact_search_phones (clinic_id, phone_tail, phone_national, phone_local, contact_id)
  SELECT DISTINCT n.clinic_id, r.phone_tail, r.phone_national, r.phone_local, n.id
  FROM new_rows n, unnest(n.other_phones) AS p (phone),
    LATERAL contact_search_row(n.clinic_id, n.id, '', NULL, NULL, p.phone, NULL, n.status) r
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER contacts_search_phones_insert AFTER INSERT ON contacts
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION contact_search_phones_follow();
CREATE TRIGGER contacts_search_phones_update AFTER UPDATE ON contacts
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION contact_search_phones_follow();

-- +goose StatementBegin
-- The contacts whose phone, CPF or e-mail a term begins, at most so many.
-- exactly: all of it. whole_tax_id is for who sees CPFs masked: by their beginnings he
-- could find out the rest.
CREATE OR REPLACE FUNCTION contact_search_identified(clinic uuid, digits text, address text, most integer, whole_tax_id boolean)
RETURNS TABLE (contact_id uuid, exactly boolean)
LANGUAGE plpgsql STABLE ROWS 10
SET plan_cache_mode = force_generic_plan SET max_parallel_workers_per_gather = 0
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
  phone text := ltrim(digits, '0');
  tail text := reverse(ltrim(digits, '0'));
  -- A whole number as it was dialled before it got its ninth digit.
  ninth text := contact_search_ninth(CASE WHEN char_length(phone) = 12 AND starts_with(phone, '55') THEN substr(phone, 3) ELSE phone END);
BEGIN
  IF address <> '' THEN
    RETURN QUERY
    SELECT s.contact_id, s.email = address FROM contact_search s
    WHERE s.clinic_id = clinic AND s.email >= address AND s.email < address || chr(1114111)
    ORDER BY s.email LIMIT most;
  END IF;
  IF char_length(digits) < 3 THEN
    RETURN;
  END IF;
  RETURN QUERY
  SELECT found.contact_id, bool_or(found.exactly) FROM (
    (SELECT s.contact_id, s.tax_id = digits AS exactly FROM contact_search s
     WHERE s.clinic_id = clinic AND s.tax_id >= digits AND s.tax_id < digits || ':'
       AND (char_length(digits) = 11 OR NOT whole_tax_id)
     ORDER BY s.tax_id LIMIT most)
    UNION ALL
    (SELECT s.contact_id, s.phone_tail = tail OR s.phone_national = phone OR s.phone_local = phone FROM contact_search s
     WHERE s.clinic_id = clinic AND s.phone_tail >= tail AND s.phone_tail < tail || ':' AND char_length(phone) >= 4
     ORDER BY s.phone_tail LIMIT most)
    UNION ALL
    (SELECT s.contact_id, false FROM contact_search s
     WHERE s.clinic_id = clinic AND s.phone_local >= phone AND s.phone_local < phone || ':' AND char_length(phone) >= 4
     ORDER BY s.phone_local LIMIT most)
    UNION ALL
    (SELECT s.contact_id, false FROM contact_search s
     WHERE s.clinic_id = clinic AND s.phone_national >= phone AND s.phone_national < phone || ':' AND char_length(phone) >= 5
     ORDER BY s.phone_national LIMIT most)
    UNION ALL
    (SELECT s.contact_id, false FROM contact_search s
     WHERE s.clinic_id = clinic AND s.phone_national >= substr(phone, 3) AND s.phone_national < substr(phone, 3) || ':'
       AND starts_with(phone, '55') AND char_length(phone) >= 7
     ORDER BY s.phone_national LIMIT most)
    UNION ALL
    (SELECT s.contact_id, true FROM contact_search s
     WHERE s.clinic_id = clinic AND s.phone_national = ninth AND ninth <> phone
     ORDER BY s.phone_national LIMIT most)
    UNION ALL
    (SELECT p.contact_id, p.phone_tail = tail OR p.phone_national = phone OR p.phone_local = phone FROM contact_search_phones p
     WHERE p.clinic_id = clinic AND p.phone_tail >= tail AND p.phone_tail < tail || ':' AND char_length(phone) >= 4
     ORDER BY p.phone_tail LIMIT most)
    UNION ALL
    (SELECT p.contact_id, false FROM contact_search_phones p
     WHERE p.clinic_id = clinic AND p.phone_local >= phone AND p.phone_local < phone || ':' AND char_length(phone) >= 4
     ORDER BY p.phone_local LIMIT most)
    UNION ALL
    (SELECT p.contact_id, false FROM contact_search_phones p
     WHERE p.clinic_id = clinic AND p.phone_national >= phone AND p.phone_national < phone || ':' AND char_length(phone) >= 5
     ORDER BY p.phone_national LIMIT most)
    UNION ALL
    (SELECT p.contact_id, false FROM contact_search_phones p
     WHERE p.clinic_id = clinic AND p.phone_national >= substr(phone, 3) AND p.phone_national < substr(phone, 3) || ':'
       AND starts_with(phone, '55') AND char_length(phone) >= 7
     ORDER BY p.phone_national LIMIT most)
    UNION ALL
    (SELECT p.contact_id, true FROM contact_search_phones p
     WHERE p.clinic_id = clinic AND p.phone_national = ninth AND ninth <> phone
     ORDER BY p.phone_national LIMIT most)) found
  GROUP BY found.contact_id
  LIMIT most;
END $$;
-- +goose StatementEnd

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
  PERFORM set_config('app.contact_search', before, true);
  RETURN added;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
-- The contacts whose phone, CPF or e-mail a term begins, at most so many.
-- exactly: all of it. whole_tax_id is for who sees CPFs masked: by their beginnings he
-- could find out the rest.
CREATE OR REPLACE FUNCTION contact_search_identified(clinic uuid, digits text, address text, most integer, whole_tax_id boolean)
RETURNS TABLE (contact_id uuid, exactly boolean)
LANGUAGE plpgsql STABLE ROWS 10
SET plan_cache_mode = force_generic_plan SET max_parallel_workers_per_gather = 0
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
  phone text := ltrim(digits, '0');
  tail text := reverse(ltrim(digits, '0'));
  -- A whole number as it was dialled before it got its ninth digit.
  ninth text := contact_search_ninth(CASE WHEN char_length(phone) = 12 AND starts_with(phone, '55') THEN substr(phone, 3) ELSE phone END);
BEGIN
  IF address <> '' THEN
    RETURN QUERY
    SELECT s.contact_id, s.email = address FROM contact_search s
    WHERE s.clinic_id = clinic AND s.email >= address AND s.email < address || chr(1114111)
    ORDER BY s.email LIMIT most;
  END IF;
  IF char_length(digits) < 3 THEN
    RETURN;
  END IF;
  RETURN QUERY
  SELECT found.contact_id, bool_or(found.exactly) FROM (
    (SELECT s.contact_id, s.tax_id = digits AS exactly FROM contact_search s
     WHERE s.clinic_id = clinic AND s.tax_id >= digits AND s.tax_id < digits || ':'
       AND (char_length(digits) = 11 OR NOT whole_tax_id)
     ORDER BY s.tax_id LIMIT most)
    UNION ALL
    (SELECT s.contact_id, s.phone_tail = tail OR s.phone_national = phone OR s.phone_local = phone FROM contact_search s
     WHERE s.clinic_id = clinic AND s.phone_tail >= tail AND s.phone_tail < tail || ':' AND char_length(phone) >= 4
     ORDER BY s.phone_tail LIMIT most)
    UNION ALL
    (SELECT s.contact_id, false FROM contact_search s
     WHERE s.clinic_id = clinic AND s.phone_local >= phone AND s.phone_local < phone || ':' AND char_length(phone) >= 4
     ORDER BY s.phone_local LIMIT most)
    UNION ALL
    (SELECT s.contact_id, false FROM contact_search s
     WHERE s.clinic_id = clinic AND s.phone_national >= phone AND s.phone_national < phone || ':' AND char_length(phone) >= 5
     ORDER BY s.phone_national LIMIT most)
    UNION ALL
    (SELECT s.contact_id, false FROM contact_search s
     WHERE s.clinic_id = clinic AND s.phone_national >= substr(phone, 3) AND s.phone_national < substr(phone, 3) || ':'
       AND starts_with(phone, '55') AND char_length(phone) >= 7
     ORDER BY s.phone_national LIMIT most)
    UNION ALL
    (SELECT s.contact_id, true FROM contact_search s
     WHERE s.clinic_id = clinic AND s.phone_national = ninth AND ninth <> phone
     ORDER BY s.phone_national LIMIT most)) found
  GROUP BY found.contact_id
  LIMIT most;
END $$;
-- +goose StatementEnd
DROP TRIGGER contacts_search_phones_update ON contacts;
DROP TRIGGER contacts_search_phones_insert ON contacts;
DROP FUNCTION contact_search_phones_follow();
DROP TABLE contact_search_phones;
DROP FUNCTION cache_tags_contact_search_phones();
ALTER TABLE contacts
  DROP COLUMN sex, DROP COLUMN deceased_on, DROP COLUMN other_phones, DROP COLUMN guardian_id,
  DROP COLUMN address_street, DROP COLUMN address_number, DROP COLUMN address_complement, DROP COLUMN address_district,
  DROP COLUMN address_city, DROP COLUMN address_state, DROP COLUMN address_postal_code, DROP COLUMN address_country,
  DROP COLUMN health_plan_name, DROP COLUMN health_plan_card_number, DROP COLUMN health_plan_valid_until;
