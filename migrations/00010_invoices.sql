-- Invoices, their items, what was paid and what was given back. Amounts are minor units.

-- +goose Up
-- What a clinic has counted to. Who counts on takes the next number as the last thing
-- before the commit, and so numbers have no gap: an abort gives it back.
CREATE TABLE counters (
  clinic_id uuid NOT NULL REFERENCES clinics (id),
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 50),
  last bigint NOT NULL CHECK (last > 0),
  PRIMARY KEY (clinic_id, name)
);
SELECT protect_tenant_table('counters', 'SELECT, INSERT, UPDATE');
SELECT cache_unread('counters', 'whoever counts on reads it; others read the number from what was counted');

CREATE TABLE invoices (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  -- A draft has none yet.
  number text CHECK (char_length(number) BETWEEN 1 AND 50),
  contact_id uuid NOT NULL,
  appointment_id uuid,
  status text NOT NULL DEFAULT 'rascunho' CHECK (status IN
    ('rascunho', 'aberta', 'paga_parcialmente', 'paga', 'anulada')),
  due_date date NOT NULL,
  -- The instant at which due_date has passed in the clinic's zone, kept by
  -- invoices_follow_clinic: that time passes is written by nobody.
  overdue_at timestamptz NOT NULL,
  -- The clinic's PIX key and name, kept by the same and by clinics_invoices_follow.
  pix_key text,
  payee text NOT NULL,
  currency char(3) NOT NULL DEFAULT 'BRL' CHECK (currency ~ '^[A-Z]{3}$'),
  total_minor bigint NOT NULL CHECK (total_minor >= 0),
  paid_minor bigint NOT NULL DEFAULT 0,
  -- Null for a draft.
  issued_at timestamptz,
  void_reason text CHECK (char_length(void_reason) <= 500),
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  UNIQUE (clinic_id, number),
  FOREIGN KEY (clinic_id, contact_id) REFERENCES contacts (clinic_id, id),
  FOREIGN KEY (clinic_id, appointment_id) REFERENCES appointments (clinic_id, id),
  CONSTRAINT invoices_not_overpaid CHECK (paid_minor BETWEEN 0 AND total_minor),
  -- What was paid is less what was given back.
  CONSTRAINT invoices_status_follows CHECK (CASE status
    WHEN 'rascunho' THEN paid_minor = 0 AND number IS NULL
    WHEN 'anulada' THEN paid_minor = 0
    ELSE number IS NOT NULL AND status = CASE paid_minor WHEN total_minor THEN 'paga' WHEN 0 THEN 'aberta' ELSE 'paga_parcialmente' END END)
);
CREATE INDEX idx_invoices_clinic_due ON invoices (clinic_id, due_date, id);
CREATE INDEX idx_invoices_clinic_status_due ON invoices (clinic_id, status, due_date, id);
CREATE INDEX idx_invoices_contact ON invoices (clinic_id, contact_id, due_date, id);
CREATE UNIQUE INDEX idx_invoices_appointment ON invoices (clinic_id, appointment_id) WHERE appointment_id IS NOT NULL AND status <> 'anulada';
-- +goose StatementBegin
CREATE FUNCTION invoices_follow_clinic() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  -- First: whoever changes the zone meanwhile must see this invoice, or this one must
  -- see the new zone.
  PERFORM cache_hold_zone(NEW.clinic_id, false);
  SELECT (NEW.due_date + 1)::timestamp AT TIME ZONE c.time_zone, c.pix_key, c.name INTO NEW.overdue_at, NEW.pix_key, NEW.payee
  FROM clinics c WHERE c.id = NEW.clinic_id;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER invoices_follow_clinic BEFORE INSERT OR UPDATE OF due_date, clinic_id, overdue_at, pix_key, payee ON invoices
  FOR EACH ROW EXECUTE FUNCTION invoices_follow_clinic();

-- +goose StatementBegin
CREATE FUNCTION clinics_invoices_follow() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM cache_hold_zone(NEW.id, true);
  -- The row's own trigger takes all of it from the clinic.
  UPDATE invoices i SET overdue_at = i.overdue_at
  WHERE i.clinic_id = NEW.id AND i.status NOT IN ('paga', 'anulada')
    OR i.clinic_id = NEW.id AND i.overdue_at IS DISTINCT FROM (i.due_date + 1)::timestamp AT TIME ZONE NEW.time_zone;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER clinics_invoices_follow AFTER UPDATE ON clinics
  FOR EACH ROW WHEN ((OLD.time_zone, OLD.pix_key, OLD.name) IS DISTINCT FROM (NEW.time_zone, NEW.pix_key, NEW.name))
  EXECUTE FUNCTION clinics_invoices_follow();
