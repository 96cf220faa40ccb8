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
-- What contacts owe.
CREATE INDEX idx_invoices_contact_owed ON invoices (clinic_id, contact_id) INCLUDE (total_minor, paid_minor) WHERE status IN ('aberta', 'paga_parcialmente');
-- Also void ones: what was paid for them and given back counts for the practitioner.
CREATE INDEX idx_invoices_of_appointment ON invoices (clinic_id, appointment_id) WHERE appointment_id IS NOT NULL;
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
  '{number,contact_id,appointment_id,status,due_date,total_minor,paid_minor,created_at}');

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

-- What a clinic has billed, received and given back, by the day and the month in its
-- time zone, and what it is owed by the due date: sums that grow with its days and not with
-- its invoices. They are kept by the triggers below, and rebuild_financial_sums makes them
-- anew.
CREATE TABLE financial_sums (
  clinic_id uuid NOT NULL REFERENCES clinics (id),
  -- What the sums are split by, and key one value of that: a method's word, or the id of a
  -- practitioner or a service, '' where there is none.
  -- In this order rows are locked, whoever changes several.
  part text COLLATE "C" NOT NULL CHECK (part IN ('all', 'method', 'practitioner', 'service', 'unpaid')),
  span text COLLATE "C" NOT NULL CHECK (span IN ('day', 'month')),
  starts date NOT NULL,
  key text COLLATE "C" NOT NULL,
  -- Sums of 64-bit amounts may have more: no payment is refused for that.
  billed_minor numeric NOT NULL DEFAULT 0,
  received_minor numeric NOT NULL DEFAULT 0,
  refunded_minor numeric NOT NULL DEFAULT 0,
  -- Of 'unpaid' alone, whose day is the due date.
  owed_minor numeric NOT NULL DEFAULT 0,
  -- How many invoices were billed, and how many payments came in.
  invoices bigint NOT NULL DEFAULT 0,
  payments bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (clinic_id, part, span, starts, key),
  CHECK (span = 'day' OR extract(day FROM starts) = 1)
) WITH (fillfactor = 70);
SELECT protect_tenant_table('financial_sums', 'SELECT, INSERT, UPDATE');
SELECT cache_announce('financial_sums',
  $$ARRAY['financial_sums/list', 'financial_sums/month=' || to_char(r.starts, 'YYYY-MM')]$$, $$'{}'::text[]$$, '{starts}', 'clinic_id', 'key');

-- An invoice that was billed, or a payment: on a day, to be spread over the sums that it is
-- part of. practitioner is '' for none; method is null for what has none by its nature.
CREATE TYPE financial_event AS (
  clinic_id uuid, invoice_id uuid, practitioner text, method text, day date, billed numeric, received numeric, invoices bigint, payments bigint
);

