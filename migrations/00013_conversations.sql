-- Conversations, their messages, the addresses by which people are known in them, what
-- the clinic sends and receives with, and what waits on either way.

-- +goose Up
-- +goose StatementBegin
-- An address as it is compared. Brazilian mobile numbers come with and without their
-- ninth digit, whatever the person dialled; addresses of mail in any case.
CREATE FUNCTION contact_identity_key(channel text, value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  SELECT (CASE
    WHEN channel IN ('whatsapp', 'sms') AND value LIKE '+55%' THEN '+55' || contact_search_ninth(substr(value, 4))
    WHEN channel = 'email' THEN lower(value)
    ELSE value END) COLLATE "C"
$$;
-- +goose StatementEnd

-- By what a person is known in a channel. One address is one person's: of two messages
-- of somebody new that come at once, the second finds the contact of the first.
CREATE TABLE contact_identities (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  contact_id uuid NOT NULL,
  channel text NOT NULL CHECK (channel IN ('whatsapp', 'sms', 'email', 'web')),
  -- A phone in E.164, an address of mail, or a provider's own name for the person.
  value text NOT NULL CHECK (char_length(value) BETWEEN 1 AND 255),
  key text COLLATE "C" NOT NULL GENERATED ALWAYS AS (contact_identity_key(channel, value)) STORED,
  -- When the person first wrote from it.
  verified_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, contact_id) REFERENCES contacts (clinic_id, id)
);
CREATE UNIQUE INDEX idx_contact_identities_key ON contact_identities (clinic_id, channel, key);
CREATE INDEX idx_contact_identities_contact ON contact_identities (clinic_id, contact_id, created_at, id);
SELECT protect_tenant_table('contact_identities', 'SELECT, INSERT, UPDATE');
SELECT cache_announce('contact_identities',
  $$ARRAY['contact_identities/contact=' || r.contact_id]$$, $$'{}'::text[]$$, '{contact_id}');

-- What a clinic sends and receives with.
CREATE TABLE channel_accounts (
  clinic_id uuid NOT NULL REFERENCES clinics (id),
  id uuid NOT NULL,
  channel text NOT NULL CHECK (channel IN ('whatsapp', 'sms', 'email', 'web')),
  name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
  address text NOT NULL CHECK (char_length(address) BETWEEN 1 AND 254),
  active boolean NOT NULL DEFAULT true,
  -- Sealed with a key of the server's secret.
  settings bytea NOT NULL CHECK (octet_length(settings) BETWEEN 1 AND 20000),
  last_error text CHECK (char_length(last_error) BETWEEN 1 AND 500),
  -- When the next message may be sent, by the channel's rate.
  next_send_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id)
);
CREATE UNIQUE INDEX idx_channel_accounts_address ON channel_accounts (clinic_id, channel, address);
CREATE TRIGGER channel_accounts_touch BEFORE UPDATE ON channel_accounts FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('channel_accounts', 'SELECT, INSERT, UPDATE');
-- Not when it may send next.
SELECT cache_announce('channel_accounts', $$'{}'::text[]$$, $$ARRAY['channel_account:' || r.id, 'channel_account/list']$$,
  '{channel,name,address,active,settings,last_error,created_at}');

