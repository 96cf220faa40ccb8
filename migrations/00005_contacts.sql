-- Contacts. Statuses are stored in the words the clinics use; models maps them to the
-- contract's enums.

-- +goose Up
CREATE TABLE contacts (
  clinic_id uuid NOT NULL REFERENCES clinics (id),
  id uuid NOT NULL,
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  -- What lists sort by: comparisons in collation C are leakproof, so their
  -- indexes stay usable under row-level security.
  name_key text COLLATE "C" NOT NULL GENERATED ALWAYS AS (normalize_text(name)) STORED,
  preferred_name text CHECK (char_length(preferred_name) <= 200),
  email text CHECK (char_length(email) BETWEEN 3 AND 254),
  phone text CHECK (phone ~ '^\+[1-9][0-9]{6,14}$'),
  tax_id text CHECK (tax_id ~ '^[0-9]{11}$'),
  birth_date date,
  -- Month and day of birth as a number, 229 for the 29th of February.
  birthday smallint GENERATED ALWAYS AS ((extract(month FROM birth_date) * 100 + extract(day FROM birth_date))::smallint) STORED,
  status text NOT NULL DEFAULT 'ativo' CHECK (status IN ('ativo', 'inativo', 'lead', 'arquivado')),
  tags text[] NOT NULL DEFAULT '{}' CHECK (cardinality(tags) <= 50),
  source text CHECK (char_length(source) <= 100),
  notes text CHECK (char_length(notes) <= 10000),
  external_reference text CHECK (char_length(external_reference) BETWEEN 1 AND 255),
  -- FHIR R4 administrative-gender.
  sex text NOT NULL DEFAULT 'unknown' CHECK (sex IN ('female', 'male', 'other', 'unknown')),
  deceased_on date,
  other_phones text[] NOT NULL DEFAULT '{}'
    CONSTRAINT contacts_other_phones CHECK (other_phones::text ~ '^\{(\+[1-9][0-9]{6,14}(,\+[1-9][0-9]{6,14}){0,9})?\}$'),
  guardian_id uuid,
  address_street text CHECK (char_length(address_street) BETWEEN 1 AND 200),
  address_number text CHECK (char_length(address_number) BETWEEN 1 AND 20),
  address_complement text CHECK (char_length(address_complement) BETWEEN 1 AND 100),
  address_district text CHECK (char_length(address_district) BETWEEN 1 AND 100),
  address_city text CHECK (char_length(address_city) BETWEEN 1 AND 100),
  address_state text CHECK (char_length(address_state) BETWEEN 1 AND 50),
  address_postal_code text CHECK (char_length(address_postal_code) BETWEEN 1 AND 20),
  -- ISO 3166-1 alpha-2; an address is there if its country is.
  address_country text CHECK (address_country ~ '^[A-Z]{2}$'),
  health_plan_name text CHECK (char_length(health_plan_name) BETWEEN 1 AND 100),
  health_plan_card_number text CHECK (char_length(health_plan_card_number) BETWEEN 1 AND 50),
  health_plan_valid_until date,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  CONSTRAINT contacts_guardian FOREIGN KEY (clinic_id, guardian_id) REFERENCES contacts (clinic_id, id),
  CONSTRAINT contacts_own_guardian CHECK (guardian_id <> id),
  CONSTRAINT contacts_deceased_on CHECK (deceased_on >= birth_date),
  CONSTRAINT contacts_address CHECK (address_country IS NOT NULL OR num_nonnulls(address_street, address_number,
    address_complement, address_district, address_city, address_state, address_postal_code) = 0),
  CONSTRAINT contacts_brazilian_address CHECK (address_country <> 'BR' OR coalesce(address_postal_code ~ '^[0-9]{8}$', true)
    AND coalesce(address_state IN ('AC', 'AL', 'AM', 'AP', 'BA', 'CE', 'DF', 'ES', 'GO', 'MA', 'MG', 'MS', 'MT', 'PA', 'PB', 'PE',
      'PI', 'PR', 'RJ', 'RN', 'RO', 'RR', 'RS', 'SC', 'SE', 'SP', 'TO'), true)),
  CONSTRAINT contacts_health_plan CHECK (health_plan_name IS NOT NULL OR num_nonnulls(health_plan_card_number, health_plan_valid_until) = 0)
);
CREATE INDEX idx_contacts_clinic_active ON contacts (clinic_id, status) WHERE status = 'ativo';
CREATE INDEX idx_contacts_clinic_status_name ON contacts (clinic_id, status, name_key, id);
CREATE INDEX idx_contacts_clinic_birthday ON contacts (clinic_id, birthday, id);
CREATE INDEX idx_contacts_clinic_birth_date ON contacts (clinic_id, birth_date, id) WHERE birth_date IS NOT NULL;
-- The orders of lists without archived contacts, however many of those there are, and
-- of lists of a status.
CREATE INDEX idx_contacts_clinic_name ON contacts (clinic_id, name_key, id) WHERE status <> 'arquivado';
CREATE INDEX idx_contacts_clinic_created ON contacts (clinic_id, created_at, id) WHERE status <> 'arquivado';
CREATE INDEX idx_contacts_clinic_updated ON contacts (clinic_id, updated_at, id) WHERE status <> 'arquivado';
CREATE INDEX idx_contacts_clinic_status_created ON contacts (clinic_id, status, created_at, id);
CREATE INDEX idx_contacts_clinic_status_updated ON contacts (clinic_id, status, updated_at, id);
-- Few patients lack a CPF: without this they would be looked for among all.
CREATE INDEX idx_contacts_clinic_without_tax_id ON contacts (clinic_id, name_key, id) WHERE tax_id IS NULL AND status <> 'arquivado';
CREATE UNIQUE INDEX idx_contacts_tax_id ON contacts (clinic_id, tax_id) WHERE tax_id IS NOT NULL;
CREATE UNIQUE INDEX idx_contacts_external_reference ON contacts (clinic_id, external_reference) WHERE external_reference IS NOT NULL;
CREATE TRIGGER contacts_touch BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('contacts', 'SELECT, INSERT, UPDATE');
SELECT cache_announce('contacts',
  $$ARRAY['contact:' || r.id, 'contact/updated']$$, $$ARRAY['contact/list']$$,
  '{name_key,status,tags,external_reference,created_at}');

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

CREATE TABLE consents (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  contact_id uuid NOT NULL,
  purpose text NOT NULL CHECK (purpose IN ('treatment', 'communication', 'marketing', 'research', 'data_sharing')),
  granted boolean NOT NULL,
  evidence text CHECK (char_length(evidence) <= 2000),
  decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, contact_id) REFERENCES contacts (clinic_id, id)
);
CREATE INDEX idx_consents_contact ON consents (clinic_id, contact_id, purpose, decided_at DESC);
SELECT protect_tenant_table('consents', 'SELECT, INSERT');
SELECT cache_announce('consents',
  $$ARRAY['consent:' || r.id]$$, $$ARRAY['consent/contact=' || r.contact_id]$$, '{contact_id,purpose,decided_at}');

-- +goose Down
DROP TABLE consents, contact_tags, contacts;
DROP FUNCTION contact_tags_follow();
DROP FUNCTION cache_tags_consents();
DROP FUNCTION cache_tags_contacts();