-- +goose StatementBegin
-- The day, and the month that it is in.
CREATE FUNCTION financial_spans(date) RETURNS TABLE (span text, starts date)
LANGUAGE sql IMMUTABLE AS $$
  VALUES ('day', $1), ('month', date_trunc('month', $1::timestamp)::date)
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Spreads events over the sums, all of them at once and in one pass: no plan knows how many
-- they are, so that a join of what was made of them could take their square.
-- An amount of an invoice falls to the services that it is for, in proportion to what they
-- cost there. Each share begins where the one before ends, and so they add up to the
-- amount. What the items do not explain falls to no service.
CREATE FUNCTION financial_spread(financial_event[]) RETURNS SETOF financial_sums
LANGUAGE sql STABLE AS $$
  WITH lines AS MATERIALIZED (
    SELECT h.*, v.total_minor::numeric AS total, coalesce(i.service_id::text, '') AS service, i.total_minor::numeric AS cost,
      sum(i.total_minor) OVER (PARTITION BY h.n ORDER BY i.position) AS upto, sum(i.total_minor) OVER (PARTITION BY h.n) AS explained,
      row_number() OVER (PARTITION BY h.n ORDER BY i.position) AS line
    FROM unnest($1) WITH ORDINALITY AS h (clinic_id, invoice_id, practitioner, method, day, billed, received, invoices, payments, n)
    JOIN invoices v ON v.clinic_id = h.clinic_id AND v.id = h.invoice_id
    LEFT JOIN invoice_items i ON i.clinic_id = h.clinic_id AND i.invoice_id = h.invoice_id),
  pieces AS (
    SELECT n, clinic_id, day, invoices, payments, billed + received AS amount, nullif(greatest(total, explained), 0) AS whole, service, cost AS piece, upto AS ends
    FROM lines WHERE cost IS NOT NULL
    UNION ALL
    SELECT n, clinic_id, day, invoices, payments, billed + received, nullif(total, 0), '', total - coalesce(explained, 0), total
    FROM lines WHERE line = 1 AND (explained IS NULL OR total > explained)),
  shares AS (
    SELECT clinic_id, day, invoices, payments, service, sum(coalesce(div(amount * ends, whole) - div(amount * (ends - piece), whole), 0)) AS share
    FROM pieces GROUP BY n, 1, 2, 3, 4, 5),
  parts AS (
    SELECT clinic_id, 'all' AS part, day, '' AS key, billed, received, invoices, payments FROM lines WHERE line = 1
    UNION ALL SELECT clinic_id, 'practitioner', day, practitioner, billed, received, invoices, payments FROM lines WHERE line = 1
    UNION ALL SELECT clinic_id, 'method', day, method, billed, received, invoices, payments FROM lines WHERE line = 1 AND method IS NOT NULL
    UNION ALL SELECT clinic_id, 'service', day, service, CASE WHEN invoices <> 0 THEN share ELSE 0 END, CASE WHEN payments <> 0 THEN share ELSE 0 END, invoices, payments FROM shares)
  SELECT p.clinic_id, p.part, d.span, d.starts, p.key, p.billed, p.received, 0::numeric, 0::numeric, p.invoices, p.payments
  FROM parts p, LATERAL financial_spans(p.day) d
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION financial_of_invoices(invoices[]) RETURNS SETOF financial_sums
LANGUAGE sql STABLE AS $$
  SELECT s.* FROM financial_spread(ARRAY(
    SELECT ROW(i.clinic_id, i.id, coalesce(a.practitioner_id::text, ''), NULL, (i.issued_at AT TIME ZONE c.time_zone)::date, i.total_minor, 0, 1, 0)::financial_event
    FROM unnest($1) i
    JOIN clinics c ON c.id = i.clinic_id
    LEFT JOIN appointments a ON a.clinic_id = i.clinic_id AND a.id = i.appointment_id
    WHERE i.issued_at IS NOT NULL AND i.status NOT IN ('rascunho', 'anulada'))) s
  UNION ALL
  SELECT i.clinic_id, 'unpaid', d.span, d.starts, '', 0, 0, 0, i.total_minor - i.paid_minor, 0, 0
  FROM unnest($1) i, LATERAL financial_spans(i.due_date) d WHERE i.status IN ('aberta', 'paga_parcialmente')
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION financial_of_payments(payments[]) RETURNS SETOF financial_sums
LANGUAGE sql STABLE AS $$
  SELECT s.* FROM financial_spread(ARRAY(
    SELECT ROW(p.clinic_id, i.id, coalesce(a.practitioner_id::text, ''), p.method, (p.paid_at AT TIME ZONE c.time_zone)::date, 0, p.amount_minor, 0, 1)::financial_event
    FROM unnest($1) p
    JOIN clinics c ON c.id = p.clinic_id
    JOIN invoices i ON i.clinic_id = p.clinic_id AND i.id = p.invoice_id
    LEFT JOIN appointments a ON a.clinic_id = i.clinic_id AND a.id = i.appointment_id)) s
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION financial_of_refunds(refunds[]) RETURNS SETOF financial_sums
LANGUAGE sql STABLE AS $$
  SELECT r.clinic_id, 'all', d.span, d.starts, '', 0, 0, r.amount_minor, 0, 0, 0
  FROM unnest($1) r JOIN clinics c ON c.id = r.clinic_id, LATERAL financial_spans((r.created_at AT TIME ZONE c.time_zone)::date) d
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION financial_negative(financial_sums) RETURNS financial_sums
LANGUAGE sql IMMUTABLE AS $$
  SELECT ROW($1.clinic_id, $1.part, $1.span, $1.starts, $1.key, -$1.billed_minor, -$1.received_minor, -$1.refunded_minor, -$1.owed_minor, -$1.invoices, -$1.payments)::financial_sums
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Adds to the sums, in their order: whoever adds to several waits for nobody who waits for
-- them.
CREATE FUNCTION financial_add(financial_sums[]) RETURNS void
LANGUAGE sql AS $$
  INSERT INTO financial_sums AS s
  SELECT clinic_id, part, span, starts, key, sum(billed_minor), sum(received_minor), sum(refunded_minor), sum(owed_minor), sum(invoices), sum(payments)
  FROM unnest($1) GROUP BY clinic_id, part, span, starts, key
  HAVING sum(billed_minor) <> 0 OR sum(received_minor) <> 0 OR sum(refunded_minor) <> 0 OR sum(owed_minor) <> 0 OR sum(invoices) <> 0 OR sum(payments) <> 0
  ORDER BY clinic_id, part, span, starts, key
  ON CONFLICT (clinic_id, part, span, starts, key) DO UPDATE
  SET billed_minor = s.billed_minor + excluded.billed_minor, received_minor = s.received_minor + excluded.received_minor,
      refunded_minor = s.refunded_minor + excluded.refunded_minor, owed_minor = s.owed_minor + excluded.owed_minor,
      invoices = s.invoices + excluded.invoices, payments = s.payments + excluded.payments
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Makes a clinic's sums anew: for bulk loads, for a zone that changes, and for a doctor
-- who found them wanting. It waits for whoever writes the clinic's money, and they for it.
CREATE FUNCTION rebuild_financial_sums(clinic uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  portion CONSTANT integer := 20000;
BEGIN
  PERFORM cache_hold_zone(clinic, true);
  -- Summed before they are added: each row is written once.
  PERFORM financial_add(ARRAY(
    SELECT ROW(a.clinic_id, a.part, a.span, a.starts, a.key, sum(a.billed_minor), sum(a.received_minor), sum(a.refunded_minor), sum(a.owed_minor), sum(a.invoices), sum(a.payments))::financial_sums
    FROM (
      SELECT n.* FROM financial_sums s, LATERAL financial_negative(s) n WHERE s.clinic_id = clinic
      UNION ALL
      SELECT s.* FROM (SELECT array_agg(n.i) AS rows FROM (SELECT i, row_number() OVER (ORDER BY i.id) / portion AS n FROM invoices i WHERE i.clinic_id = clinic) n GROUP BY n.n) c, LATERAL financial_of_invoices(c.rows) s
      UNION ALL
      SELECT s.* FROM (SELECT array_agg(n.p) AS rows FROM (SELECT p, row_number() OVER (ORDER BY p.id) / portion AS n FROM payments p WHERE p.clinic_id = clinic) n GROUP BY n.n) c, LATERAL financial_of_payments(c.rows) s
      UNION ALL
      SELECT s.* FROM (SELECT array_agg(n.r) AS rows FROM (SELECT r, row_number() OVER (ORDER BY r.id) / portion AS n FROM refunds r WHERE r.clinic_id = clinic) n GROUP BY n.n) c, LATERAL financial_of_refunds(c.rows) s
    ) a GROUP BY a.clinic_id, a.part, a.span, a.starts, a.key));
END $$;
-- +goose StatementEnd

-- The sums follow what a statement changes. Before a trigger looks at a clinic's zone it
-- holds that: whoever changes the zone makes all sums anew.
-- +goose StatementBegin
DO $do$
DECLARE
  counted text;
BEGIN
  FOREACH counted IN ARRAY ARRAY['invoices', 'payments', 'refunds'] LOOP
    EXECUTE format($template$
      CREATE FUNCTION financial_follow_%1$s() RETURNS trigger
      LANGUAGE plpgsql AS $body$
      BEGIN
        IF TG_OP = 'INSERT' THEN
          PERFORM cache_hold_zone(c.clinic_id, false) FROM (SELECT DISTINCT n.clinic_id FROM new_rows n ORDER BY 1) c;
          PERFORM financial_add(ARRAY(SELECT s FROM financial_of_%1$s(ARRAY(SELECT ROW(n.*)::%1$s FROM new_rows n)) s));
        ELSIF TG_OP = 'DELETE' THEN
          PERFORM cache_hold_zone(c.clinic_id, false) FROM (SELECT DISTINCT o.clinic_id FROM old_rows o ORDER BY 1) c;
          PERFORM financial_add(ARRAY(SELECT financial_negative(s) FROM financial_of_%1$s(ARRAY(SELECT ROW(o.*)::%1$s FROM old_rows o)) s));
        ELSE
          PERFORM cache_hold_zone(c.clinic_id, false) FROM (SELECT DISTINCT n.clinic_id FROM new_rows n ORDER BY 1) c;
          PERFORM financial_add(ARRAY(
            SELECT financial_negative(s) FROM financial_of_%1$s(ARRAY(SELECT ROW(o.*)::%1$s FROM old_rows o)) s
            UNION ALL SELECT s FROM financial_of_%1$s(ARRAY(SELECT ROW(n.*)::%1$s FROM new_rows n)) s));
          %2$s
        END IF;
        RETURN NULL;
      END $body$
    $template$, counted, CASE counted WHEN 'invoices' THEN $mended$
          -- What an invoice that is issued is for, and costs, is changed by nobody but who
          -- mends it by hand; its payments fall to other services then.
          PERFORM rebuild_financial_sums(c.clinic_id) FROM (
            SELECT DISTINCT n.clinic_id FROM old_rows o JOIN new_rows n ON n.clinic_id = o.clinic_id AND n.id = o.id
            WHERE (o.total_minor, o.appointment_id) IS DISTINCT FROM (n.total_minor, n.appointment_id) AND o.status <> 'rascunho' ORDER BY 1) c;
    $mended$ END);
    EXECUTE format('CREATE TRIGGER financial_insert AFTER INSERT ON %1$I REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION financial_follow_%1$s()', counted);
    EXECUTE format('CREATE TRIGGER financial_update AFTER UPDATE ON %1$I REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION financial_follow_%1$s()', counted);
    EXECUTE format('CREATE TRIGGER financial_delete AFTER DELETE ON %1$I REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION financial_follow_%1$s()', counted);
  END LOOP;
END $do$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Items are written before their invoice is issued; who mends others has all made anew.
CREATE FUNCTION financial_items_follow() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM invoices i WHERE i.clinic_id = coalesce(NEW.clinic_id, OLD.clinic_id) AND i.id IN (OLD.invoice_id, NEW.invoice_id) AND i.status <> 'rascunho') THEN
    PERFORM rebuild_financial_sums(coalesce(NEW.clinic_id, OLD.clinic_id));
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER financial_items_follow AFTER INSERT OR UPDATE OR DELETE ON invoice_items FOR EACH ROW EXECUTE FUNCTION financial_items_follow();