CREATE TABLE conversations (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  contact_id uuid NOT NULL,
  channel text NOT NULL CHECK (channel IN ('whatsapp', 'sms', 'email', 'web')),
  status text NOT NULL DEFAULT 'aberta' CHECK (status IN ('aberta', 'pendente', 'fechada')),
  assignee_id uuid,
  -- The one that the contact wrote to last, or that the clinic chose.
  account_id uuid,
  -- How many messages the contact has written, and how many of them were read: whoever
  -- changes either holds the row.
  received_count integer NOT NULL DEFAULT 0,
  read_count integer NOT NULL DEFAULT 0,
  -- The place in the thread up to which it was read. What comes late stands behind it.
  read_until timestamptz,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  CONSTRAINT conversations_read CHECK (read_count BETWEEN 0 AND received_count),
  FOREIGN KEY (clinic_id, contact_id) REFERENCES contacts (clinic_id, id),
  FOREIGN KEY (clinic_id, account_id) REFERENCES channel_accounts (clinic_id, id),
  CONSTRAINT conversations_assignee FOREIGN KEY (clinic_id, assignee_id) REFERENCES memberships (clinic_id, id)
);
-- A contact's talk in a channel is one, however often it is closed and goes on.
CREATE UNIQUE INDEX idx_conversations_contact_channel ON conversations (clinic_id, contact_id, channel);
CREATE INDEX idx_conversations_clinic_updated ON conversations (clinic_id, updated_at);
CREATE INDEX idx_conversations_clinic_status ON conversations (clinic_id, status, updated_at, id);
CREATE INDEX idx_conversations_clinic_channel ON conversations (clinic_id, channel, updated_at, id);
CREATE INDEX idx_conversations_assignee ON conversations (clinic_id, assignee_id, updated_at, id) WHERE assignee_id IS NOT NULL;
CREATE INDEX idx_conversations_unread ON conversations (clinic_id, updated_at, id) WHERE read_count < received_count;
CREATE INDEX idx_conversations_contact ON conversations (clinic_id, contact_id, updated_at, id);

-- +goose StatementBegin
-- As touch_row, but that somebody reads is no activity: it moves no conversation to the
-- top of the list.
CREATE FUNCTION conversations_touch() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  NEW.version := OLD.version + 1;
  NEW.created_at := OLD.created_at;
  IF (NEW.read_count, NEW.read_until) IS NOT DISTINCT FROM (OLD.read_count, OLD.read_until) THEN
    NEW.updated_at := greatest(clock_timestamp(), OLD.updated_at + interval '1 microsecond');
  ELSE
    NEW.updated_at := OLD.updated_at;
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER conversations_touch BEFORE UPDATE ON conversations FOR EACH ROW EXECUTE FUNCTION conversations_touch();
SELECT protect_tenant_table('conversations', 'SELECT, INSERT, UPDATE');
SELECT cache_announce('conversations',
  $$ARRAY['conversation:' || r.id]$$,
  $$ARRAY['conversation/list', 'conversation/contact=' || r.contact_id, 'conversation/status=' || r.status, 'conversation/channel=' || r.channel]
    || CASE WHEN r.assignee_id IS NULL THEN '{}' ELSE ARRAY['conversation/assignee=' || r.assignee_id] END$$,
  '{contact_id,channel,status,assignee_id,received_count,read_count,created_at,updated_at}');

CREATE TABLE messages (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  conversation_id uuid NOT NULL,
  direction text NOT NULL CHECK (direction IN ('inbound', 'outbound')),
  body text NOT NULL CHECK (char_length(body) BETWEEN 1 AND 10000),
  status text NOT NULL CHECK (status IN ('na_fila', 'enviada', 'entregue', 'lida', 'falhou')),
  author text CHECK (char_length(author) <= 255),
  -- The provider's own name of it.
  external_reference text CHECK (char_length(external_reference) BETWEEN 1 AND 255),
  sent_at timestamptz,
  delivered_at timestamptz,
  read_at timestamptz,
  failure text CHECK (char_length(failure) BETWEEN 1 AND 500),
  version integer NOT NULL DEFAULT 1,
  -- Its place in the thread: when the clinic wrote it, or when the contact did by the
  -- provider's clock, but never before what was read already.
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, conversation_id) REFERENCES conversations (clinic_id, id),
  CONSTRAINT messages_failure CHECK ((status = 'falhou') = (failure IS NOT NULL)),
  -- What the contact writes is there, or it would not be known.
  CONSTRAINT messages_inbound CHECK (direction = 'outbound' OR status = 'entregue' AND author IS NULL)
);
CREATE INDEX idx_messages_conversation_created ON messages (clinic_id, conversation_id, created_at);
CREATE UNIQUE INDEX idx_messages_external_reference ON messages (clinic_id, external_reference) WHERE external_reference IS NOT NULL;
CREATE TRIGGER messages_touch BEFORE UPDATE ON messages FOR EACH ROW EXECUTE FUNCTION touch_row();
SELECT protect_tenant_table('messages', 'SELECT, INSERT, UPDATE');
SELECT cache_announce('messages',
  $$ARRAY['message:' || r.id]$$, $$ARRAY['message/conversation=' || r.conversation_id]$$, '{conversation_id,created_at}');

