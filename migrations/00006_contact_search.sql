-- What finds a contact by name, e-mail, phone or CPF. Under row-level security
-- only leakproof comparisons reach an index, and LIKE, %, @@ and the trigram
-- operators are not; so the tables here are keyed by words and numbers that
-- plain comparisons of text in collation C find. Why it is made this way, and
-- what it costs: docs/decisions/contact-search.md.
--
-- In this order: what is stored and kept up; what a search is put together from; the
-- search; what kept searches depend on.

-- +goose Up
-- +goose StatementBegin
-- Text as words: without accents, case and punctuation, one blank between
-- words, a word cut at 40 characters. Both what is stored and what is asked
-- for pass through here and nowhere else.
CREATE FUNCTION contact_search_words_of(value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
  words text := normalize_text(value);
BEGIN
  IF words ~ '[^a-z0-9 ]' THEN
    -- Everything but letters and digits of any script: ASCII's and Latin-1's
    -- signs, general and CJK punctuation.
    words := btrim(regexp_replace(words,
      '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u2000-\u206f\u3000-\u303f]+', ' ', 'g'));
  END IF;
  IF char_length(words) > 40 THEN
    words := regexp_replace(words, '([^ ]{40})[^ ]+', '\1', 'g');
  END IF;
  RETURN words;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- An e-mail's domain as a word, '@gmail.com': letters and digits of any script, dots
-- and hyphens. Of a text without any of them '@' alone is left, which is no word: all
-- domains begin with it.
CREATE FUNCTION contact_search_domain(domain text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  SELECT left('@' || regexp_replace(normalize_text(domain),
    '[\u0001-\u002c\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u2000-\u206f\u3000-\u303f]+', '', 'g'), 40)
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- A name's words, and those with an apostrophe once more without it: Sant'Anna is
-- looked for as "sant'anna", "sant anna" and "santanna".
CREATE FUNCTION contact_search_name(name text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
  words text := contact_search_words_of(name);
BEGIN
  IF name ~ '[''\u2019\u02bc\u00b4`]' THEN
    words := rtrim(words || ' ' || coalesce((
      SELECT string_agg(contact_search_words_of(regexp_replace(p.piece, '[''\u2019\u02bc\u00b4`]', '', 'g')), ' ' ORDER BY p.n)
      FROM unnest(string_to_array(normalize_text(name), ' ')) WITH ORDINALITY AS p (piece, n)
      WHERE p.piece ~ '[[:alnum:]][''\u2019\u02bc\u00b4`][[:alnum:]]'), ''));
  END IF;
  RETURN words;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- All words of a contact in one line: ' name  preferred name  @domain '. Every
-- word stands between blanks, and two blanks part the three. The cuts keep an
-- index row far below a btree's limit of 2,704 bytes.
CREATE FUNCTION contact_search_line(name text, preferred_name text, email text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
  line text := ' ' || rtrim(left(contact_search_name(name), 160)) || ' ';
  preferred text := rtrim(left(contact_search_name(preferred_name), 60));
  domain text := contact_search_domain(split_part(email, '@', 2));
BEGIN
  IF preferred <> '' THEN
    line := line || ' ' || preferred || ' ';
  END IF;
  IF domain <> '@' THEN
    line := line || ' ' || domain || ' ';
  END IF;
  RETURN line;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The words a line is found by. Particles are found in the line, not by it:
-- a list of everyone with a "da" would serve nobody. place: 0 the name begins
-- with it, 1 the preferred name or the domain does, 2 elsewhere.
CREATE FUNCTION contact_search_entries(line text) RETURNS TABLE (word text, place smallint)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  SELECT found.word COLLATE "C",
         (CASE WHEN starts_with(line, ' ' || found.word || ' ') THEN 0
               WHEN strpos(line, '  ' || found.word || ' ') > 0 THEN 1
               ELSE 2 END)::smallint
  FROM (SELECT DISTINCT split.word
        FROM unnest(string_to_array(line, ' ')) WITH ORDINALITY AS split (word, n)
        WHERE split.word <> ''
          AND (split.n = 2 OR split.word NOT IN ('da', 'das', 'de', 'do', 'dos', 'e'))) found
$$;
-- +goose StatementEnd

-- One row per contact: its line, and the identifiers in the forms that a
-- prefix of them is typed in. phone_tail is the number backwards, so that its
-- last digits are a prefix.
CREATE TABLE contact_search (
  clinic_id uuid NOT NULL,
  contact_id uuid NOT NULL,
  archived boolean NOT NULL,
  line text COLLATE "C" NOT NULL,
  email text COLLATE "C",
  tax_id text COLLATE "C",
  phone_tail text COLLATE "C",
  phone_national text COLLATE "C",
  phone_local text COLLATE "C",
  PRIMARY KEY (clinic_id, contact_id),
  FOREIGN KEY (clinic_id, contact_id) REFERENCES contacts (clinic_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_contact_search_line ON contact_search (clinic_id, archived, line, contact_id);
CREATE INDEX idx_contact_search_email ON contact_search (clinic_id, email) WHERE email IS NOT NULL;
CREATE INDEX idx_contact_search_tax_id ON contact_search (clinic_id, tax_id) WHERE tax_id IS NOT NULL;
CREATE INDEX idx_contact_search_phone_tail ON contact_search (clinic_id, phone_tail) WHERE phone_tail IS NOT NULL;
CREATE INDEX idx_contact_search_phone_national ON contact_search (clinic_id, phone_national) WHERE phone_national IS NOT NULL;
CREATE INDEX idx_contact_search_phone_local ON contact_search (clinic_id, phone_local) WHERE phone_local IS NOT NULL;
SELECT protect_tenant_table('contact_search', 'SELECT, INSERT, UPDATE, DELETE');

-- +goose StatementBegin
-- A Brazilian number, from its area code on, as it is dialled today: mobile numbers of
-- eight digits got a ninth before them, by 2016 everywhere.
CREATE FUNCTION contact_search_ninth(digits text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT CASE WHEN digits ~ '^[1-9][0-9][6-9][0-9]{7}$' THEN left(digits, 2) || '9' || substr(digits, 3) ELSE digits END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- How many digits of an international number are its country's (ITU-T E.164, annex to
-- the operational bulletin): one for North America and Russia, two for these, else three.
CREATE FUNCTION contact_search_country(digits text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  SELECT CASE WHEN digits ~ '^[17]' THEN 1
    WHEN left(digits, 2) IN ('20', '27', '30', '31', '32', '33', '34', '36', '39', '40', '41', '43', '44', '45', '46', '47', '48', '49',
      '51', '52', '53', '54', '55', '56', '57', '58', '60', '61', '62', '63', '64', '65', '66', '81', '82', '84', '86',
      '90', '91', '92', '93', '94', '95', '98') THEN 2
    ELSE 3 END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- A contact's row above. Brazilian numbers are also found from their area code
-- on and from behind it, others from behind their country's code.
CREATE FUNCTION contact_search_row(clinic uuid, contact uuid, name text, preferred_name text, email text,
                                   phone text, tax_id text, status text)
RETURNS SETOF contact_search
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1
AS $$
  SELECT clinic, contact, status = 'arquivado', contact_search_line(name, preferred_name, email),
         normalize_text(email), tax_id, reverse(CASE WHEN dialled.home THEN '55' || dialled.digits ELSE dialled.digits END),
         dialled.digits, substr(dialled.digits, CASE WHEN dialled.home THEN 3 ELSE 1 + contact_search_country(dialled.digits) END)
  FROM (SELECT phone LIKE '+55%' AS home,
          CASE WHEN phone LIKE '+55%' THEN contact_search_ninth(substr(phone, 4)) ELSE substr(phone, 2) END AS digits) dialled
$$;
-- +goose StatementEnd

-- One row per contact and word. The key holds all there is, in the order in
-- which results are shown, so a search reads the index alone and the first
-- page of "silva" is its first entries. A foreign key would double the cost of
-- a row: the triggers of contact_search delete what they inserted.
CREATE TABLE contact_search_words (
  clinic_id uuid NOT NULL,
  word text COLLATE "C" NOT NULL,
  archived boolean NOT NULL,
  place smallint NOT NULL,
  line text COLLATE "C" NOT NULL,
  contact_id uuid NOT NULL,
  PRIMARY KEY (clinic_id, word, archived, place, line, contact_id)
);
SELECT protect_tenant_table('contact_search_words', 'SELECT, INSERT, DELETE');

-- The distinct words of a clinic, and each of them with one or two letters
-- left out: a misspelt word shares such a remainder with the right one.
CREATE TABLE contact_search_vocabulary (
  clinic_id uuid NOT NULL,
  word text COLLATE "C" NOT NULL,
  PRIMARY KEY (clinic_id, word)
);
SELECT protect_tenant_table('contact_search_vocabulary', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE contact_search_misspellings (
  clinic_id uuid NOT NULL,
  remainder text COLLATE "C" NOT NULL,
  word text COLLATE "C" NOT NULL,
  PRIMARY KEY (clinic_id, remainder, word)
);
SELECT protect_tenant_table('contact_search_misspellings', 'SELECT, INSERT, DELETE');

-- +goose StatementBegin
-- The first seven letters of a word with none, one and, for a word of seven or
-- more, two left out (SymSpell's scheme, with its prefix). Nothing for words
-- too short to be misspelt, numbers and domains.
CREATE FUNCTION contact_search_remainders(word text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
  start text := left(word, 7);
  remainders text[] := '{}';
  one_less text;
BEGIN
  IF char_length(word) < 3 OR word ~ '[0-9@]' THEN
    RETURN remainders;
  END IF;
  remainders := ARRAY[start];
  FOR i IN 1 .. char_length(start) LOOP
    one_less := left(start, i - 1) || substr(start, i + 1);
    remainders := remainders || one_less;
    IF char_length(word) >= 7 THEN
      FOR j IN i .. char_length(one_less) LOOP
        remainders := remainders || (left(one_less, j - 1) || substr(one_less, j + 1));
      END LOOP;
    END IF;
  END LOOP;
  RETURN remainders;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Whoever changes a clinic's vocabulary does it alone until the transaction
-- ends, and so never waits for another who waits for them. Most contacts bring
-- no new word and take none with them.
CREATE FUNCTION contact_search_lock(clinic uuid) RETURNS void
LANGUAGE sql
AS $$ SELECT pg_advisory_xact_lock(hashtextextended('contact_search_vocabulary ' || clinic, 0)) $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Puts words into the clinic's vocabulary and holds them there until the
-- transaction ends, so that nobody forgets them meanwhile.
CREATE FUNCTION contact_search_learn(clinic uuid, words text[]) RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  held integer;
BEGIN
  SELECT count(*) INTO held FROM (
    SELECT FROM contact_search_vocabulary v
    WHERE v.clinic_id = clinic AND v.word = ANY (words)
    FOR KEY SHARE) known;
  IF held = cardinality(words) THEN
    RETURN;
  END IF;
  PERFORM contact_search_lock(clinic);
  WITH fresh AS (
    INSERT INTO contact_search_vocabulary (clinic_id, word)
    SELECT clinic, w.word FROM unnest(words) AS w (word)
    WHERE NOT EXISTS (SELECT FROM contact_search_vocabulary v WHERE v.clinic_id = clinic AND v.word = w.word COLLATE "C")
    RETURNING word)
  INSERT INTO contact_search_misspellings (clinic_id, remainder, word)
  SELECT DISTINCT clinic, r.remainder, fresh.word
  FROM fresh, unnest(contact_search_remainders(fresh.word)) AS r (remainder);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Takes words that no contact has any more out of the vocabulary: an erased
-- patient's rare surname must not stay behind as a key.
CREATE FUNCTION contact_search_forget(clinic uuid, words text[]) RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  unused text[];
BEGIN
  unused := ARRAY(
    SELECT w.word FROM unnest(words) AS w (word)
    WHERE NOT EXISTS (SELECT FROM contact_search_words s WHERE s.clinic_id = clinic AND s.word = w.word COLLATE "C"));
  IF unused = '{}' THEN
    RETURN;
  END IF;
  PERFORM contact_search_lock(clinic);
  -- Held by someone whose contact is not to be seen yet: it stays.
  unused := ARRAY(
    SELECT v.word FROM contact_search_vocabulary v
    WHERE v.clinic_id = clinic AND v.word = ANY (unused)
    FOR UPDATE SKIP LOCKED);
  -- And whoever held one until now has committed: looked at once more, by a new
  -- statement, which sees it.
  WITH forgotten AS (
    DELETE FROM contact_search_vocabulary v
    WHERE v.clinic_id = clinic AND v.word = ANY (unused)
      AND NOT EXISTS (SELECT FROM contact_search_words s WHERE s.clinic_id = clinic AND s.word = v.word)
    RETURNING v.word)
  DELETE FROM contact_search_misspellings m
  USING forgotten, unnest(contact_search_remainders(forgotten.word)) AS r (remainder)
  WHERE m.clinic_id = clinic AND m.remainder = r.remainder COLLATE "C" AND m.word = forgotten.word COLLATE "C";
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Keeps contact_search as contacts is, in one statement for all the rows of
-- the one that fired it, so that COPY stays fast. Where app.contact_search is
-- 'deferred' it stands back, and whoever set that calls rebuild_contact_search.
CREATE FUNCTION contact_search_follow() RETURNS trigger
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
  IF current_setting('app.contact_search', true) = 'deferred' THEN
    RETURN NULL;
  END IF;
  IF TG_OP = 'INSERT' THEN
    INSERT INTO contact_search
    SELECT r.* FROM new_rows n,
      LATERAL contact_search_row(n.clinic_id, n.id, n.name, n.preferred_name, n.email, n.phone, n.tax_id, n.status) r;
  ELSE
    INSERT INTO contact_search
    SELECT r.* FROM new_rows n,
      LATERAL contact_search_row(n.clinic_id, n.id, n.name, n.preferred_name, n.email, n.phone, n.tax_id, n.status) r
    WHERE NOT EXISTS (
      SELECT FROM old_rows o
      WHERE o.clinic_id = n.clinic_id AND o.id = n.id
        AND (o.name, o.preferred_name, o.email, o.phone, o.tax_id, o.status = 'arquivado')
          IS NOT DISTINCT FROM (n.name, n.preferred_name, n.email, n.phone, n.tax_id, n.status = 'arquivado'))
    ON CONFLICT (clinic_id, contact_id) DO UPDATE
    SET archived = excluded.archived, line = excluded.line, email = excluded.email, tax_id = excluded.tax_id,
        phone_tail = excluded.phone_tail, phone_national = excluded.phone_national, phone_local = excluded.phone_local;
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER contacts_search_insert AFTER INSERT ON contacts
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION contact_search_follow();
CREATE TRIGGER contacts_search_update AFTER UPDATE ON contacts
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION contact_search_follow();

-- +goose StatementBegin
-- Keeps the words and the vocabulary as contact_search is; a deleted contact
-- comes by here too, through the foreign key's cascade.
CREATE FUNCTION contact_search_spread() RETURNS trigger
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  batch record;
BEGIN
  IF current_setting('app.contact_search', true) = 'deferred' THEN
    RETURN NULL;
  END IF;
  IF TG_OP = 'UPDATE' THEN
    -- OFFSET 0 keeps what makes an entry out of the comparison with it: not
    -- leakproof, it would keep that from the index.
    DELETE FROM contact_search_words w
    USING (SELECT o.clinic_id, e.word, o.archived, e.place, o.line, o.contact_id
           FROM new_rows n JOIN old_rows o ON o.clinic_id = n.clinic_id AND o.contact_id = n.contact_id,
             LATERAL contact_search_entries(o.line) e
           WHERE (o.line, o.archived) <> (n.line, n.archived) OFFSET 0) gone
    WHERE (w.clinic_id, w.word, w.archived, w.place, w.line, w.contact_id)
      = (gone.clinic_id, gone.word, gone.archived, gone.place, gone.line, gone.contact_id);
    INSERT INTO contact_search_words (clinic_id, word, archived, place, line, contact_id)
    SELECT n.clinic_id, e.word, n.archived, e.place, n.line, n.contact_id
    FROM new_rows n JOIN old_rows o ON o.clinic_id = n.clinic_id AND o.contact_id = n.contact_id,
      LATERAL contact_search_entries(n.line) e
    WHERE (o.line, o.archived) <> (n.line, n.archived);
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO contact_search_words (clinic_id, word, archived, place, line, contact_id)
    SELECT n.clinic_id, e.word, n.archived, e.place, n.line, n.contact_id
    FROM new_rows n, LATERAL contact_search_entries(n.line) e;
  ELSE
    DELETE FROM contact_search_words w
    USING (SELECT o.clinic_id, e.word, o.archived, e.place, o.line, o.contact_id
           FROM old_rows o, LATERAL contact_search_entries(o.line) e OFFSET 0) gone
    WHERE (w.clinic_id, w.word, w.archived, w.place, w.line, w.contact_id)
      = (gone.clinic_id, gone.word, gone.archived, gone.place, gone.line, gone.contact_id);
  END IF;

  IF TG_OP <> 'DELETE' THEN
    FOR batch IN SELECT n.clinic_id, array_agg(DISTINCT e.word) AS words
                 FROM new_rows n, LATERAL contact_search_entries(n.line) e GROUP BY n.clinic_id LOOP
      PERFORM contact_search_learn(batch.clinic_id, batch.words);
    END LOOP;
  END IF;
  IF TG_OP <> 'INSERT' THEN
    FOR batch IN SELECT o.clinic_id, array_agg(DISTINCT e.word) AS words
                 FROM old_rows o, LATERAL contact_search_entries(o.line) e GROUP BY o.clinic_id LOOP
      PERFORM contact_search_forget(batch.clinic_id, batch.words);
    END LOOP;
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER contact_search_insert AFTER INSERT ON contact_search
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION contact_search_spread();
CREATE TRIGGER contact_search_update AFTER UPDATE ON contact_search
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION contact_search_spread();
CREATE TRIGGER contact_search_delete AFTER DELETE ON contact_search
  REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION contact_search_spread();

-- A contact's further numbers, in the forms in which contact_search has the first.
CREATE TABLE contact_search_phones (
  clinic_id uuid NOT NULL,
  phone_tail text COLLATE "C" NOT NULL,
  phone_national text COLLATE "C" NOT NULL,
  phone_local text COLLATE "C" NOT NULL,
  contact_id uuid NOT NULL,
  PRIMARY KEY (clinic_id, phone_tail, contact_id),
  FOREIGN KEY (clinic_id, contact_id) REFERENCES contacts (clinic_id, id) ON DELETE CASCADE
);
CREATE INDEX idx_contact_search_phones_contact ON contact_search_phones (clinic_id, contact_id);
CREATE INDEX idx_contact_search_phones_national ON contact_search_phones (clinic_id, phone_national);
CREATE INDEX idx_contact_search_phones_local ON contact_search_phones (clinic_id, phone_local);
SELECT protect_tenant_table('contact_search_phones', 'SELECT, INSERT, DELETE');

-- +goose StatementBegin
-- Keeps contact_search_phones as contacts is. Whatever changes how a contact is shown
-- among what a search finds makes its rows anew, and so tells the searches for them.
CREATE FUNCTION contact_search_phones_follow() RETURNS trigger
LANGUAGE plpgsql SET enable_seqscan = off
AS $$
BEGIN
  IF current_setting('app.contact_search', true) = 'deferred' THEN
    RETURN NULL;
  END IF;
  IF TG_OP = 'INSERT' THEN
    IF NOT EXISTS (SELECT FROM new_rows n WHERE n.other_phones <> '{}') THEN
      RETURN NULL;
    END IF;
    INSERT INTO contact_search_phones (clinic_id, phone_tail, phone_national, phone_local, contact_id)
    SELECT DISTINCT n.clinic_id, r.phone_tail, r.phone_national, r.phone_local, n.id
    FROM new_rows n, unnest(n.other_phones) AS p (phone),
      LATERAL contact_search_row(n.clinic_id, n.id, '', NULL, NULL, p.phone, NULL, n.status) r
    ON CONFLICT DO NOTHING;
    RETURN NULL;
  END IF;
  IF NOT EXISTS (SELECT FROM old_rows o WHERE o.other_phones <> '{}') AND NOT EXISTS (SELECT FROM new_rows n WHERE n.other_phones <> '{}') THEN
    RETURN NULL;
  END IF;
  DELETE FROM contact_search_phones s
  USING (SELECT o.clinic_id, o.id FROM old_rows o LEFT JOIN new_rows n ON n.clinic_id = o.clinic_id AND n.id = o.id
         WHERE (o.name, o.preferred_name, o.email, o.phone, o.tax_id, o.status = 'arquivado', o.other_phones)
           IS DISTINCT FROM (n.name, n.preferred_name, n.email, n.phone, n.tax_id, n.status = 'arquivado', n.other_phones) OFFSET 0) gone
  WHERE s.clinic_id = gone.clinic_id AND s.contact_id = gone.id;
  INSERT INTO contact_search_phones (clinic_id, phone_tail, phone_national, phone_local, contact_id)
  SELECT DISTINCT n.clinic_id, r.phone_tail, r.phone_national, r.phone_local, n.id
  FROM new_rows n, unnest(n.other_phones) AS p (phone),
    LATERAL contact_search_row(n.clinic_id, n.id, '', NULL, NULL, p.phone, NULL, n.status) r
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER contacts_search_phones_insert AFTER INSERT ON contacts
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION contact_search_phones_follow();
CREATE TRIGGER contacts_search_phones_update AFTER UPDATE ON contacts
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION contact_search_phones_follow();

-- +goose StatementBegin
-- Makes a clinic's search anew from its contacts; app.clinic must be set to
-- it. For bulk loads, and for a doctor who found it wanting. Contacts of the
-- clinic cannot be changed while it runs; new ones can be added.
CREATE FUNCTION rebuild_contact_search(clinic uuid) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
  before text := coalesce(current_setting('app.contact_search', true), '');
  added bigint;
BEGIN
  PERFORM FROM contacts c WHERE c.clinic_id = clinic ORDER BY c.id FOR SHARE;
  PERFORM set_config('app.contact_search', 'deferred', true);
  -- Both in one statement, so that they delete the same contacts' rows.
  WITH rows_gone AS (DELETE FROM contact_search s WHERE s.clinic_id = clinic)
  DELETE FROM contact_search_words w WHERE w.clinic_id = clinic;
  WITH fresh AS (
    INSERT INTO contact_search
    SELECT r.* FROM contacts c,
      LATERAL contact_search_row(c.clinic_id, c.id, c.name, c.preferred_name, c.email, c.phone, c.tax_id, c.status) r
    WHERE c.clinic_id = clinic
    ON CONFLICT (clinic_id, contact_id) DO NOTHING
    RETURNING clinic_id, contact_id, archived, line)
  , spread AS (
    INSERT INTO contact_search_words (clinic_id, word, archived, place, line, contact_id)
    SELECT f.clinic_id, e.word, f.archived, e.place, f.line, f.contact_id
    FROM fresh f, LATERAL contact_search_entries(f.line) e
    ORDER BY e.word, f.archived, e.place, f.line, f.contact_id)
  SELECT count(*) INTO added FROM fresh;
  PERFORM contact_search_learn(clinic, ARRAY(SELECT DISTINCT w.word FROM contact_search_words w WHERE w.clinic_id = clinic));
  PERFORM contact_search_forget(clinic, ARRAY(SELECT v.word FROM contact_search_vocabulary v WHERE v.clinic_id = clinic));
  DELETE FROM contact_search_phones s WHERE s.clinic_id = clinic;
  INSERT INTO contact_search_phones (clinic_id, phone_tail, phone_national, phone_local, contact_id)
  SELECT DISTINCT clinic, r.phone_tail, r.phone_national, r.phone_local, c.id
  FROM contacts c, unnest(c.other_phones) AS p (phone),
    LATERAL contact_search_row(c.clinic_id, c.id, '', NULL, NULL, p.phone, NULL, c.status) r
  WHERE c.clinic_id = clinic;
  DELETE FROM contact_tags g WHERE g.clinic_id = clinic;
  INSERT INTO contact_tags (clinic_id, tag, contact_id)
  SELECT DISTINCT clinic, t.tag, c.id FROM contacts c, unnest(c.tags) AS t (tag) WHERE c.clinic_id = clinic AND t.tag IS NOT NULL;
  PERFORM set_config('app.contact_search', before, true);
  RETURN added;
END $$;
-- +goose StatementEnd
SELECT cache_unread('contact_search_words', 'it follows contact_search, which announces');
SELECT cache_unread('contact_search_misspellings', 'it follows contact_search_vocabulary, which announces');
CREATE EXTENSION IF NOT EXISTS fuzzystrmatch;

-- --------------------------------------------------------------------------
-- What a search is put together from, over the tables above: the terms of a text, similar words, identifiers, and
-- the search for a single term. None of the functions is SECURITY DEFINER: all
-- run under the caller's row-level security. Their settings keep the planner to
-- the indexes, whatever its statistics say.

-- +goose StatementBegin
-- How many letters must be put in, left out, replaced, or swapped with their
-- neighbour to make one word of the other (optimal string alignment).
CREATE FUNCTION contact_search_edits(a text, b text) RETURNS integer
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
  letters_a text[] := string_to_array(a, NULL);
  letters_b text[] := string_to_array(b, NULL);
  before_last integer[];
  last integer[];
  this integer[];
  cost integer;
BEGIN
  last := ARRAY(SELECT generate_series(0, char_length(b)));
  FOR i IN 1 .. char_length(a) LOOP
    this := ARRAY[i];
    FOR j IN 1 .. char_length(b) LOOP
      cost := least(last[j + 1] + 1, this[j] + 1,
                    last[j] + CASE WHEN letters_a[i] = letters_b[j] THEN 0 ELSE 1 END);
      IF i > 1 AND j > 1 AND letters_a[i] = letters_b[j - 1] AND letters_a[i - 1] = letters_b[j] THEN
        cost := least(cost, before_last[j - 1] + 1);
      END IF;
      this := this || cost;
    END LOOP;
    before_last := last;
    last := this;
  END LOOP;
  RETURN last[char_length(b) + 1];
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The clinic's words that are nearly this one: up to ten, nearest first. One
-- edit, two where either has eight letters or more. Where there is none, the words
-- that begin with nearly this one (edits 3): it may not be typed to its end.
CREATE FUNCTION contact_search_similar(clinic uuid, wanted text) RETURNS TABLE (word text, edits integer)
LANGUAGE plpgsql STABLE ROWS 5
SET plan_cache_mode = force_generic_plan SET max_parallel_workers_per_gather = 0
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  remainders text[] := contact_search_remainders(wanted);
  beyond text[];
  most integer := CASE WHEN char_length(wanted) >= 6 THEN 2 ELSE 1 END;
BEGIN
  IF remainders = '{}' THEN
    RETURN;
  END IF;
  RETURN QUERY
  SELECT near.word, near.edits FROM (
    SELECT alike.word, CASE WHEN alike.replaced <= 1 THEN alike.replaced
                            -- Two neighbours swapped are two letters replaced.
                            WHEN alike.replaced <= 2 * most THEN contact_search_edits(wanted, alike.word) END AS edits
    FROM (
      SELECT DISTINCT m.word, levenshtein_less_equal(wanted, m.word, 2 * most) AS replaced
      FROM unnest(remainders) AS r (remainder), LATERAL (
        SELECT m.word FROM contact_search_misspellings m
        WHERE m.clinic_id = clinic AND m.remainder = r.remainder COLLATE "C"
        ORDER BY m.word LIMIT 100) m
      WHERE abs(char_length(m.word) - char_length(wanted)) <= most AND NOT starts_with(m.word, wanted)) alike) near
  WHERE near.edits = 1 OR near.edits = 2 AND greatest(char_length(near.word), char_length(wanted)) >= 8
  ORDER BY near.edits, near.word
  LIMIT 10;
  IF FOUND OR char_length(wanted) < 4 OR EXISTS (
    SELECT FROM contact_search_vocabulary v WHERE v.clinic_id = clinic AND v.word >= wanted AND v.word < wanted || chr(1114111))
  THEN
    RETURN;
  END IF;
  -- The range's end is made beforehand: || is not leakproof, and beside a
  -- column of another table it would keep the comparison from the index.
  remainders := ARRAY(SELECT r FROM unnest(remainders) AS r WHERE char_length(r) = least(char_length(wanted), 7) - 1);
  beyond := ARRAY(SELECT r || chr(1114111) FROM unnest(remainders) AS r);
  RETURN QUERY
  SELECT alike.word, 3 FROM (
    SELECT DISTINCT m.word
    FROM unnest(remainders, beyond) AS r (remainder, beyond), LATERAL (
      SELECT m.word FROM contact_search_misspellings m
      WHERE m.clinic_id = clinic AND m.remainder >= r.remainder COLLATE "C" AND m.remainder < r.beyond COLLATE "C"
      ORDER BY m.remainder, m.word LIMIT 50) m
    WHERE char_length(m.word) > char_length(wanted)) alike
  WHERE contact_search_edits(wanted, left(alike.word, char_length(wanted))) = 1
     OR contact_search_edits(wanted, left(alike.word, char_length(wanted) + 1)) = 1
  ORDER BY alike.word
  LIMIT 10;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- What a text asks for, as at most eight terms. word is looked for in the
-- names, digits among phones and CPFs, address as the beginning of an e-mail's
-- address. weak: a particle or one or two letters at the end of the text. They
-- may become any word yet, so contacts are not looked up by them, only checked.
CREATE FUNCTION contact_search_terms(query text)
RETURNS TABLE (word text, digits text, address text, weak boolean)
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
  particles CONSTANT text[] := '{da,das,de,do,dos,e}';
  most CONSTANT integer := 8;
  piece text;
  part text;
  words text[] := '{}';
  numbers text[] := '{}';
  addresses text[] := '{}';
  n integer := 0;
  kept integer := 0;
BEGIN
  FOREACH piece IN ARRAY string_to_array(normalize_text(query), ' ') LOOP
    EXIT WHEN n >= 3 * most;
    CONTINUE WHEN piece = '@';
    IF piece LIKE '@%' THEN
      part := contact_search_domain(substr(piece, 2));
      CONTINUE WHEN part = '@';
      n := n + 1;
      words[n] := part; numbers[n] := ''; addresses[n] := '';
    ELSIF piece ~ '^[^@]+@' OR piece ~ '^[a-z0-9]+([._-][a-z0-9]+)*[._][a-z0-9]+([._-][a-z0-9]+)*$' AND piece ~ '[a-z]' THEN
      n := n + 1;
      words[n] := ''; numbers[n] := ''; addresses[n] := piece;
    ELSIF piece ~ '^[-+().0-9/]*[0-9][-+().0-9/]*$' THEN
      part := regexp_replace(piece, '[^0-9]', '', 'g');
      IF n > 0 AND numbers[n] <> '' AND char_length(numbers[n] || part) <= 15 THEN
        numbers[n] := numbers[n] || part; words[n] := '';
      ELSE
        n := n + 1;
        words[n] := left(part, 40); numbers[n] := part; addresses[n] := '';
      END IF;
    ELSE
      FOREACH part IN ARRAY string_to_array(contact_search_words_of(piece), ' ') LOOP
        IF part <> '' AND NOT part = ANY (words) THEN
          n := n + 1;
          words[n] := part; numbers[n] := ''; addresses[n] := '';
        END IF;
      END LOOP;
    END IF;
  END LOOP;
  FOR i IN 1 .. n LOOP
    weak := words[i] = ANY (particles);
    CONTINUE WHEN weak AND i < n;
    EXIT WHEN kept = most;
    weak := kept > 0 AND (weak OR char_length(words[i]) BETWEEN 1 AND 2 AND numbers[i] = '');
    kept := kept + 1;
    word := words[i] COLLATE "C"; digits := numbers[i]; address := addresses[i];
    RETURN NEXT;
  END LOOP;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The contacts whose phone, CPF or e-mail a term begins, at most so many.
-- exactly: all of it. whole_tax_id is for who sees CPFs masked: by their beginnings he
-- could find out the rest.
CREATE FUNCTION contact_search_identified(clinic uuid, digits text, address text, most integer, whole_tax_id boolean)
RETURNS TABLE (contact_id uuid, exactly boolean)
LANGUAGE plpgsql STABLE ROWS 10
SET plan_cache_mode = force_generic_plan SET max_parallel_workers_per_gather = 0
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
  phone text := ltrim(digits, '0');
  tail text := reverse(ltrim(digits, '0'));
  -- A whole number as it was dialled before it got its ninth digit.
  ninth text := contact_search_ninth(CASE WHEN char_length(phone) = 12 AND starts_with(phone, '55') THEN substr(phone, 3) ELSE phone END);
BEGIN
  IF address <> '' THEN
    RETURN QUERY
    SELECT s.contact_id, s.email = address FROM contact_search s
    WHERE s.clinic_id = clinic AND s.email >= address AND s.email < address || chr(1114111)
    ORDER BY s.email LIMIT most;
  END IF;
  IF char_length(digits) < 3 THEN
    RETURN;
  END IF;
  RETURN QUERY
  SELECT found.contact_id, bool_or(found.exactly) FROM (
    (SELECT s.contact_id, s.tax_id = digits AS exactly FROM contact_search s
     WHERE s.clinic_id = clinic AND s.tax_id >= digits AND s.tax_id < digits || ':'
       AND (char_length(digits) = 11 OR NOT whole_tax_id)
     ORDER BY s.tax_id LIMIT most)
    UNION ALL
    (SELECT s.contact_id, s.phone_tail = tail OR s.phone_national = phone OR s.phone_local = phone FROM contact_search s
     WHERE s.clinic_id = clinic AND s.phone_tail >= tail AND s.phone_tail < tail || ':' AND char_length(phone) >= 4
     ORDER BY s.phone_tail LIMIT most)
    UNION ALL
    (SELECT s.contact_id, false FROM contact_search s
     WHERE s.clinic_id = clinic AND s.phone_local >= phone AND s.phone_local < phone || ':' AND char_length(phone) >= 4
     ORDER BY s.phone_local LIMIT most)
    UNION ALL
    (SELECT s.contact_id, false FROM contact_search s
     WHERE s.clinic_id = clinic AND s.phone_national >= phone AND s.phone_national < phone || ':' AND char_length(phone) >= 5
     ORDER BY s.phone_national LIMIT most)
    UNION ALL
    (SELECT s.contact_id, false FROM contact_search s
     WHERE s.clinic_id = clinic AND s.phone_national >= substr(phone, 3) AND s.phone_national < substr(phone, 3) || ':'
       AND starts_with(phone, '55') AND char_length(phone) >= 7
     ORDER BY s.phone_national LIMIT most)
    UNION ALL
    (SELECT s.contact_id, true FROM contact_search s
     WHERE s.clinic_id = clinic AND s.phone_national = ninth AND ninth <> phone
     ORDER BY s.phone_national LIMIT most)
    UNION ALL
    (SELECT p.contact_id, p.phone_tail = tail OR p.phone_national = phone OR p.phone_local = phone FROM contact_search_phones p
     WHERE p.clinic_id = clinic AND p.phone_tail >= tail AND p.phone_tail < tail || ':' AND char_length(phone) >= 4
     ORDER BY p.phone_tail LIMIT most)
    UNION ALL
    (SELECT p.contact_id, false FROM contact_search_phones p
     WHERE p.clinic_id = clinic AND p.phone_local >= phone AND p.phone_local < phone || ':' AND char_length(phone) >= 4
     ORDER BY p.phone_local LIMIT most)
    UNION ALL
    (SELECT p.contact_id, false FROM contact_search_phones p
     WHERE p.clinic_id = clinic AND p.phone_national >= phone AND p.phone_national < phone || ':' AND char_length(phone) >= 5
     ORDER BY p.phone_national LIMIT most)
    UNION ALL
    (SELECT p.contact_id, false FROM contact_search_phones p
     WHERE p.clinic_id = clinic AND p.phone_national >= substr(phone, 3) AND p.phone_national < substr(phone, 3) || ':'
       AND starts_with(phone, '55') AND char_length(phone) >= 7
     ORDER BY p.phone_national LIMIT most)
    UNION ALL
    (SELECT p.contact_id, true FROM contact_search_phones p
     WHERE p.clinic_id = clinic AND p.phone_national = ninth AND ninth <> phone
     ORDER BY p.phone_national LIMIT most)) found
  GROUP BY found.contact_id
  LIMIT most;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Contacts that a single term finds, in rank order after a place.
CREATE FUNCTION contact_search_single(
  clinic uuid, term text, digits text, address text, wanted integer,
  after_rank integer, after_line text, after_id uuid, whole_tax_id boolean)
RETURNS TABLE (contact_id uuid, rank integer, line text)
LANGUAGE plpgsql STABLE ROWS 20
SET plan_cache_mode = force_generic_plan SET max_parallel_workers_per_gather = 0
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  missing integer := wanted;
  got integer;
  is_archived boolean;
  step integer;
  this integer;
  from_line text;
  from_id uuid;
  upper_word text := term || chr(1114111);
  domain text := contact_search_domain(term);
  more text[];
  nearest text[];
  near_edits integer[];
BEGIN
  FOREACH this IN ARRAY ARRAY[0, 500, 1000, 1500] LOOP
    is_archived := this % 1000 = 500;
    IF this = 1000 THEN
      EXIT WHEN term = '';
      SELECT array_agg(s.word), array_agg(s.edits) INTO nearest, near_edits
      FROM contact_search_similar(clinic, term) s;
      EXIT WHEN nearest IS NULL;
    END IF;
    FOREACH step IN ARRAY CASE WHEN this < 1000 THEN ARRAY[0, 1, 2, 3, 11, 12, 20, 24] ELSE ARRAY[31, 32, 33] END LOOP
      CONTINUE WHEN this + step < after_rank;
      -- One lower bound only: given two, the index would start at the wrong one.
      from_line := CASE WHEN this + step = after_rank THEN after_line WHEN step = 11 THEN ' ' || term ELSE '' END;
      from_id := CASE WHEN this + step = after_rank THEN after_id ELSE '00000000-0000-0000-0000-000000000000' END;
      IF step IN (0, 20) AND (digits <> '' OR address <> '') THEN
        RETURN QUERY
        SELECT s.contact_id, this + step, s.line
        FROM contact_search_identified(clinic, digits, address, 2000, whole_tax_id) i
        JOIN contact_search s ON s.clinic_id = clinic AND s.contact_id = i.contact_id
        WHERE i.exactly = (step = 0) AND s.archived = is_archived
          AND (s.line, s.contact_id) > (from_line, from_id)
          AND (term = '' OR s.line NOT LIKE '% ' || term || '%')
        ORDER BY s.line, s.contact_id LIMIT missing;
      ELSIF step IN (1, 2, 3) AND term <> '' THEN
        RETURN QUERY
        SELECT w.contact_id, this + step, w.line
        FROM contact_search_words w
        WHERE w.clinic_id = clinic AND w.word = term AND w.archived = is_archived AND w.place = step - 1
          AND (w.line, w.contact_id) > (from_line, from_id)
        ORDER BY w.line, w.contact_id LIMIT missing;
      ELSIF step = 11 AND term <> '' THEN
        RETURN QUERY
        SELECT s.contact_id, this + step, s.line
        FROM contact_search s
        WHERE s.clinic_id = clinic AND s.archived = is_archived
          AND s.line < ' ' || upper_word
          AND (s.line, s.contact_id) > (from_line, from_id)
          AND s.line NOT LIKE '% ' || term || ' %'
        ORDER BY s.line, s.contact_id LIMIT missing;
      ELSIF step IN (12, 24) AND term <> '' THEN
        -- Words further back in the name; domains.
        IF step = 12 OR char_length(term) >= 3 AND NOT starts_with(term, '@') THEN
          more := ARRAY(
            SELECT v.word FROM contact_search_vocabulary v
            WHERE v.clinic_id = clinic
              AND v.word >= CASE step WHEN 12 THEN term ELSE domain END
              AND v.word < CASE step WHEN 12 THEN term ELSE domain END || chr(1114111)
            ORDER BY v.word);
          RETURN QUERY
          SELECT DISTINCT found.contact_id, this + step, found.line
          FROM unnest(more) AS m (word), (VALUES (1::smallint), (2::smallint)) AS p (place),
          LATERAL (
            SELECT w.contact_id, w.line
            FROM contact_search_words w
            WHERE w.clinic_id = clinic AND w.word = m.word COLLATE "C" AND w.archived = is_archived AND w.place = p.place
              AND (w.line, w.contact_id) > (from_line, from_id)
              AND w.line NOT LIKE '% ' || term || ' %' AND NOT starts_with(w.line, ' ' || term)
              AND (step = 12 OR w.line NOT LIKE '% ' || term || '%' AND NOT EXISTS (
                SELECT FROM contact_search s WHERE s.clinic_id = clinic AND s.contact_id = w.contact_id AND starts_with(s.email, term)))
            ORDER BY w.line, w.contact_id LIMIT missing) found
          WHERE m.word <> term
          ORDER BY found.line, found.contact_id LIMIT missing;
        ELSE
          CONTINUE;
        END IF;
      ELSIF step = 20 AND char_length(term) >= 2 THEN
        -- Bounded, and by that kept to the index of the addresses.
        RETURN QUERY
        SELECT s.contact_id, this + step, s.line
        FROM (SELECT e.contact_id, e.line, e.archived FROM contact_search e
              WHERE e.clinic_id = clinic AND e.email >= term AND e.email < upper_word
              ORDER BY e.email LIMIT 5000) s
        WHERE s.archived = is_archived AND (s.line, s.contact_id) > (from_line, from_id)
          AND s.line NOT LIKE '% ' || term || '%'
        ORDER BY s.line, s.contact_id LIMIT missing;
      ELSIF step > 30 THEN
        -- A contact with two such words is shown for the nearer one.
        RETURN QUERY
        SELECT DISTINCT found.contact_id, this + step, found.line
        FROM unnest(nearest, near_edits) AS n (word, edits),
          (VALUES (0::smallint), (1::smallint), (2::smallint)) AS p (place),
        LATERAL (
          SELECT w.contact_id, w.line
          FROM contact_search_words w
          WHERE w.clinic_id = clinic AND w.word = n.word COLLATE "C" AND w.archived = is_archived AND w.place = p.place
            AND (w.line, w.contact_id) > (from_line, from_id)
            AND w.line NOT LIKE '% ' || term || '%'
            AND NOT EXISTS (SELECT FROM unnest(nearest, near_edits) AS b (word, edits)
                            WHERE b.edits < n.edits AND w.line LIKE '% ' || b.word || ' %')
            AND NOT EXISTS (SELECT FROM contact_search s
                            WHERE s.clinic_id = clinic AND s.contact_id = w.contact_id
                              AND (starts_with(s.email, term) OR char_length(term) >= 3 AND s.line LIKE '% ' || domain || '%'))
          ORDER BY w.line, w.contact_id LIMIT missing) found
        WHERE n.edits = step - 30
        ORDER BY found.line, found.contact_id LIMIT missing;
      ELSE
        CONTINUE;
      END IF;
      GET DIAGNOSTICS got = ROW_COUNT;
      missing := missing - got;
      IF missing <= 0 THEN
        RETURN;
      END IF;
    END LOOP;
  END LOOP;
END $$;
-- +goose StatementEnd

-- --------------------------------------------------------------------------
-- The search for a text of any number of terms: one function, so that it is one
-- statement with as few steps as it needs.

-- +goose StatementBegin
-- How well a line answers a term; NULL where it does not.
CREATE FUNCTION contact_search_cost(line text, exact text, prefix text, near text[], near_cost integer, identified boolean)
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  SELECT CASE WHEN line LIKE exact THEN 0
              WHEN identified THEN 5
              WHEN line LIKE prefix THEN 10
              WHEN line LIKE ANY (near) THEN near_cost END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The clinic's contacts that a text finds, best first, in pages: so many after
-- the place (rank, name, contact_id) of a row of an earlier page. Runs with the
-- caller's rights, under row-level security.
--
-- rank is 1000 * m, where m is 0 if every term was found in full or as a
-- beginning, 1 if some with a misspelling, and 2 or more if 1 or more were not
-- found; plus 500 for an archived contact; plus 0 to 499 for how well.
CREATE FUNCTION search_contacts(
  query text, wanted integer,
  after_rank integer DEFAULT -1, after_name text DEFAULT '', after_id uuid DEFAULT '00000000-0000-0000-0000-000000000000',
  whole_tax_id boolean DEFAULT false)
RETURNS TABLE (contact_id uuid, rank integer, name text)
LANGUAGE plpgsql STABLE ROWS 20
SET plan_cache_mode = force_generic_plan SET max_parallel_workers_per_gather = 0
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  -- A list longer than a step is counted further only if all are.
  steps CONSTANT integer[] := '{500,1500}';
  -- How many of the words' contacts are looked at for matches in part.
  partial_bound CONSTANT integer := 600;
  literal_bound CONSTANT integer := 1500;
  most_identified CONSTANT integer := 500;
  clinic CONSTANT uuid := app_clinic();
  whole CONSTANT text := ' ' || contact_search_words_of(query) || ' ';
  term record;
  k integer := 0;
  part text;
  words text[] := '{}';
  numbers text[] := '{}';
  addresses text[] := '{}';
  weak boolean[] := '{}';
  exact text[] := '{}';
  prefix text[] := '{}';
  counts integer[] := '{}';
  near_cost integer[] := '{}';
  near1 text[]; near2 text[]; near3 text[]; near4 text[]; near5 text[]; near6 text[]; near7 text[]; near8 text[];
  near_words text[] := '{}';
  near_terms integer[] := '{}';
  hit_ids uuid[] := '{}';
  hit_terms integer[] := '{}';
  known_ids uuid[];
  known_masks integer[];
  ids uuid[];
  found_words text[];
  patterns text[];
  nearest integer;
  drivers integer[];
  lows text[];
  highs text[];
  listed uuid[];
  needs text[];
  rarest text[];
  begins text[];
  begin_exactly text[];
  found_ids uuid[];
  found_lines text[];
  lines text[];
  pick integer;
  bound integer;
  fewest_missing integer;
  misspelt boolean := false;
  missing_rows integer := wanted;
  got integer;
  any_found boolean := after_rank >= 0;
BEGIN
  FOR term IN SELECT * FROM contact_search_terms(query) LOOP
    IF term.address <> '' AND term.address NOT LIKE '%@%' THEN
      -- A domain, the beginning of an address, or a name with a dot in it.
      part := contact_search_domain(term.address);
      IF EXISTS (SELECT FROM contact_search_vocabulary v WHERE v.clinic_id = clinic AND v.word >= part AND v.word < part || chr(1114111)) THEN
        term.word := part;
        term.address := '';
      ELSIF NOT EXISTS (SELECT FROM contact_search s WHERE s.clinic_id = clinic AND s.email >= term.address AND s.email < term.address || chr(1114111)) THEN
        FOREACH part IN ARRAY string_to_array(contact_search_words_of(term.address), ' ') LOOP
          IF k < 8 AND part <> '' AND NOT part = ANY (words) THEN
            k := k + 1;
            words[k] := part; numbers[k] := ''; addresses[k] := ''; weak[k] := false;
          END IF;
        END LOOP;
        CONTINUE;
      END IF;
    END IF;
    IF term.address LIKE '%@%' AND NOT EXISTS (
      SELECT FROM contact_search s WHERE s.clinic_id = clinic AND s.email >= term.address AND s.email < term.address || chr(1114111))
    THEN
      -- Most slips are made in the domain, and half an address finds it too.
      term.address := split_part(term.address, '@', 1) || '@';
    END IF;
    EXIT WHEN k = 8;
    k := k + 1;
    words[k] := term.word; numbers[k] := term.digits; addresses[k] := term.address; weak[k] := term.weak;
  END LOOP;
  IF k = 0 OR wanted < 1 THEN
    RETURN;
  END IF;
  IF k = 1 THEN
    RETURN QUERY SELECT * FROM contact_search_single(clinic, words[1], numbers[1], addresses[1], wanted, after_rank, after_name, after_id, whole_tax_id);
    RETURN;
  END IF;

  FOR i IN 1 .. k LOOP
    IF words[i] <> '' AND numbers[i] = '' AND NOT words[i] LIKE '@%' AND char_length(words[i]) >= 3 AND NOT EXISTS (
      SELECT FROM contact_search_vocabulary v WHERE v.clinic_id = clinic AND v.word >= words[i] AND v.word < words[i] || chr(1114111))
    THEN
      part := contact_search_domain(words[i]);
      IF EXISTS (SELECT FROM contact_search_vocabulary v WHERE v.clinic_id = clinic AND v.word >= part AND v.word < part || chr(1114111)) THEN
        words[i] := part;
      ELSE
        addresses[i] := words[i];
      END IF;
    END IF;
    counts[i] := 0;
    IF numbers[i] <> '' OR addresses[i] <> '' THEN
      ids := ARRAY(SELECT h.contact_id FROM contact_search_identified(clinic, numbers[i], addresses[i], most_identified, whole_tax_id) h);
      counts[i] := cardinality(ids);
      hit_ids := hit_ids || ids;
      hit_terms := hit_terms || array_fill(i, ARRAY[cardinality(ids)]);
    END IF;
    prefix[i] := '% ' || nullif(words[i], '') || '%';
    exact[i] := CASE WHEN weak[i] THEN prefix[i] ELSE '% ' || nullif(words[i], '') || ' %' END;
  END LOOP;
  IF hit_ids <> '{}' THEN
    SELECT array_agg(h.id), array_agg(h.mask) INTO known_ids, known_masks
    FROM (SELECT u.id, bit_or(1 << (u.i - 1)) AS mask FROM unnest(hit_ids, hit_terms) AS u (id, i) GROUP BY u.id) h;
  END IF;
  begin_exactly := ARRAY(SELECT ' ' || u.word || ' %' FROM unnest(words, weak) AS u (word, w) WHERE u.word <> '' AND NOT u.w);
  FOREACH bound IN ARRAY steps LOOP
    FOR i IN 1 .. k LOOP
      CONTINUE WHEN words[i] = '' OR bound > steps[1] AND counts[i] < steps[1];
      counts[i] := greatest(counts[i], (SELECT count(*) FROM (
        SELECT FROM contact_search_words w
        WHERE w.clinic_id = clinic AND w.word >= words[i] AND w.word < words[i] || chr(1114111) LIMIT bound) l));
    END LOOP;
    EXIT WHEN (SELECT min(c) FROM unnest(counts, weak) AS u (c, w) WHERE NOT w) < bound;

    -- All are frequent, so contacts that have them all literally are, too. Their
    -- ranks are 0, 1 and 2, and the words' lists stand in the order of each: the
    -- page fills from the lists' beginnings. What a look at so many entries
    -- cannot settle is left to the whole search below, from there on.
    IF bound = steps[1] AND hit_ids = '{}' AND NOT EXISTS (
      SELECT FROM unnest(words, weak) AS u (word, w)
      WHERE NOT w AND NOT EXISTS (SELECT FROM contact_search_words s WHERE s.clinic_id = clinic AND s.word = u.word COLLATE "C"))
    THEN
      <<literal>>
      FOR step IN greatest(after_rank, 0) .. 2 LOOP
        found_ids := '{}';
        found_lines := '{}';
        IF step <> after_rank THEN
          after_name := '';
          after_id := '00000000-0000-0000-0000-000000000000';
        END IF;
        FOR term IN
          SELECT '' AS word, 0 AS place WHERE step = 0
          UNION ALL SELECT u.word, 0 FROM unnest(words, weak) AS u (word, w) WHERE step = 1 AND NOT w
          UNION ALL SELECT words[1], p FROM generate_series(1, 2) AS p WHERE step = 2
        LOOP
          IF step = 0 THEN
            SELECT array_agg(l.contact_id), array_agg(l.line) INTO ids, lines FROM (
              SELECT s.contact_id, s.line FROM contact_search s
              WHERE s.clinic_id = clinic AND NOT s.archived AND s.line < whole || '!'
                AND (s.line, s.contact_id) > (greatest(after_name, whole), after_id)
              ORDER BY s.line, s.contact_id LIMIT missing_rows) l;
          ELSE
            SELECT array_agg(l.contact_id), array_agg(l.line) INTO ids, lines FROM (
              SELECT w.contact_id, w.line FROM (
                SELECT w.contact_id, w.line FROM contact_search_words w
                WHERE w.clinic_id = clinic AND w.word = term.word AND NOT w.archived AND w.place = term.place
                  AND (w.line, w.contact_id) > (after_name, after_id)
                ORDER BY w.line, w.contact_id LIMIT literal_bound) w
              WHERE w.line LIKE ALL (exact) AND NOT starts_with(w.line || ' ', whole || ' ')
                AND (step = 1 OR NOT w.line LIKE ANY (begin_exactly))
              LIMIT missing_rows) l;
            EXIT literal WHEN coalesce(cardinality(ids), 0) < missing_rows AND EXISTS (
              SELECT FROM contact_search_words w
              WHERE w.clinic_id = clinic AND w.word = term.word AND NOT w.archived AND w.place = term.place
                AND (w.line, w.contact_id) > (after_name, after_id)
              ORDER BY w.line, w.contact_id OFFSET literal_bound LIMIT 1);
          END IF;
          found_ids := found_ids || ids;
          found_lines := found_lines || lines;
        END LOOP;
        RETURN QUERY
        SELECT u.id, step, u.l COLLATE "C" FROM unnest(found_ids, found_lines) AS u (id, l)
        ORDER BY u.l COLLATE "C", u.id LIMIT missing_rows;
        GET DIAGNOSTICS got = ROW_COUNT;
        any_found := any_found OR got > 0;
        missing_rows := missing_rows - got;
        IF missing_rows <= 0 THEN
          RETURN;
        END IF;
        -- All of this rank are found.
        after_rank := step;
        after_name := chr(1114111);
        after_id := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
      END LOOP;
    END IF;
  END LOOP;

  -- Level 0: all terms, none misspelt. 1: all, some misspelt. 2 and on: 1, 2, ...
  -- terms missing.
  FOR level IN 0 .. k LOOP
    CONTINUE WHEN after_rank >= 1000 * (level + 1);
    IF level >= 1 AND NOT misspelt THEN
      misspelt := true;
      FOR i IN 1 .. k LOOP
        CONTINUE WHEN words[i] = '' OR weak[i];
        SELECT n.edits, array_agg(n.word) INTO nearest, found_words
        FROM (SELECT s.edits, s.word, rank() OVER (ORDER BY s.edits) AS place FROM contact_search_similar(clinic, words[i]) s) n
        WHERE n.place = 1 GROUP BY n.edits;
        CONTINUE WHEN nearest IS NULL;
        near_cost[i] := 20 + 10 * nearest;
        near_words := near_words || found_words;
        near_terms := near_terms || array_fill(i, ARRAY[cardinality(found_words)]);
        patterns := ARRAY(SELECT '% ' || f.word || ' %' FROM unnest(found_words) AS f (word));
        CASE i
          WHEN 1 THEN near1 := patterns;
          WHEN 2 THEN near2 := patterns;
          WHEN 3 THEN near3 := patterns;
          WHEN 4 THEN near4 := patterns;
          WHEN 5 THEN near5 := patterns;
          WHEN 6 THEN near6 := patterns;
          WHEN 7 THEN near7 := patterns;
          WHEN 8 THEN near8 := patterns;
        END CASE;
        counts[i] := counts[i] + (
          SELECT count(*) FROM unnest(found_words) AS f (word), LATERAL (
            SELECT FROM contact_search_words w
            WHERE w.clinic_id = clinic AND w.word = f.word COLLATE "C" LIMIT steps[1]) l);
      END LOOP;
    END IF;
    IF fewest_missing IS NULL OR level = 1 THEN
      fewest_missing := (SELECT count(*) FROM unnest(counts) AS u (c) WHERE c = 0);
    END IF;
    CONTINUE WHEN fewest_missing > greatest(level - 1, 0) OR level = 1 AND near_words = '{}';
    -- More than half of the terms missing only where nothing better was found.
    EXIT WHEN level - 1 > k / 2 AND any_found AND after_rank < 1000 * level;

    -- Who has k - m of the terms has one of any m + 1: the rarest.
    drivers := ARRAY(SELECT u.i FROM unnest(counts, weak) WITH ORDINALITY AS u (c, w, i)
                     ORDER BY u.w, u.c, u.i LIMIT greatest(level, 1));
    SELECT coalesce(array_agg(l.word), '{}'), coalesce(array_agg(l.word || l.beyond), '{}') INTO lows, highs FROM (
      SELECT words[d.i] AS word, chr(1114111) AS beyond FROM unnest(drivers) AS d (i) WHERE words[d.i] <> ''
      UNION ALL
      SELECT n.word, chr(1) FROM unnest(near_words, near_terms) AS n (word, i) WHERE n.i = ANY (drivers)) l;
    begins := ARRAY(SELECT substr(u.p, 2) FROM unnest(prefix) AS u (p)
                    UNION ALL SELECT ' ' || n.word || ' %' FROM unnest(near_words) AS n (word));
    listed := ARRAY(SELECT DISTINCT h.id FROM unnest(hit_ids, hit_terms) AS h (id, i) WHERE h.i = ANY (drivers));
    needs := ARRAY(SELECT prefix[u.i] FROM generate_series(1, k) AS u (i)
                   WHERE level <= 1 AND words[u.i] <> '' AND NOT u.i = ANY (near_terms) AND NOT u.i = ANY (hit_terms) AND NOT u.i = ANY (drivers));
    -- Of the terms that may be misspelt the rarest, to sort out most lines by.
    rarest := NULL;
    IF level = 1 THEN
      SELECT u.i INTO pick FROM unnest(counts) WITH ORDINALITY AS u (c, i)
      WHERE u.i = ANY (near_terms) AND NOT u.i = ANY (hit_terms) AND NOT u.i = ANY (drivers) ORDER BY u.c, u.i LIMIT 1;
      IF FOUND THEN
        rarest := ARRAY(SELECT '% ' || n.word || ' %' FROM unnest(near_words, near_terms) AS n (word, i) WHERE n.i = pick) || prefix[pick];
      END IF;
    END IF;
    bound := CASE WHEN level <= 1 THEN 1000000 ELSE partial_bound / greatest(cardinality(lows), 1) END;

    RETURN QUERY
    SELECT ranked.contact_id, ranked.rank, ranked.line
    FROM (
      SELECT matched.contact_id, matched.line,
        1000 * level + CASE WHEN matched.archived THEN 500 ELSE 0 END + matched.cost
        + CASE WHEN matched.cost = 0 AND level = 0 AND starts_with(matched.line || ' ', whole || ' ') THEN 0
               WHEN matched.line LIKE ANY (CASE WHEN matched.cost = 0 AND level = 0 THEN begin_exactly ELSE begins END) THEN 1
               ELSE 2 END AS rank
      FROM (
        SELECT DISTINCT costed.contact_id, costed.line, costed.archived,
          coalesce(c1, 0)
         + coalesce(c2, 0)
         + coalesce(c3, 0)
         + coalesce(c4, 0)
         + coalesce(c5, 0)
         + coalesce(c6, 0)
         + coalesce(c7, 0)
         + coalesce(c8, 0) AS cost
        FROM (
          SELECT c.contact_id, c.line, c.archived,
          contact_search_cost(c.line, exact[1], prefix[1], near1, near_cost[1], c.identified & 1 <> 0) AS c1,
          contact_search_cost(c.line, exact[2], prefix[2], near2, near_cost[2], c.identified & 2 <> 0) AS c2,
          CASE WHEN k >= 3 THEN contact_search_cost(c.line, exact[3], prefix[3], near3, near_cost[3], c.identified & 4 <> 0) END AS c3,
          CASE WHEN k >= 4 THEN contact_search_cost(c.line, exact[4], prefix[4], near4, near_cost[4], c.identified & 8 <> 0) END AS c4,
          CASE WHEN k >= 5 THEN contact_search_cost(c.line, exact[5], prefix[5], near5, near_cost[5], c.identified & 16 <> 0) END AS c5,
          CASE WHEN k >= 6 THEN contact_search_cost(c.line, exact[6], prefix[6], near6, near_cost[6], c.identified & 32 <> 0) END AS c6,
          CASE WHEN k >= 7 THEN contact_search_cost(c.line, exact[7], prefix[7], near7, near_cost[7], c.identified & 64 <> 0) END AS c7,
          CASE WHEN k >= 8 THEN contact_search_cost(c.line, exact[8], prefix[8], near8, near_cost[8], c.identified & 128 <> 0) END AS c8
          FROM (
            SELECT raw.contact_id, raw.line, raw.archived,
              CASE WHEN known_ids IS NULL THEN 0 ELSE coalesce(known_masks[array_position(known_ids, raw.contact_id)], 0) END AS identified
            FROM (
              SELECT w.contact_id, w.line, w.archived
              FROM unnest(lows, highs) AS l (low, high), LATERAL (
                SELECT w.contact_id, w.line, w.archived
                FROM contact_search_words w
                WHERE w.clinic_id = clinic AND w.word >= l.low COLLATE "C" AND w.word < l.high COLLATE "C"
                ORDER BY w.word, w.archived, w.place, w.line, w.contact_id LIMIT bound) w
              UNION ALL
              SELECT s.contact_id, s.line, s.archived
              FROM unnest(listed) AS h (id)
              JOIN contact_search s ON s.clinic_id = clinic AND s.contact_id = h.id) raw
            WHERE raw.line LIKE ALL (needs) AND (rarest IS NULL OR raw.line LIKE ANY (rarest))
            OFFSET 0) c
          OFFSET 0) costed
        WHERE num_nonnulls(c1, c2, c3, c4, c5, c6, c7, c8) = k - greatest(level - 1, 0)
          AND (level <> 1 OR greatest(c1, c2, c3, c4, c5, c6, c7, c8) >= 30)) matched) ranked
    WHERE (ranked.rank, ranked.line, ranked.contact_id) > (after_rank, after_name, after_id)
    ORDER BY ranked.rank, ranked.line, ranked.contact_id
    LIMIT missing_rows;
    GET DIAGNOSTICS got = ROW_COUNT;
    any_found := any_found OR got > 0;
    missing_rows := missing_rows - got;
    EXIT WHEN missing_rows <= 0;
  END LOOP;
END $$;
-- +goose StatementEnd

-- --------------------------------------------------------------------------
-- What a change of contact_search announces: a new contact need not empty every kept
-- search of its clinic. A search looks for words by their
-- beginning, so it depends on the beginnings of its words, and a write has the
-- beginnings of the words of its rows. Both sides take what contact_search_words_of
-- and its like have made of a text, and cut it by the functions below.
--
-- What there is of these tags, and who depends on them:
--   contact/search/word=N    rows with a word or an e-mail that begins so
--   contact/search/number=N  rows with a CPF or a telephone number that begins or ends so
--   contact/search/near=N    the clinic's distinct words that may be taken for a misspelt one
--   contact/search/any       every search: too much changed to say it finer
-- N is 13 or 10 bits of a hash: tags are kept outside of Postgres, where no part of a
-- patient's name belongs, and a clinic has only so many of them. That two beginnings
-- share one costs a search that is made anew for nothing.

-- +goose StatementBegin
CREATE FUNCTION cache_search_tag(kind text, piece text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  SELECT 'contact/search/' || kind || '='
    || (hashtextextended(piece COLLATE "C", 0) & CASE kind WHEN 'number' THEN 1023 ELSE 8191 END)
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The tag on which depends who looks for words that begin with this one. Such words
-- have the tags of their beginnings of 1, 2, 3 and 5 letters (cache_search_row_tags);
-- this is the longest of those that all of them have. The empty word is its own.
CREATE FUNCTION cache_search_beginning_tag(beginning text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  SELECT cache_search_tag('word', left(beginning, CASE WHEN char_length(beginning) >= 5 THEN 5 ELSE least(char_length(beginning), 3) END))
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The tags of a word that another may be a misspelling of, the same for both. Such
-- words share one of contact_search_remainders, or one's begins with the other's of
-- three letters or more: either way they share its first three letters.
CREATE FUNCTION cache_search_near_tags(word text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
  remainders text[] := contact_search_remainders(word);
BEGIN
  IF remainders = '{}' THEN
    RETURN remainders;
  END IF;
  RETURN ARRAY(SELECT DISTINCT cache_search_tag('near', left(r.remainder, 3)) FROM unnest(remainders) AS r (remainder));
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The tags on which a search for digits depends.
CREATE FUNCTION cache_search_digits_tags(digits text) RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 5
AS $$
  SELECT cache_search_tag('number', piece)
  FROM (SELECT ltrim(digits, '0') AS phone) d,
  LATERAL (SELECT contact_search_ninth(CASE WHEN char_length(phone) = 12 AND starts_with(phone, '55') THEN substr(phone, 3) ELSE phone END) AS ninth) o,
  LATERAL (VALUES
    (ninth <> phone, 'n' || left(ninth, 5)),
    (char_length(digits) >= 3, 'c' || left(digits, 3)),
    (char_length(phone) >= 4, 't' || left(reverse(phone), 4)),
    (char_length(phone) >= 4, 'l' || left(phone, 4)),
    (char_length(phone) >= 5, 'n' || left(phone, 5)),
    (char_length(phone) >= 7 AND starts_with(phone, '55'), 'n' || left(substr(phone, 3), 5))) AS p (used, piece)
  WHERE used
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The tags of a row of contact_search: of all that a search can find it by. A search
-- reads a row's other words, too, but only once it has found it. Without a line those
-- of its numbers, as contact_search_identified looks for them. In PL/pgSQL, whose plans
-- last: every write of a contact pays for this.
CREATE FUNCTION cache_search_row_tags(line text, email text, tax_id text, phone_tail text, phone_national text, phone_local text)
RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
  RETURN ARRAY(
    SELECT cache_search_tag('word', left(w.word, l.letters))
    FROM unnest(string_to_array(line, ' ') || CASE WHEN line IS NOT NULL THEN email END) AS w (word), unnest('{1,2,3,5}'::integer[]) AS l (letters)
    WHERE char_length(w.word) >= l.letters
    UNION ALL
    -- A name may have no word; then the line begins with two blanks.
    SELECT cache_search_tag('word', '') WHERE starts_with(line, '  ')
    UNION ALL
    SELECT cache_search_tag('number', n.piece)
    FROM unnest(ARRAY['c' || left(tax_id, 3), 't' || left(phone_tail, 4), 'n' || left(phone_national, 5), 'l' || left(phone_local, 4)]) AS n (piece)
    WHERE n.piece IS NOT NULL);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The tags on which search_contacts(query) depends for the clinic of the connection,
-- beside those of the contacts that it shows. misspelt: it had, or may have had, to
-- look for words that are nearly the query's: not where a page came to its end among
-- matches of rank below 1000, and always where all are counted. What it finds to be
-- near is its own look at the clinic's words; should they change between that and the
-- search's, the tags tell, since both depend on the tags of all that may be near.
--
-- A query's terms may become others, depending on the clinic's words and addresses
-- (see search_contacts). Here they are all that they can become.
CREATE FUNCTION cache_search_depends(query text, misspelt boolean) RETURNS text[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
  clinic CONSTANT uuid := app_clinic();
  -- Of all words together the first: names that are the query itself.
  beginnings text[] := ARRAY[split_part(contact_search_words_of(query), ' ', 1)];
  words text[] := '{}';
  tags text[] := '{contact/search/any}';
  term record;
  word text;
BEGIN
  FOR term IN SELECT * FROM contact_search_terms(query) LOOP
    words := words || term.word;
    IF term.digits <> '' THEN
      tags := tags || ARRAY(SELECT cache_search_digits_tags(term.digits));
    END IF;
    IF term.address LIKE '%@%' THEN
      beginnings := beginnings || term.address || (split_part(term.address, '@', 1) || '@');
    ELSIF term.address <> '' THEN
      beginnings := beginnings || term.address;
      words := words || contact_search_domain(term.address) || string_to_array(contact_search_words_of(term.address), ' ');
    END IF;
  END LOOP;
  FOREACH word IN ARRAY words LOOP
    CONTINUE WHEN word = '';
    beginnings := beginnings || word;
    IF char_length(word) >= 3 AND NOT starts_with(word, '@') THEN
      beginnings := beginnings || contact_search_domain(word);
    END IF;
    IF misspelt THEN
      tags := tags || cache_search_near_tags(word);
      beginnings := beginnings || ARRAY(SELECT s.word FROM contact_search_similar(clinic, word) s);
    END IF;
  END LOOP;
  RETURN ARRAY(SELECT unnest(tags) UNION SELECT cache_search_beginning_tag(b) FROM unnest(beginnings) AS b);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Announces tags of searches: as they are, or as contact/search/any where they are
-- many, alone or with what the transaction has announced before. The bounds leave
-- room below the 200 over which the whole clinic is named.
CREATE FUNCTION cache_emit_search(clinic uuid, fine text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  IF cardinality(fine) > 80 OR octet_length(current_setting('app.cache_tags', true)) > 3000
    OR nullif(current_setting('app.cache_notified', true), '')::integer > 100
  THEN
    fine := '{contact/search/any}';
  END IF;
  PERFORM cache_emit(clinic, fine);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION cache_tags_contact_search() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- Whoever defers the search's upkeep (rebuild_contact_search does) also changes
  -- what follows from these rows, at another time.
  IF TG_OP = 'INSERT' THEN
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 51) few) > 50 OR current_setting('app.contact_search', true) = 'deferred' THEN
      PERFORM cache_emit(c.clinic_id, '{*}') FROM (SELECT DISTINCT n.clinic_id FROM new_rows n) c;
    ELSE
      PERFORM cache_emit_search(c.clinic_id, array_agg(DISTINCT c.tag)) FROM (
        SELECT n.clinic_id, unnest(cache_search_row_tags(n.line, n.email, n.tax_id, n.phone_tail, n.phone_national, n.phone_local)) AS tag
        FROM new_rows n) c
      GROUP BY c.clinic_id;
    END IF;
  ELSIF TG_OP = 'DELETE' THEN
    IF (SELECT count(*) FROM (SELECT FROM old_rows LIMIT 51) few) > 50 OR current_setting('app.contact_search', true) = 'deferred' THEN
      PERFORM cache_emit(c.clinic_id, '{*}') FROM (SELECT DISTINCT o.clinic_id FROM old_rows o) c;
    ELSE
      PERFORM cache_emit_search(c.clinic_id, array_agg(DISTINCT c.tag)) FROM (
        SELECT o.clinic_id, unnest(cache_search_row_tags(o.line, o.email, o.tax_id, o.phone_tail, o.phone_national, o.phone_local)) AS tag
        FROM old_rows o) c
      GROUP BY c.clinic_id;
    END IF;
  ELSIF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 51) few) > 50 OR current_setting('app.contact_search', true) = 'deferred' THEN
    PERFORM cache_emit(c.clinic_id, '{*}') FROM (SELECT n.clinic_id FROM new_rows n UNION SELECT o.clinic_id FROM old_rows o) c;
  ELSE
    -- A row whose key changed has no partner, and so differs in everything. One whose
    -- line, address or place in the archive changed is another wherever it is found,
    -- by numbers, too; one that only got another number is as it was where it is found
    -- by words.
    PERFORM cache_emit_search(c.clinic, array_agg(DISTINCT c.tag)) FROM (
      SELECT r.clinic, unnest(
          cache_search_row_tags(CASE WHEN r.renamed THEN r.old_line END, r.old_email, r.old_tax_id, r.old_tail, r.old_national, r.old_local)
          || cache_search_row_tags(CASE WHEN r.renamed THEN r.new_line END, r.new_email, r.new_tax_id, r.new_tail, r.new_national, r.new_local)) AS tag
      FROM (
        SELECT coalesce(n.clinic_id, o.clinic_id) AS clinic,
          o.line AS old_line, o.email AS old_email, o.tax_id AS old_tax_id, o.phone_tail AS old_tail, o.phone_national AS old_national, o.phone_local AS old_local,
          n.line AS new_line, n.email AS new_email, n.tax_id AS new_tax_id, n.phone_tail AS new_tail, n.phone_national AS new_national, n.phone_local AS new_local,
          n.archived IS DISTINCT FROM o.archived OR n.line IS DISTINCT FROM o.line OR n.email IS DISTINCT FROM o.email AS renamed,
          n.archived IS DISTINCT FROM o.archived OR n.tax_id IS DISTINCT FROM o.tax_id
            OR n.phone_tail IS DISTINCT FROM o.phone_tail OR n.phone_national IS DISTINCT FROM o.phone_national
            OR n.phone_local IS DISTINCT FROM o.phone_local AS renumbered
        FROM old_rows o FULL JOIN new_rows n ON n.clinic_id = o.clinic_id AND n.contact_id = o.contact_id) r
      WHERE r.renamed OR r.renumbered) c
    GROUP BY c.clinic;
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER cache_tags_insert AFTER INSERT ON contact_search
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION cache_tags_contact_search();
CREATE TRIGGER cache_tags_update AFTER UPDATE ON contact_search
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION cache_tags_contact_search();
CREATE TRIGGER cache_tags_delete AFTER DELETE ON contact_search
  REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION cache_tags_contact_search();
CREATE TRIGGER cache_tags_truncate AFTER TRUNCATE ON contact_search
  FOR EACH STATEMENT EXECUTE FUNCTION cache_truncated();

-- +goose StatementBegin
-- The clinic's distinct words decide what a misspelt one may have meant. Most contacts
-- bring no new one. That a word is there at all is told by the rows that have it.
CREATE FUNCTION cache_tags_contact_search_vocabulary() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  clinics uuid[];
  words text[];
  tags text[] := '{}';
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT array_agg(f.clinic_id), array_agg(f.word) INTO clinics, words FROM (SELECT n.clinic_id, n.word FROM new_rows n LIMIT 21) f;
    IF cardinality(words) > 20 THEN
      PERFORM cache_emit(c.clinic_id, '{contact/search/any}') FROM (SELECT DISTINCT n.clinic_id FROM new_rows n) c;
      RETURN NULL;
    END IF;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT array_agg(f.clinic_id), array_agg(f.word) INTO clinics, words FROM (SELECT o.clinic_id, o.word FROM old_rows o LIMIT 21) f;
    IF cardinality(words) > 20 THEN
      PERFORM cache_emit(c.clinic_id, '{contact/search/any}') FROM (SELECT DISTINCT o.clinic_id FROM old_rows o) c;
      RETURN NULL;
    END IF;
  ELSE
    -- Nothing updates it.
    PERFORM cache_emit(c.clinic_id, '{contact/search/any}') FROM (SELECT n.clinic_id FROM new_rows n UNION SELECT o.clinic_id FROM old_rows o) c;
    RETURN NULL;
  END IF;
  FOR i IN 1 .. coalesce(cardinality(words), 0) LOOP
    tags := tags || cache_search_near_tags(words[i]);
    IF clinics[i] IS DISTINCT FROM clinics[i + 1] THEN
      IF tags <> '{}' THEN
        PERFORM cache_emit_search(clinics[i], tags);
      END IF;
      tags := '{}';
    END IF;
  END LOOP;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER cache_tags_insert AFTER INSERT ON contact_search_vocabulary
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION cache_tags_contact_search_vocabulary();
CREATE TRIGGER cache_tags_update AFTER UPDATE ON contact_search_vocabulary
  REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION cache_tags_contact_search_vocabulary();
CREATE TRIGGER cache_tags_delete AFTER DELETE ON contact_search_vocabulary
  REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION cache_tags_contact_search_vocabulary();
CREATE TRIGGER cache_tags_truncate AFTER TRUNCATE ON contact_search_vocabulary
  FOR EACH STATEMENT EXECUTE FUNCTION cache_truncated();

-- The further numbers' rows.
SELECT cache_announce('contact_search_phones',
  'cache_search_row_tags(NULL, NULL, NULL, r.phone_tail, r.phone_national, r.phone_local)', $$'{}'::text[]$$, '{phone_tail}', 'clinic_id', 'contact_id');

-- Contacts that may be the same person: the same phone or date of birth, and a like
-- name. The CPF is unique in a clinic, so that no two contacts can have the same.

-- +goose StatementBegin
-- How much two names are alike: the share of the shorter one's words that the other has,
-- too, or nearly. Nothing unless the first word of one of them is among those.
CREATE FUNCTION contact_names_alike(a text, b text) RETURNS real
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
  particles CONSTANT text[] := '{da,das,de,do,dos,e}';
  shorter text[] := ARRAY(SELECT w FROM unnest(string_to_array(contact_search_words_of(a), ' ')) AS w WHERE w <> '' AND NOT w = ANY (particles) LIMIT 8);
  longer text[] := ARRAY(SELECT w FROM unnest(string_to_array(contact_search_words_of(b), ' ')) AS w WHERE w <> '' AND NOT w = ANY (particles) LIMIT 8);
  swapped text[];
  first boolean := false;
  found integer := 0;
BEGIN
  IF cardinality(shorter) > cardinality(longer) THEN
    swapped := shorter; shorter := longer; longer := swapped;
  END IF;
  FOR i IN 1 .. cardinality(shorter) LOOP
    FOR j IN 1 .. cardinality(longer) LOOP
      IF shorter[i] = longer[j] OR least(char_length(shorter[i]), char_length(longer[j])) >= 4
        AND abs(char_length(shorter[i]) - char_length(longer[j])) <= 1 AND contact_search_edits(shorter[i], longer[j]) <= 1 THEN
        found := found + 1;
        first := first OR i = 1 OR j = 1;
        EXIT;
      END IF;
    END LOOP;
  END LOOP;
  RETURN CASE WHEN first THEN found::real / cardinality(shorter) ELSE 0 END;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Up to ten contacts of the connection's clinic that may be the same person as one, the
-- best first. It looks at no digit of a CPF, only at whether both have one, which a mask
-- shows, too: then they are less likely to be one. At most 200 contacts of each phone
-- and 500 of a date of birth are looked at: so many are no person's.
CREATE FUNCTION contact_duplicates(contact uuid) RETURNS TABLE (id uuid, place integer)
LANGUAGE plpgsql STABLE ROWS 3
SET plan_cache_mode = force_generic_plan SET max_parallel_workers_per_gather = 0
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  clinic CONSTANT uuid := app_clinic();
  one contacts;
  tails text[];
BEGIN
  SELECT * INTO one FROM contacts c WHERE c.clinic_id = clinic AND c.id = contact;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  tails := ARRAY(
    SELECT s.phone_tail FROM contact_search s WHERE s.clinic_id = clinic AND s.contact_id = contact AND s.phone_tail IS NOT NULL
    UNION SELECT p.phone_tail FROM contact_search_phones p WHERE p.clinic_id = clinic AND p.contact_id = contact);
  RETURN QUERY
  SELECT found.id, (row_number() OVER (ORDER BY found.likely DESC, found.name_key, found.id))::integer
  FROM (
    SELECT c.id, c.name_key, a.alike
      + CASE WHEN bool_or(k.by_phone) THEN 1 ELSE 0 END
      + CASE WHEN c.birth_date = one.birth_date THEN 1 WHEN c.birth_date <> one.birth_date THEN -1 ELSE 0 END
      - CASE WHEN c.tax_id IS NOT NULL AND one.tax_id IS NOT NULL THEN 1 ELSE 0 END
      - CASE WHEN c.status = 'arquivado' THEN 1 ELSE 0 END AS likely
    FROM (
      SELECT s.contact_id, true AS by_phone FROM unnest(tails) AS t (tail),
        LATERAL (SELECT x.contact_id FROM contact_search x WHERE x.clinic_id = clinic AND x.phone_tail = t.tail COLLATE "C" ORDER BY x.phone_tail LIMIT 200) s
      UNION ALL
      SELECT s.contact_id, true FROM unnest(tails) AS t (tail),
        LATERAL (SELECT x.contact_id FROM contact_search_phones x WHERE x.clinic_id = clinic AND x.phone_tail = t.tail COLLATE "C" ORDER BY x.phone_tail LIMIT 200) s
      UNION ALL
      (SELECT b.id, false FROM contacts b WHERE b.clinic_id = clinic AND b.birth_date = one.birth_date ORDER BY b.birth_date, b.id LIMIT 500)) k
    JOIN contacts c ON c.clinic_id = clinic AND c.id = k.contact_id,
    LATERAL (SELECT contact_names_alike(c.name, one.name) AS alike) a
    WHERE c.id <> contact AND a.alike >= 0.5
    GROUP BY c.id, c.name_key, c.birth_date, c.tax_id, c.status, a.alike) found
  ORDER BY 2 LIMIT 10;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION contact_duplicates(uuid);
DROP FUNCTION contact_names_alike(text, text);
DROP FUNCTION cache_search_depends(text, boolean);
DROP FUNCTION search_contacts(text, integer, integer, text, uuid, boolean);
DROP FUNCTION contact_search_cost(text, text, text, text[], integer, boolean);
DROP FUNCTION contact_search_single(uuid, text, text, text, integer, integer, text, uuid, boolean);
DROP FUNCTION contact_search_identified(uuid, text, text, integer, boolean);
DROP FUNCTION contact_search_terms(text);
DROP FUNCTION contact_search_similar(uuid, text);
DROP FUNCTION contact_search_edits(text, text);
DROP EXTENSION fuzzystrmatch;
DROP TRIGGER contacts_search_phones_update ON contacts;
DROP TRIGGER contacts_search_phones_insert ON contacts;
DROP FUNCTION contact_search_phones_follow();
DROP TABLE contact_search_phones;
DROP FUNCTION cache_tags_contact_search_phones();
DROP TRIGGER contacts_search_update ON contacts;
DROP TRIGGER contacts_search_insert ON contacts;
DROP FUNCTION rebuild_contact_search(uuid);
DROP TABLE contact_search_misspellings, contact_search_vocabulary, contact_search_words;
DROP FUNCTION contact_search_follow();
DROP FUNCTION contact_search_row(uuid, uuid, text, text, text, text, text, text);
DROP TABLE contact_search;
DROP FUNCTION cache_tags_contact_search_vocabulary();
DROP FUNCTION cache_tags_contact_search();
DROP FUNCTION cache_emit_search(uuid, text[]);
DROP FUNCTION cache_search_row_tags(text, text, text, text, text, text);
DROP FUNCTION cache_search_digits_tags(text);
DROP FUNCTION cache_search_near_tags(text);
DROP FUNCTION cache_search_beginning_tag(text);
DROP FUNCTION cache_search_tag(text, text);
DROP FUNCTION contact_search_spread();
DROP FUNCTION contact_search_forget(uuid, text[]);
DROP FUNCTION contact_search_learn(uuid, text[]);
DROP FUNCTION contact_search_lock(uuid);
DROP FUNCTION contact_search_remainders(text);
DROP FUNCTION contact_search_entries(text);
DROP FUNCTION contact_search_line(text, text, text);
DROP FUNCTION contact_search_domain(text);
DROP FUNCTION contact_search_name(text);
DROP FUNCTION contact_search_ninth(text);
DROP FUNCTION contact_search_country(text);
DROP FUNCTION contact_search_words_of(text);