-- +goose StatementBegin
-- An appointment that another practitioner takes over takes its money along.
CREATE FUNCTION financial_practitioner_follows() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
  billed invoices[];
BEGIN
  -- Locked against payments, too, which look at the appointment before they commit.
  billed := ARRAY(SELECT i FROM invoices i WHERE i.clinic_id = NEW.clinic_id AND i.appointment_id = NEW.id ORDER BY i.id FOR UPDATE);
  IF cardinality(billed) = 0 THEN
    RETURN NULL;
  END IF;
  PERFORM cache_hold_zone(NEW.clinic_id, false);
  PERFORM financial_add(ARRAY(
    SELECT ROW(s.clinic_id, s.part, s.span, s.starts, k.key, k.sign * s.billed_minor, k.sign * s.received_minor, 0, 0, k.sign * s.invoices, k.sign * s.payments)::financial_sums
    FROM (
      SELECT * FROM financial_of_invoices(billed)
      UNION ALL SELECT * FROM financial_of_payments(ARRAY(
        SELECT p FROM payments p WHERE p.clinic_id = NEW.clinic_id AND p.invoice_id IN (SELECT i.id FROM unnest(billed) i)))) s,
      (VALUES (1, NEW.practitioner_id::text), (-1, OLD.practitioner_id::text)) AS k (sign, key)
    WHERE s.part = 'practitioner'));
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER financial_practitioner_follows AFTER UPDATE ON appointments
  FOR EACH ROW WHEN (OLD.practitioner_id IS DISTINCT FROM NEW.practitioner_id) EXECUTE FUNCTION financial_practitioner_follows();

