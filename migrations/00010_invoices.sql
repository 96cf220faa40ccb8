-- Invoices, their items and what was paid. Amounts are minor units.

-- +goose Up
CREATE TABLE invoices (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  -- A draft has none yet.
  number text CHECK (char_length(number) BETWEEN 1 AND 50),
  contact_id uuid NOT NULL,
  appointment_id uuid,
  status text NOT NULL DEFAULT 'rascunho' CHECK (status IN
    ('rascunho', 'aberta', 'paga_parcialmente', 'paga', 'vencida', 'anulada')),
  due_date date NOT NULL,
  currency char(3) NOT NULL DEFAULT 'BRL' CHECK (currency ~ '^[A-Z]{3}$'),
  total_minor bigint NOT NULL CHECK (total_minor >= 0),
  paid_minor bigint NOT NULL DEFAULT 0,
  -- Since when it is none but an issued one.
  issued_at timestamptz,
  void_reason text CHECK (char_length(void_reason) <= 500),
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  UNIQUE (clinic_id, number),
  FOREIGN KEY (clinic_id, contact_id) REFERENCES contacts (clinic_id, id),
  FOREIGN KEY (clinic_id, appointment_id) REFERENCES appointments (clinic_id, id),
  CONSTRAINT invoices_not_overpaid CHECK (paid_minor BETWEEN 0 AND total_minor)
);
CREATE INDEX idx_invoices_clinic_due ON invoices (clinic_id, due_date, id);
CREATE INDEX idx_invoices_clinic_status_due ON invoices (clinic_id, status, due_date, id);
CREATE INDEX idx_invoices_contact ON invoices (clinic_id, contact_id, due_date, id);
CREATE UNIQUE INDEX idx_invoices_appointment ON invoices (clinic_id, appointment_id) WHERE appointment_id IS NOT NULL AND status <> 'anulada';
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
  total_minor bigint NOT NULL GENERATED ALWAYS AS (quantity * unit_price_minor) STORED,
  PRIMARY KEY (clinic_id, id),
  UNIQUE (clinic_id, invoice_id, position),
  FOREIGN KEY (clinic_id, invoice_id) REFERENCES invoices (clinic_id, id),
  FOREIGN KEY (clinic_id, service_id) REFERENCES services (clinic_id, id)
);
SELECT protect_tenant_table('invoice_items', 'SELECT, INSERT');
SELECT cache_announce('invoice_items',
  $$ARRAY['invoice_item:' || r.id]$$, $$ARRAY['invoice_item/invoice=' || r.invoice_id]$$, '{invoice_id,position,service_id}');

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
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, invoice_id) REFERENCES invoices (clinic_id, id),
  CONSTRAINT payments_not_overrefunded CHECK (refunded_minor BETWEEN 0 AND amount_minor)
);
CREATE INDEX idx_payments_invoice ON payments (clinic_id, invoice_id, paid_at, id);
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
  reason text NOT NULL CHECK (char_length(reason) BETWEEN 1 AND 500),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, payment_id) REFERENCES payments (clinic_id, id)
);
CREATE INDEX idx_refunds_payment ON refunds (clinic_id, payment_id, created_at);
CREATE INDEX idx_refunds_clinic_created ON refunds (clinic_id, created_at);
SELECT protect_tenant_table('refunds', 'SELECT, INSERT');
SELECT cache_announce('refunds',
  $$ARRAY['refund:' || r.id]$$, $$ARRAY['refund/list', 'refund/payment=' || r.payment_id]$$, '{payment_id,created_at}');

-- +goose Down
DROP TABLE refunds, payments, invoice_items, invoices;
DROP FUNCTION cache_tags_refunds();
DROP FUNCTION cache_tags_payments();
DROP FUNCTION cache_tags_invoice_items();
DROP FUNCTION cache_tags_invoices();