-- What providers have posted, each thing once: it is kept before the provider is
-- answered, and understood after. What is done with has no due_at and no payload.
CREATE TABLE channel_events (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  account_id uuid NOT NULL,
  reference text COLLATE "C" NOT NULL CHECK (char_length(reference) BETWEEN 1 AND 300),
  payload bytea CHECK (octet_length(payload) <= 1048576),
  attempts integer NOT NULL DEFAULT 0,
  due_at timestamptz DEFAULT clock_timestamp(),
  -- Why nothing came of it.
  failure text CHECK (char_length(failure) BETWEEN 1 AND 500),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, account_id) REFERENCES channel_accounts (clinic_id, id),
  CONSTRAINT channel_events_kept CHECK (due_at IS NULL OR payload IS NOT NULL)
);
CREATE UNIQUE INDEX idx_channel_events_reference ON channel_events (clinic_id, account_id, reference);
CREATE INDEX idx_channel_events_due ON channel_events (clinic_id, due_at) WHERE due_at IS NOT NULL;
SELECT protect_tenant_table('channel_events', 'SELECT, INSERT, UPDATE');
SELECT cache_unread('channel_events', 'what comes of it is told by the messages and the account');

-- What is to be sent. taken_at is committed before the provider is asked: of what is
-- found taken later nobody knows whether it was sent.
CREATE TABLE outgoing_messages (
  clinic_id uuid NOT NULL,
  message_id uuid NOT NULL,
  conversation_id uuid NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  taken_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, message_id),
  FOREIGN KEY (clinic_id, message_id) REFERENCES messages (clinic_id, id),
  FOREIGN KEY (clinic_id, conversation_id) REFERENCES conversations (clinic_id, id)
);
CREATE INDEX idx_outgoing_messages_due ON outgoing_messages (clinic_id, due_at);
CREATE INDEX idx_outgoing_messages_conversation ON outgoing_messages (clinic_id, conversation_id, created_at, message_id);
SELECT protect_tenant_table('outgoing_messages', 'SELECT, INSERT, UPDATE, DELETE');
SELECT cache_unread('outgoing_messages', 'how far a message has come stands with the message');

