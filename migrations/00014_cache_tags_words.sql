-- What a change of contact_search announces, finer still: a new contact need not
-- empty every kept search of its clinic. A search looks for words by their
-- beginning, so it depends on the beginnings of its words, and a write has the
-- beginnings of the words of its rows. Both sides take what contact_search_words_of
-- and its like have made of a text, and cut it by the functions below.
--
-- What there is of these tags, and who depends on them:
--   contact/search/word=N    rows with a word or an e-mail that begins so
--   contact/search/number=N  rows with a CPF or a telephone number that begins or ends so
--   contact/search/near=N    the clinic's distinct words that may be taken for a misspelt one
--   contact/search/any       every search: too much changed to say it finer
--   contact/search, contact/search/number
--                            every search, and every one for numbers, of servers from
--                            before this migration, which may still run beside it
-- N is 13 or 10 bits of a hash: tags are kept outside of Postgres, where no part of a
-- patient's name belongs, and a clinic has only so many of them. That two beginnings
-- share one costs a search that is made anew for nothing.

-- +goose Up
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
CREATE FUNCTION cache_emit_search(clinic uuid, fine text[], older text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  IF cardinality(fine) > 80 OR octet_length(current_setting('app.cache_tags', true)) > 3000
    OR nullif(current_setting('app.cache_notified', true), '')::integer > 100
  THEN
    fine := '{contact/search/any}';
  END IF;
  PERFORM cache_emit(clinic, fine || older);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION cache_tags_contact_search() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- Whoever defers the search's upkeep (rebuild_contact_search does) also changes
  -- what follows from these rows, at another time.
  IF TG_OP = 'INSERT' THEN
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 51) few) > 50 OR current_setting('app.contact_search', true) = 'deferred' THEN
      PERFORM cache_emit(c.clinic_id, '{*}') FROM (SELECT DISTINCT n.clinic_id FROM new_rows n) c;
    ELSE
      PERFORM cache_emit_search(c.clinic_id, array_agg(DISTINCT c.tag), '{contact/search,contact/search/number}') FROM (
        SELECT n.clinic_id, unnest(cache_search_row_tags(n.line, n.email, n.tax_id, n.phone_tail, n.phone_national, n.phone_local)) AS tag
        FROM new_rows n) c
      GROUP BY c.clinic_id;
    END IF;
  ELSIF TG_OP = 'DELETE' THEN
    IF (SELECT count(*) FROM (SELECT FROM old_rows LIMIT 51) few) > 50 OR current_setting('app.contact_search', true) = 'deferred' THEN
      PERFORM cache_emit(c.clinic_id, '{*}') FROM (SELECT DISTINCT o.clinic_id FROM old_rows o) c;
    ELSE
      PERFORM cache_emit_search(c.clinic_id, array_agg(DISTINCT c.tag), '{contact/search,contact/search/number}') FROM (
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
    PERFORM cache_emit_search(c.clinic, array_agg(DISTINCT c.tag),
      CASE WHEN bool_or(c.renamed) THEN '{contact/search}'::text[] ELSE '{}' END
      || CASE WHEN bool_or(c.renumbered) THEN '{contact/search/number}'::text[] ELSE '{}' END)
    FROM (
      SELECT r.clinic, r.renamed, r.renumbered, unnest(
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
        PERFORM cache_emit_search(clinics[i], tags, '{}');
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

-- +goose Down
DROP TRIGGER cache_tags_truncate ON contact_search_vocabulary;
DROP TRIGGER cache_tags_delete ON contact_search_vocabulary;
DROP TRIGGER cache_tags_update ON contact_search_vocabulary;
DROP TRIGGER cache_tags_insert ON contact_search_vocabulary;
DROP FUNCTION cache_tags_contact_search_vocabulary();
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION cache_tags_contact_search() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 51) few) > 50 THEN
      PERFORM cache_emit(c.clinic_id, '{*}') FROM (SELECT DISTINCT n.clinic_id FROM new_rows n) c;
    ELSE
      PERFORM cache_emit(c.clinic_id, '{contact/search,contact/search/number}') FROM (SELECT DISTINCT n.clinic_id FROM new_rows n) c;
    END IF;
  ELSIF TG_OP = 'DELETE' THEN
    IF (SELECT count(*) FROM (SELECT FROM old_rows LIMIT 51) few) > 50 THEN
      PERFORM cache_emit(c.clinic_id, '{*}') FROM (SELECT DISTINCT o.clinic_id FROM old_rows o) c;
    ELSE
      PERFORM cache_emit(c.clinic_id, '{contact/search,contact/search/number}') FROM (SELECT DISTINCT o.clinic_id FROM old_rows o) c;
    END IF;
  ELSIF (SELECT count(*) FROM (SELECT FROM new_rows LIMIT 51) few) > 50 THEN
    PERFORM cache_emit(c.clinic_id, '{*}') FROM (SELECT n.clinic_id FROM new_rows n UNION SELECT o.clinic_id FROM old_rows o) c;
  ELSE
    -- A row whose key changed has no partner, and so differs in everything.
    PERFORM cache_emit(c.clinic, array_agg(DISTINCT c.tag)) FROM (
      SELECT coalesce(n.clinic_id, o.clinic_id) AS clinic, unnest(
          CASE WHEN n.archived IS DISTINCT FROM o.archived OR n.line IS DISTINCT FROM o.line OR n.email IS DISTINCT FROM o.email
               THEN '{contact/search}'::text[] ELSE '{}' END
          || CASE WHEN n.archived IS DISTINCT FROM o.archived OR n.tax_id IS DISTINCT FROM o.tax_id
                    OR n.phone_tail IS DISTINCT FROM o.phone_tail OR n.phone_national IS DISTINCT FROM o.phone_national
                    OR n.phone_local IS DISTINCT FROM o.phone_local
                  THEN '{contact/search/number}'::text[] ELSE '{}' END) AS tag
      FROM old_rows o FULL JOIN new_rows n ON n.clinic_id = o.clinic_id AND n.contact_id = o.contact_id) AS c
    GROUP BY c.clinic;
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
DROP FUNCTION cache_emit_search(uuid, text[], text[]);
DROP FUNCTION cache_search_depends(text, boolean);
DROP FUNCTION cache_search_row_tags(text, text, text, text, text, text);
DROP FUNCTION cache_search_digits_tags(text);
DROP FUNCTION cache_search_near_tags(text);
DROP FUNCTION cache_search_beginning_tag(text);
DROP FUNCTION cache_search_tag(text, text);
