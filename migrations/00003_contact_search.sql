-- What finds a contact by name, e-mail, phone or CPF. Under row-level security
-- only leakproof comparisons reach an index, and LIKE, %, @@ and the trigram
-- operators are not; so the tables here are keyed by words and numbers that
-- plain comparisons of text in collation C find. Why it is made this way, and
-- what it costs: docs/decisions/contact-search.md.

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
  PERFORM set_config('app.contact_search', before, true);
  RETURN added;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER contacts_search_update ON contacts;
DROP TRIGGER contacts_search_insert ON contacts;
DROP FUNCTION rebuild_contact_search(uuid);
DROP TABLE contact_search_misspellings, contact_search_vocabulary, contact_search_words;
DROP FUNCTION contact_search_follow();
DROP FUNCTION contact_search_row(uuid, uuid, text, text, text, text, text, text);
DROP TABLE contact_search;
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
