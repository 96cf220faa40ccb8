-- Conversations and their messages.

-- +goose Up
CREATE TABLE conversations (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  contact_id uuid NOT NULL,
  channel text NOT NULL CHECK (channel IN ('whatsapp', 'sms', 'email', 'web')),
  status text NOT NULL DEFAULT 'aberta' CHECK (status IN ('aberta', 'pendente', 'fechada')),
  assignee_id uuid,
  unread_count integer NOT NULL DEFAULT 0 CHECK (unread_count >= 0),
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, contact_id) REFERENCES contacts (clinic_id, id),
  FOREIGN KEY (clinic_id, assignee_id) REFERENCES practitioners (clinic_id, id)
);
CREATE INDEX idx_conversations_clinic_updated ON conversations (clinic_id, updated_at);
CREATE INDEX idx_conversations_clinic_status ON conversations (clinic_id, status, updated_at, id);
CREATE INDEX idx_conversations_contact ON conversations (clinic_id, contact_id, updated_at, id);
CREATE TRIGGER conversations_touch BEFORE UPDATE ON conversations FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('conversations', 'SELECT, INSERT, UPDATE');
SELECT cache_announce('conversations',
  $$ARRAY['conversation:' || r.id]$$,
  $$ARRAY['conversation/list', 'conversation/contact=' || r.contact_id]
    || CASE WHEN r.assignee_id IS NULL THEN '{}' ELSE ARRAY['conversation/assignee=' || r.assignee_id] END$$,
  '{contact_id,channel,status,assignee_id,unread_count,created_at,updated_at}');

CREATE TABLE messages (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  conversation_id uuid NOT NULL,
  direction text NOT NULL CHECK (direction IN ('inbound', 'outbound')),
  body text NOT NULL CHECK (char_length(body) BETWEEN 1 AND 10000),
  status text NOT NULL CHECK (status IN ('na_fila', 'enviada', 'entregue', 'lida', 'falhou')),
  author text CHECK (char_length(author) <= 255),
  external_reference text CHECK (char_length(external_reference) BETWEEN 1 AND 255),
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, conversation_id) REFERENCES conversations (clinic_id, id)
);
CREATE INDEX idx_messages_conversation_created ON messages (clinic_id, conversation_id, created_at);
CREATE UNIQUE INDEX idx_messages_external_reference ON messages (clinic_id, conversation_id, external_reference) WHERE external_reference IS NOT NULL;
CREATE TRIGGER messages_touch BEFORE UPDATE ON messages FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('messages', 'SELECT, INSERT, UPDATE');
SELECT cache_announce('messages',
  $$ARRAY['message:' || r.id]$$, $$ARRAY['message/conversation=' || r.conversation_id]$$, '{conversation_id,created_at}');

-- +goose Down
DROP TABLE messages, conversations;
DROP FUNCTION cache_tags_messages();
DROP FUNCTION cache_tags_conversations();
