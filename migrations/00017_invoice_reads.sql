-- What the API reads of invoices: a draft has no number yet, and an issued invoice
-- says since when it is one.

-- +goose Up
ALTER TABLE invoices ALTER COLUMN number DROP NOT NULL;
ALTER TABLE invoices ADD COLUMN issued_at timestamptz;
-- The owner sees no clinic's rows while row-level security is forced upon it.
ALTER TABLE invoices NO FORCE ROW LEVEL SECURITY;
ALTER TABLE invoices DISABLE TRIGGER invoices_touch;
UPDATE invoices SET issued_at = created_at WHERE status <> 'rascunho';
ALTER TABLE invoices ENABLE TRIGGER invoices_touch;
ALTER TABLE invoices FORCE ROW LEVEL SECURITY;

-- +goose Down
ALTER TABLE invoices DROP COLUMN issued_at;
ALTER TABLE invoices NO FORCE ROW LEVEL SECURITY;
UPDATE invoices SET number = 'rascunho ' || id WHERE number IS NULL;
ALTER TABLE invoices FORCE ROW LEVEL SECURITY;
ALTER TABLE invoices ALTER COLUMN number SET NOT NULL;