-- +goose StatementBegin
CREATE FUNCTION financial_zone_follows() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM rebuild_financial_sums(NEW.id);
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER financial_zone_follows AFTER UPDATE ON clinics
  FOR EACH ROW WHEN (OLD.time_zone IS DISTINCT FROM NEW.time_zone) EXECUTE FUNCTION financial_zone_follows();

-- +goose Down
DROP TRIGGER financial_zone_follows ON clinics;
DROP TRIGGER financial_practitioner_follows ON appointments;
DROP TRIGGER clinics_invoices_follow ON clinics;
DROP FUNCTION financial_of_refunds(refunds[]);
DROP FUNCTION financial_of_payments(payments[]);
DROP FUNCTION financial_of_invoices(invoices[]);
DROP FUNCTION financial_spread(financial_event[]);
DROP FUNCTION financial_spans(date);
DROP TYPE financial_event;
DROP FUNCTION financial_negative(financial_sums);
DROP FUNCTION financial_add(financial_sums[]);
DROP TABLE financial_sums, refunds, payments, invoice_items, invoices, counters;
DROP FUNCTION financial_zone_follows();
DROP FUNCTION financial_practitioner_follows();
DROP FUNCTION financial_items_follow();
DROP FUNCTION financial_follow_refunds();
DROP FUNCTION financial_follow_payments();
DROP FUNCTION financial_follow_invoices();
DROP FUNCTION rebuild_financial_sums(uuid);
DROP FUNCTION cache_tags_financial_sums();
DROP FUNCTION clinics_invoices_follow();
DROP FUNCTION invoices_follow_clinic();
DROP FUNCTION cache_tags_refunds();
DROP FUNCTION cache_tags_payments();
DROP FUNCTION cache_tags_invoice_items();
DROP FUNCTION cache_tags_invoices();