-- Workers ask which clinics have something to do before they work for one.
GRANT SELECT ON channel_events, outgoing_messages TO taskmed_lookup;
CREATE POLICY lookup ON channel_events FOR SELECT TO taskmed_lookup USING (true);
CREATE POLICY lookup ON outgoing_messages FOR SELECT TO taskmed_lookup USING (true);
CREATE INDEX idx_channel_events_work ON channel_events (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX idx_outgoing_messages_work ON outgoing_messages (due_at);

-- +goose StatementBegin
CREATE FUNCTION channel_work(most integer) RETURNS TABLE (clinic uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT DISTINCT w.clinic_id FROM (
    (SELECT e.clinic_id FROM public.channel_events e WHERE e.due_at <= clock_timestamp() ORDER BY e.due_at LIMIT most * 20)
    UNION ALL
    (SELECT o.clinic_id FROM public.outgoing_messages o WHERE o.due_at <= clock_timestamp() ORDER BY o.due_at LIMIT most * 20)) w
  LIMIT most
$$;
-- +goose StatementEnd

GRANT SELECT (clinic_id, id, channel) ON conversations, channel_accounts TO taskmed_lookup;
CREATE POLICY lookup ON conversations FOR SELECT TO taskmed_lookup USING (true);
CREATE POLICY lookup ON channel_accounts FOR SELECT TO taskmed_lookup USING (true);

-- +goose StatementBegin
-- What waits in each channel over all clinics, and for how many seconds the oldest of it
-- has: messages that are to be sent, and posts of providers that are to be understood. Of
-- posts also for how long one has been due: they wait for nothing but a worker.
CREATE FUNCTION channel_figures() RETURNS TABLE (channel text, direction text, waiting bigint, oldest float8, overdue float8)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
  SELECT w.channel, w.direction, count(*), greatest(0, extract(epoch FROM clock_timestamp() - min(w.created_at)))::float8,
    coalesce(greatest(0, extract(epoch FROM clock_timestamp() - min(w.due_at))), 0)::float8 FROM (
    SELECT c.channel, 'out' AS direction, o.created_at, NULL::timestamptz AS due_at FROM public.outgoing_messages o
      JOIN public.conversations c ON c.clinic_id = o.clinic_id AND c.id = o.conversation_id
    UNION ALL
    SELECT a.channel, 'in', e.created_at, e.due_at FROM public.channel_events e
      JOIN public.channel_accounts a ON a.clinic_id = e.clinic_id AND a.id = e.account_id WHERE e.due_at IS NOT NULL) w
  GROUP BY w.channel, w.direction
$$;
-- +goose StatementEnd

-- What is done with, and what was given up with what was posted, which is a patient's.
CREATE INDEX idx_channel_events_ended ON channel_events (created_at) WHERE due_at IS NULL;
GRANT DELETE ON channel_events TO taskmed_lookup;
CREATE POLICY pruning ON channel_events FOR DELETE TO taskmed_lookup USING (due_at IS NULL AND created_at < clock_timestamp() - interval '8 days');

-- +goose StatementBegin
-- Deletes at most so many posts of providers that are older than they are kept, and that
-- nobody is still to understand. Providers repeat what they posted for up to seven days:
-- until then its name must be known. finished is false while there may be more.
CREATE FUNCTION channel_prune(older interval, most integer) RETURNS TABLE (gone bigint, finished boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  before text := public.put_clinic_aside();
BEGIN
  IF older < interval '8 days' THEN
    RAISE EXCEPTION 'posts of providers are kept for eight days at least';
  END IF;
  DELETE FROM public.channel_events e WHERE e.ctid = ANY (ARRAY(
    SELECT x.ctid FROM public.channel_events x WHERE x.due_at IS NULL AND x.created_at < clock_timestamp() - older
    ORDER BY x.created_at LIMIT most));
  GET DIAGNOSTICS gone = ROW_COUNT;
  finished := gone < most;
  PERFORM set_config('app.clinic', before, true);
  RETURN NEXT;
END $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION channel_work(integer), channel_figures(), channel_prune(interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION channel_work(integer), channel_figures(), channel_prune(interval, integer) TO taskmed_app;
GRANT CREATE ON SCHEMA public TO taskmed_lookup;
ALTER FUNCTION channel_work(integer) OWNER TO taskmed_lookup;
ALTER FUNCTION channel_figures() OWNER TO taskmed_lookup;
ALTER FUNCTION channel_prune(interval, integer) OWNER TO taskmed_lookup;
REVOKE CREATE ON SCHEMA public FROM taskmed_lookup;

-- +goose Down
DROP FUNCTION channel_prune(interval, integer);
DROP FUNCTION channel_figures();
DROP FUNCTION channel_work(integer);
DROP TABLE outgoing_messages, channel_events, messages, conversations, channel_accounts, contact_identities;
DROP FUNCTION cache_tags_channel_accounts();
DROP FUNCTION conversations_touch();
DROP FUNCTION contact_identity_key(text, text);
DROP FUNCTION cache_tags_messages();
DROP FUNCTION cache_tags_conversations();
DROP FUNCTION cache_tags_contact_identities();
