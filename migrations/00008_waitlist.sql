-- The waiting list at work: who is in line and what became of them, what they were
-- offered, and what there is to do: times that became free and holds that run out.

-- +goose Up
CREATE TABLE waitlist_entries (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  contact_id uuid NOT NULL,
  practitioner_id uuid,
  service_id uuid NOT NULL,
  range_from timestamptz,
  range_to timestamptz,
  -- Who waits has an offer or none; BOOKED, LEFT and EXPIRED are no longer in line.
  status text NOT NULL DEFAULT 'aguardando' CHECK (status IN ('aguardando', 'agendado', 'desistiu', 'vencido')),
  offered_practitioner_id uuid,
  offered_starts_at timestamptz,
  offered_ends_at timestamptz,
  offer_expires_at timestamptz,
  appointment_id uuid,
  joined_by text NOT NULL CHECK (char_length(joined_by) BETWEEN 1 AND 255),
  -- NULL where an entry ended by itself.
  ended_by text CHECK (char_length(ended_by) BETWEEN 1 AND 255),
  ended_at timestamptz,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, contact_id) REFERENCES contacts (clinic_id, id),
  FOREIGN KEY (clinic_id, practitioner_id) REFERENCES practitioners (clinic_id, id),
  FOREIGN KEY (clinic_id, offered_practitioner_id) REFERENCES practitioners (clinic_id, id),
  FOREIGN KEY (clinic_id, service_id) REFERENCES services (clinic_id, id),
  FOREIGN KEY (clinic_id, appointment_id) REFERENCES appointments (clinic_id, id),
  CHECK (range_from < range_to),
  CONSTRAINT waitlist_entries_offered CHECK (
    num_nonnulls(offered_practitioner_id, offered_starts_at, offered_ends_at, offer_expires_at) IN (0, 4)
    AND (status = 'aguardando' OR offer_expires_at IS NULL)),
  CONSTRAINT waitlist_entries_ended CHECK (
    (status = 'agendado') = (appointment_id IS NOT NULL) AND (status = 'aguardando') = (ended_at IS NULL)
    AND (status <> 'aguardando' OR ended_by IS NULL))
);
CREATE INDEX idx_waitlist_line ON waitlist_entries (clinic_id, created_at, id) WHERE status = 'aguardando';
CREATE INDEX idx_waitlist_service ON waitlist_entries (clinic_id, service_id, created_at, id) WHERE status = 'aguardando';
CREATE INDEX idx_waitlist_practitioner ON waitlist_entries (clinic_id, practitioner_id, created_at, id) WHERE status = 'aguardando';
CREATE INDEX idx_waitlist_range_to ON waitlist_entries (clinic_id, range_to) WHERE status = 'aguardando' AND range_to IS NOT NULL;
-- Nobody waits twice for the same.
CREATE UNIQUE INDEX idx_waitlist_same ON waitlist_entries (clinic_id, contact_id, service_id, practitioner_id, range_from, range_to)
  NULLS NOT DISTINCT WHERE status = 'aguardando';
CREATE UNIQUE INDEX idx_waitlist_appointment ON waitlist_entries (clinic_id, appointment_id) WHERE appointment_id IS NOT NULL;
CREATE TRIGGER waitlist_entries_touch BEFORE UPDATE ON waitlist_entries FOR EACH ROW EXECUTE FUNCTION touch_row();
-- Entries end and stay, so that it can be told who did what.
SELECT protect_tenant_table('waitlist_entries', 'SELECT, INSERT, UPDATE');
SELECT cache_announce('waitlist_entries',
  $$ARRAY['waitlist_entry:' || r.id]$$, $$ARRAY['waitlist_entry/list']$$, '{practitioner_id,service_id,created_at,status}');