CREATE TRIGGER invoices_touch BEFORE UPDATE ON invoices FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('invoices', 'SELECT, INSERT, UPDATE');
SELECT cache_announce('invoices',
  $$ARRAY['invoice:' || r.id]$$,
  $$ARRAY['invoice/list', 'invoice/contact=' || r.contact_id]
    || CASE WHEN r.appointment_id IS NULL THEN '{}' ELSE ARRAY['invoice/appointment=' || r.appointment_id] END$$,
  '{number,contact_id,appointment_id,status,due_date,created_at}');

CREATE TABLE invoice_items (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  invoice_id uuid NOT NULL,
  position smallint NOT NULL CHECK (position BETWEEN 1 AND 200),
  service_id uuid,
  description text NOT NULL CHECK (char_length(description) BETWEEN 1 AND 500),
  quantity integer NOT NULL CHECK (quantity BETWEEN 1 AND 10000),
  unit_price_minor bigint NOT NULL CHECK (unit_price_minor >= 0),
  currency char(3) NOT NULL DEFAULT 'BRL' CHECK (currency ~ '^[A-Z]{3}$'),
  total_minor bigint NOT NULL GENERATED ALWAYS AS (quantity * unit_price_minor) STORED,
  PRIMARY KEY (clinic_id, id),
  UNIQUE (clinic_id, invoice_id, position),
  FOREIGN KEY (clinic_id, invoice_id) REFERENCES invoices (clinic_id, id),
  FOREIGN KEY (clinic_id, service_id) REFERENCES services (clinic_id, id)
);
SELECT protect_tenant_table('invoice_items', 'SELECT, INSERT, DELETE');
SELECT cache_announce('invoice_items',
  $$ARRAY['invoice_items/invoice=' || r.invoice_id]$$, $$'{}'::text[]$$, '{invoice_id}');

CREATE TABLE payments (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  invoice_id uuid NOT NULL,
  amount_minor bigint NOT NULL CHECK (amount_minor > 0),
  refunded_minor bigint NOT NULL DEFAULT 0,
  currency char(3) NOT NULL DEFAULT 'BRL' CHECK (currency ~ '^[A-Z]{3}$'),
  method text NOT NULL CHECK (method IN
    ('pix', 'credit_card', 'debit_card', 'cash', 'boleto', 'bank_transfer', 'health_plan')),
  paid_at timestamptz NOT NULL,
  -- PIX's own key of a transfer (Banco Central do Brasil, EndToEndId): one transfer is
  -- taken once.
  end_to_end_id text CHECK (end_to_end_id IS NULL OR method = 'pix' AND end_to_end_id ~ '^E[0-9]{20}[0-9A-Za-z]{11}$'),
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, invoice_id) REFERENCES invoices (clinic_id, id),
  CONSTRAINT payments_not_overrefunded CHECK (refunded_minor BETWEEN 0 AND amount_minor)
);
CREATE INDEX idx_payments_invoice ON payments (clinic_id, invoice_id, paid_at, id);
CREATE UNIQUE INDEX idx_payments_end_to_end ON payments (clinic_id, end_to_end_id) WHERE end_to_end_id IS NOT NULL;
CREATE INDEX idx_payments_clinic_paid ON payments (clinic_id, paid_at);
CREATE TRIGGER payments_touch BEFORE UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('payments', 'SELECT, INSERT, UPDATE');
SELECT cache_announce('payments',
  $$ARRAY['payment:' || r.id]$$, $$ARRAY['payment/list', 'payment/invoice=' || r.invoice_id]$$, '{invoice_id,method,paid_at}');

CREATE TABLE refunds (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  payment_id uuid NOT NULL,
  amount_minor bigint NOT NULL CHECK (amount_minor > 0),
  currency char(3) NOT NULL DEFAULT 'BRL' CHECK (currency ~ '^[A-Z]{3}$'),
  reason text NOT NULL CHECK (char_length(reason) BETWEEN 1 AND 500),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, payment_id) REFERENCES payments (clinic_id, id)
);
CREATE INDEX idx_refunds_payment ON refunds (clinic_id, payment_id, created_at, id);
CREATE INDEX idx_refunds_clinic_created ON refunds (clinic_id, created_at);
SELECT protect_tenant_table('refunds', 'SELECT, INSERT');
SELECT cache_announce('refunds',
  $$ARRAY['refund:' || r.id]$$, $$ARRAY['refund/list', 'refund/payment=' || r.payment_id]$$, '{payment_id,created_at}');

-- +goose Down
DROP TRIGGER clinics_invoices_follow ON clinics;
DROP TABLE refunds, payments, invoice_items, invoices, counters;
DROP FUNCTION clinics_invoices_follow();
DROP FUNCTION invoices_follow_clinic();
DROP FUNCTION cache_tags_refunds();
DROP FUNCTION cache_tags_payments();
DROP FUNCTION cache_tags_invoice_items();
DROP FUNCTION cache_tags_invoices();
