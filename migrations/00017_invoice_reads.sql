-- What the API reads of invoices: a draft has no number yet, an issued invoice says
-- since when, and both announce their changes.

-- +goose Up
ALTER TABLE invoices ALTER COLUMN number DROP NOT NULL;
ALTER TABLE invoices ADD COLUMN issued_at timestamptz;
-- The owner sees no clinic's rows while row-level security is forced upon it.
ALTER TABLE invoices NO FORCE ROW LEVEL SECURITY;
ALTER TABLE invoices DISABLE TRIGGER invoices_touch;
UPDATE invoices SET issued_at = created_at WHERE status <> 'rascunho';
ALTER TABLE invoices ENABLE TRIGGER invoices_touch;
ALTER TABLE invoices FORCE ROW LEVEL SECURITY;
SELECT cache_announce('invoices',
  $$ARRAY['invoice:' || r.id]$$,
  $$ARRAY['invoice/list', 'invoice/contact=' || r.contact_id]
    || CASE WHEN r.appointment_id IS NULL THEN '{}' ELSE ARRAY['invoice/appointment=' || r.appointment_id] END$$,
  '{contact_id,appointment_id,status,due_date,created_at}');

-- +goose Down
DROP TRIGGER cache_tags_insert ON invoices;
DROP TRIGGER cache_tags_update ON invoices;
DROP TRIGGER cache_tags_delete ON invoices;
DROP TRIGGER cache_tags_truncate ON invoices;
DROP FUNCTION cache_tags_invoices();
ALTER TABLE invoices DROP COLUMN issued_at;
ALTER TABLE invoices NO FORCE ROW LEVEL SECURITY;
UPDATE invoices SET number = 'rascunho ' || id WHERE number IS NULL;
ALTER TABLE invoices FORCE ROW LEVEL SECURITY;
ALTER TABLE invoices ALTER COLUMN number SET NOT NULL;