-- What somebody in line was offered, and what came of it. Its id is that of the hold
-- that keeps the slot.
CREATE TABLE waitlist_offers (
  clinic_id uuid NOT NULL,
  id uuid NOT NULL,
  entry_id uuid NOT NULL,
  practitioner_id uuid NOT NULL,
  starts_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  offered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  -- NULL while it stands.
  outcome text CHECK (outcome IN ('accepted', 'declined', 'lapsed', 'withdrawn')),
  ended_at timestamptz,
  -- NULL where it ended by itself.
  actor text CHECK (char_length(actor) BETWEEN 1 AND 255),
  appointment_id uuid,
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, entry_id) REFERENCES waitlist_entries (clinic_id, id),
  FOREIGN KEY (clinic_id, practitioner_id) REFERENCES practitioners (clinic_id, id),
  FOREIGN KEY (clinic_id, appointment_id) REFERENCES appointments (clinic_id, id),
  CHECK (starts_at < ends_at AND ends_at - starts_at <= interval '24 hours'),
  CHECK (expires_at > offered_at AND expires_at <= offered_at + interval '1 hour'),
  CHECK ((outcome IS NULL) = (ended_at IS NULL)),
  CHECK ((outcome IS NOT DISTINCT FROM 'accepted') = (appointment_id IS NOT NULL))
);
-- One offer at a time, and one appointment of each.
CREATE UNIQUE INDEX idx_waitlist_offers_standing ON waitlist_offers (clinic_id, entry_id) WHERE outcome IS NULL;
CREATE UNIQUE INDEX idx_waitlist_offers_appointment ON waitlist_offers (clinic_id, appointment_id) WHERE appointment_id IS NOT NULL;
CREATE INDEX idx_waitlist_offers_entry ON waitlist_offers (clinic_id, entry_id, practitioner_id, starts_at);
CREATE INDEX idx_waitlist_offers_expiry ON waitlist_offers (clinic_id, expires_at) WHERE outcome IS NULL;
SELECT protect_tenant_table('waitlist_offers', 'SELECT, INSERT');
GRANT UPDATE (outcome, ended_at, actor, appointment_id) ON waitlist_offers TO taskmed_app;
SELECT cache_unread('waitlist_offers', 'the entry says what is offered; this is the record of it');

-- +goose StatementBegin
-- Whatever two transactions believe, an offer ends once.
CREATE FUNCTION waitlist_offer_ended() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the offer has ended' USING ERRCODE = 'check_violation', CONSTRAINT = 'waitlist_offers_end_once';
END $$;
-- +goose StatementEnd
CREATE TRIGGER waitlist_offers_end_once BEFORE UPDATE ON waitlist_offers
  FOR EACH ROW WHEN (OLD.outcome IS NOT NULL) EXECUTE FUNCTION waitlist_offer_ended();

-- What the line is to be looked through for, from a moment on. Whoever frees a time
-- writes it down in the same transaction, and whoever has looked deletes it in the one
-- that offers, so that nothing is lost whoever ends when.
CREATE TABLE waitlist_work (
  clinic_id uuid NOT NULL REFERENCES clinics (id),
  id uuid NOT NULL,
  -- Whose time; NULL for everybody's.
  practitioner_id uuid,
  -- Which; NULL for whatever is free.
  starts_at timestamptz,
  ends_at timestamptz,
  due_at timestamptz NOT NULL,
  PRIMARY KEY (clinic_id, id),
  FOREIGN KEY (clinic_id, practitioner_id) REFERENCES practitioners (clinic_id, id) ON DELETE CASCADE,
  CHECK (num_nonnulls(starts_at, ends_at) IN (0, 2) AND starts_at < ends_at)
);
CREATE INDEX idx_waitlist_work_due ON waitlist_work (clinic_id, due_at, id);
SELECT protect_tenant_table('waitlist_work', 'SELECT, INSERT, UPDATE, DELETE');
SELECT cache_unread('waitlist_work', 'it is what servers are to do');

