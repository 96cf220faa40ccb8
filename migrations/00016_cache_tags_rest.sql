-- Every table that answers are, or will be, read from announces its changes;
-- every other one that the application may read says here why it does not. A
-- server refuses a database in which a table does neither (internal/fitness).

-- +goose Up
-- +goose StatementBegin
-- Declares that no answer that is kept is read from a table, and why. It stands
-- in the catalogue, where the check looks, and goes with the table. Whoever
-- writes the first such read makes the table announce instead: cache_announce,
-- and COMMENT ON TABLE … IS NULL.
CREATE FUNCTION cache_unread(tenant_table regclass, reason text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  IF coalesce(btrim(reason), '') = '' THEN
    RAISE EXCEPTION 'say why no answer is read from %', tenant_table;
  END IF;
  EXECUTE format('COMMENT ON TABLE %s IS %L', tenant_table, 'no answer is read from it: ' || reason);
END $$;
-- +goose StatementEnd

SELECT cache_announce('consents',
  $$ARRAY['consent:' || r.id]$$, $$ARRAY['consent/contact=' || r.contact_id]$$, '{contact_id,purpose,decided_at}');
SELECT cache_announce('waitlist_entries',
  $$ARRAY['waitlist_entry:' || r.id]$$,
  $$ARRAY['waitlist_entry/list', 'waitlist_entry/service=' || r.service_id, 'waitlist_entry/contact=' || r.contact_id]
    || CASE WHEN r.practitioner_id IS NULL THEN '{}' ELSE ARRAY['waitlist_entry/practitioner=' || r.practitioner_id] END$$,
  '{contact_id,practitioner_id,service_id,created_at}');
SELECT cache_announce('calendar_feeds',
  $$ARRAY['calendar_feed:' || r.id]$$, $$ARRAY['calendar_feed/list']$$, '{practitioner_id,created_at,revoked_at}');
SELECT cache_announce('attachments',
  $$ARRAY['attachment:' || r.id]$$, $$ARRAY['attachment/medical_record=' || r.medical_record_id]$$, '{medical_record_id,created_at}');
SELECT cache_announce('conversations',
  $$ARRAY['conversation:' || r.id]$$,
  $$ARRAY['conversation/list', 'conversation/contact=' || r.contact_id]
    || CASE WHEN r.assignee_id IS NULL THEN '{}' ELSE ARRAY['conversation/assignee=' || r.assignee_id] END$$,
  '{contact_id,channel,status,assignee_id,unread_count,created_at,updated_at}');
SELECT cache_announce('messages',
  $$ARRAY['message:' || r.id]$$, $$ARRAY['message/conversation=' || r.conversation_id]$$, '{conversation_id,created_at}');
SELECT cache_announce('invoices',
  $$ARRAY['invoice:' || r.id]$$,
  $$ARRAY['invoice/list', 'invoice/contact=' || r.contact_id]
    || CASE WHEN r.appointment_id IS NULL THEN '{}' ELSE ARRAY['invoice/appointment=' || r.appointment_id] END$$,
  '{number,contact_id,appointment_id,status,due_date,created_at}');
SELECT cache_announce('invoice_items',
  $$ARRAY['invoice_item:' || r.id]$$, $$ARRAY['invoice_item/invoice=' || r.invoice_id]$$, '{invoice_id,position,service_id}');
SELECT cache_announce('payments',
  $$ARRAY['payment:' || r.id]$$, $$ARRAY['payment/list', 'payment/invoice=' || r.invoice_id]$$, '{invoice_id,method,paid_at}');
SELECT cache_announce('refunds',
  $$ARRAY['refund:' || r.id]$$, $$ARRAY['refund/list', 'refund/payment=' || r.payment_id]$$, '{payment_id,created_at}');
SELECT cache_announce('webhook_endpoints',
  $$ARRAY['webhook_endpoint:' || r.id]$$, $$ARRAY['webhook_endpoint/list']$$, '{active,created_at}');
SELECT cache_announce('webhook_deliveries',
  $$ARRAY['webhook_delivery:' || r.id]$$,
  $$ARRAY['webhook_delivery/webhook_endpoint=' || r.webhook_endpoint_id]$$,
  '{webhook_endpoint_id,outbox_id,next_attempt_at,delivered_at,created_at}');

SELECT cache_unread('contact_search_words', 'it follows contact_search, which announces');
SELECT cache_unread('contact_search_misspellings', 'it follows contact_search_vocabulary, which announces');
SELECT cache_unread('idempotency_keys', 'mutations alone look at it, and their answers are never kept');
SELECT cache_unread('outbox', 'what was written leaves by it; it is read by its dispatcher alone');
SELECT cache_unread('audit_events', 'the trail of reads grows with every answer, so no answer about it can be kept');

-- Servers compare what was applied with what they were built with.
GRANT SELECT ON goose_db_version TO taskmed_app;
-- The newest migration that the oldest binary knows which may serve this
-- database: binaries are rolled back without their migrations. A migration that
-- takes something away, or adds what an older binary's writes lack, raises it.
COMMENT ON TABLE goose_db_version IS 'oldest binary: 14';

-- +goose Down
COMMENT ON TABLE goose_db_version IS NULL;
REVOKE SELECT ON goose_db_version FROM taskmed_app;
-- +goose StatementBegin
DO $$
DECLARE
  changed text;
  event text;
BEGIN
  FOREACH changed IN ARRAY ARRAY['contact_search_words', 'contact_search_misspellings', 'idempotency_keys', 'outbox', 'audit_events'] LOOP
    EXECUTE format('COMMENT ON TABLE %I IS NULL', changed);
  END LOOP;
  FOREACH changed IN ARRAY ARRAY['consents', 'waitlist_entries', 'calendar_feeds', 'attachments', 'conversations', 'messages',
      'invoices', 'invoice_items', 'payments', 'refunds', 'webhook_endpoints', 'webhook_deliveries'] LOOP
    FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
      EXECUTE format('DROP TRIGGER cache_tags_%s ON %I', event, changed);
    END LOOP;
    EXECUTE format('DROP FUNCTION cache_tags_%s()', changed);
  END LOOP;
END $$;
-- +goose StatementEnd
DROP FUNCTION cache_unread(regclass, text);
