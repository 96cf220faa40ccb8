-- What a search is put together from, over the tables of
-- 00003_contact_search.sql: the terms of a text, similar words, identifiers, and
-- the search for a single term. None of the functions is SECURITY DEFINER: all
-- run under the caller's row-level security. Their settings keep the planner to
-- the indexes, whatever its statistics say.

-- +goose Up
CREATE EXTENSION IF NOT EXISTS fuzzystrmatch;

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
     ORDER BY s.phone_national LIMIT most)) found
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

-- +goose Down
DROP FUNCTION contact_search_single(uuid, text, text, text, integer, integer, text, uuid, boolean);
DROP FUNCTION contact_search_identified(uuid, text, text, integer, boolean);
DROP FUNCTION contact_search_terms(text);
DROP FUNCTION contact_search_similar(uuid, text);
DROP FUNCTION contact_search_edits(text, text);
DROP EXTENSION fuzzystrmatch;
