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
  status text NOT NULL DEFAULT 'ativo' CHECK (status IN ('ativo', 'inativo', 'lead', 'arquivado')),
  tags text[] NOT NULL DEFAULT '{}' CHECK (cardinality(tags) <= 50),
  source text CHECK (char_length(source) <= 100),
  notes text CHECK (char_length(notes) <= 10000),
  external_reference text CHECK (char_length(external_reference) BETWEEN 1 AND 255),
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id)
);
CREATE INDEX idx_contacts_clinic_active ON contacts (clinic_id, status) WHERE status = 'ativo';
CREATE INDEX idx_contacts_clinic_name ON contacts (clinic_id, name_key, id);
CREATE INDEX idx_contacts_clinic_status_name ON contacts (clinic_id, status, name_key, id);
CREATE INDEX idx_contacts_clinic_created ON contacts (clinic_id, created_at, id);
CREATE INDEX idx_contacts_clinic_updated ON contacts (clinic_id, updated_at, id);
CREATE UNIQUE INDEX idx_contacts_tax_id ON contacts (clinic_id, tax_id) WHERE tax_id IS NOT NULL;
CREATE UNIQUE INDEX idx_contacts_external_reference ON contacts (clinic_id, external_reference) WHERE external_reference IS NOT NULL;
CREATE TRIGGER contacts_touch BEFORE UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('contacts', 'SELECT, INSERT, UPDATE');
SELECT cache_announce('contacts',
  $$ARRAY['contact:' || r.id, 'contact/updated']$$, $$ARRAY['contact/list']$$,
  '{name_key,status,tags,external_reference,created_at}');

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
DROP TABLE consents, contacts;
DROP FUNCTION cache_tags_consents();
DROP FUNCTION cache_tags_contacts();