-- +goose StatementBegin
-- Writes down that a time is free, or will be; whenever is NULL for now. Nothing is
-- written where nobody waits whom it could suit. A clinic has 5,000 such notes at most,
-- which no server has looked at: a time beyond them is free to everybody and is offered
-- to nobody.
CREATE FUNCTION waitlist_note(of_clinic uuid, whose uuid, free_from timestamptz, free_to timestamptz, whenever timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  IF whenever IS NULL AND NOT EXISTS (
    SELECT FROM waitlist_entries e
    WHERE e.clinic_id = of_clinic AND e.status = 'aguardando'
      AND (whose IS NULL OR e.practitioner_id IS NULL OR e.practitioner_id = whose)
      AND (free_from IS NULL OR e.range_to IS NULL OR e.range_to > free_from)
      AND (free_to IS NULL OR e.range_from IS NULL OR e.range_from < free_to)
  ) THEN
    RETURN;
  END IF;
  IF (SELECT count(*) FROM (SELECT FROM waitlist_work w WHERE w.clinic_id = of_clinic LIMIT 5000) few) >= 5000 THEN
    RETURN;
  END IF;
  INSERT INTO waitlist_work (clinic_id, id, practitioner_id, starts_at, ends_at, due_at)
  VALUES (of_clinic, gen_random_uuid(), whose, free_from, free_to, coalesce(whenever, clock_timestamp()));
  IF whenever IS NULL THEN
    PERFORM pg_notify('taskmed_waitlist', '');
  END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION waitlist_hears() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM waitlist_note(OLD.clinic_id, OLD.practitioner_id, OLD.starts_at, OLD.ends_at, NULL);
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER appointments_free_time AFTER UPDATE OF status, practitioner_id, starts_at, ends_at ON appointments
  FOR EACH ROW WHEN (OLD.status NOT IN ('cancelado', 'faltou') AND (NEW.status IN ('cancelado', 'faltou')
    OR (OLD.practitioner_id, OLD.starts_at, OLD.ends_at) IS DISTINCT FROM (NEW.practitioner_id, NEW.starts_at, NEW.ends_at)))
  EXECUTE FUNCTION waitlist_hears();
CREATE TRIGGER time_off_free_time AFTER UPDATE OF practitioner_id, starts_at, ends_at OR DELETE ON time_off
  FOR EACH ROW EXECUTE FUNCTION waitlist_hears();

-- +goose StatementBegin
CREATE FUNCTION waitlist_hears_of_hours() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM waitlist_note(h.clinic_id, h.practitioner_id, NULL, NULL, NULL) FROM (SELECT DISTINCT clinic_id, practitioner_id FROM new_rows) h;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER working_hours_free_time AFTER INSERT ON working_hours
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION waitlist_hears_of_hours();

-- +goose StatementBegin
-- Ends the offer that an entry has, if it has one, and gives its slot free. The entry
-- must be locked. Who says 'lapsed' ends it only if it has.
CREATE FUNCTION waitlist_end_offer(of_clinic uuid, of_entry uuid, how text, who text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  ended waitlist_offers%ROWTYPE;
BEGIN
  UPDATE waitlist_offers o SET outcome = how, ended_at = clock_timestamp(), actor = who
  WHERE o.clinic_id = of_clinic AND o.entry_id = of_entry AND o.outcome IS NULL
    AND (how <> 'lapsed' OR o.expires_at <= clock_timestamp())
  RETURNING * INTO ended;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  DELETE FROM slot_holds h WHERE h.clinic_id = of_clinic AND h.waitlist_entry_id = of_entry;
  UPDATE waitlist_entries e
  SET offered_practitioner_id = NULL, offered_starts_at = NULL, offered_ends_at = NULL, offer_expires_at = NULL
  WHERE e.clinic_id = of_clinic AND e.id = of_entry;
  PERFORM waitlist_note(of_clinic, ended.practitioner_id, ended.starts_at, ended.ends_at, NULL);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Who is put away or has died waits no more.
CREATE FUNCTION waitlist_contact_leaves() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
  entry uuid;
BEGIN
  FOR entry IN
    SELECT e.id FROM waitlist_entries e
    WHERE e.clinic_id = NEW.clinic_id AND e.contact_id = NEW.id AND e.status = 'aguardando' ORDER BY e.id FOR UPDATE
  LOOP
    PERFORM waitlist_end_offer(NEW.clinic_id, entry, 'withdrawn', NULL);
    UPDATE waitlist_entries e SET status = 'desistiu', ended_at = clock_timestamp() WHERE e.clinic_id = NEW.clinic_id AND e.id = entry;
  END LOOP;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER contacts_leave_waitlist AFTER UPDATE OF status, deceased_on ON contacts
  FOR EACH ROW WHEN ((NEW.status = 'arquivado' AND OLD.status <> 'arquivado') OR (NEW.deceased_on IS NOT NULL AND OLD.deceased_on IS NULL))
  EXECUTE FUNCTION waitlist_contact_leaves();

-- What is not due is out of the function's reach, whatever its text says.
GRANT SELECT ON waitlist_work, waitlist_offers, waitlist_entries TO taskmed_lookup;
CREATE POLICY due ON waitlist_work FOR SELECT TO taskmed_lookup USING (due_at <= clock_timestamp());
CREATE POLICY due ON waitlist_offers FOR SELECT TO taskmed_lookup USING (outcome IS NULL AND expires_at <= clock_timestamp());
CREATE POLICY due ON waitlist_entries FOR SELECT TO taskmed_lookup USING (status = 'aguardando' AND range_to <= clock_timestamp());

-- +goose StatementBegin
-- The clinics in whose waiting lists there is something to do, and nothing else of them.
-- ranges asks for entries whose time is over, too.
CREATE FUNCTION waitlist_due(ranges boolean) RETURNS TABLE (clinic uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  before text := public.put_clinic_aside();
BEGIN
  RETURN QUERY
    SELECT DISTINCT d.clinic_id FROM (
      SELECT w.clinic_id FROM public.waitlist_work w WHERE w.due_at <= clock_timestamp()
      UNION ALL SELECT o.clinic_id FROM public.waitlist_offers o WHERE o.outcome IS NULL AND o.expires_at <= clock_timestamp()
      UNION ALL SELECT e.clinic_id FROM public.waitlist_entries e WHERE ranges AND e.status = 'aguardando' AND e.range_to <= clock_timestamp()
    ) d LIMIT 1000;
  PERFORM set_config('app.clinic', before, true);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- How many entries are in line in all clinics' waiting lists. It counts them clinic by
-- clinic, as each clinic's own policy lets it: its owner sees no row of two at once.
CREATE FUNCTION waitlist_figures() RETURNS TABLE (waiting bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  before text := public.put_clinic_aside();
  one uuid;
BEGIN
  waiting := 0;
  FOR one IN SELECT c.id FROM public.clinics c LOOP
    PERFORM set_config('app.clinic', one::text, true);
    waiting := waiting + (SELECT count(*) FROM public.waitlist_entries e WHERE e.clinic_id = one AND e.status = 'aguardando');
  END LOOP;
  PERFORM set_config('app.clinic', before, true);
  RETURN NEXT;
END $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION waitlist_due(boolean), waitlist_figures() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION waitlist_due(boolean), waitlist_figures() TO taskmed_app;
GRANT CREATE ON SCHEMA public TO taskmed_lookup;
ALTER FUNCTION waitlist_due(boolean) OWNER TO taskmed_lookup;
ALTER FUNCTION waitlist_figures() OWNER TO taskmed_lookup;
REVOKE CREATE ON SCHEMA public FROM taskmed_lookup;

-- +goose Down
DROP FUNCTION waitlist_figures();
DROP FUNCTION waitlist_due(boolean);
DROP TRIGGER contacts_leave_waitlist ON contacts;
DROP TRIGGER working_hours_free_time ON working_hours;
DROP TRIGGER time_off_free_time ON time_off;
DROP TRIGGER appointments_free_time ON appointments;
DROP FUNCTION waitlist_contact_leaves();
DROP FUNCTION waitlist_end_offer(uuid, uuid, text, text);
DROP FUNCTION waitlist_hears_of_hours();
DROP FUNCTION waitlist_hears();
DROP FUNCTION waitlist_note(uuid, uuid, timestamptz, timestamptz, timestamptz);
DROP TABLE waitlist_work, waitlist_offers, waitlist_entries;
DROP FUNCTION waitlist_offer_ended();
DROP FUNCTION cache_tags_waitlist_entries();
