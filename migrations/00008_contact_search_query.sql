-- The search itself, over the tables of 00003_contact_search.sql. Functions, so
-- that a search is one statement with as few steps as it needs; none of them is
-- SECURITY DEFINER, and all run under the caller's row-level security. Their
-- settings keep the planner to the indexes, whatever its statistics say.

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
-- address. weak: a particle at the end of the text, which is only checked.
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
      n := n + 1;
      words[n] := contact_search_domain(substr(piece, 2)); numbers[n] := ''; addresses[n] := '';
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
    weak := weak AND kept > 0;
    kept := kept + 1;
    word := words[i] COLLATE "C"; digits := numbers[i]; address := addresses[i];
    RETURN NEXT;
  END LOOP;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The contacts whose phone, CPF or e-mail a term begins, at most so many.
-- exactly: all of it.
CREATE FUNCTION contact_search_identified(clinic uuid, digits text, address text, most integer)
RETURNS TABLE (contact_id uuid, exactly boolean)
LANGUAGE plpgsql STABLE ROWS 10
SET plan_cache_mode = force_generic_plan SET max_parallel_workers_per_gather = 0
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
  phone text := ltrim(digits, '0');
  tail text := reverse(ltrim(digits, '0'));
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
     ORDER BY s.phone_national LIMIT most)) found
  GROUP BY found.contact_id
  LIMIT most;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Contacts that a single term finds, in rank order after a place.
CREATE FUNCTION contact_search_single(
  clinic uuid, term text, digits text, address text, wanted integer,
  after_rank integer, after_line text, after_id uuid)
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
        FROM contact_search_identified(clinic, digits, address, 2000) i
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
  after_rank integer DEFAULT -1, after_name text DEFAULT '', after_id uuid DEFAULT '00000000-0000-0000-0000-000000000000')
RETURNS TABLE (contact_id uuid, rank integer, name text)
LANGUAGE plpgsql STABLE ROWS 20
SET plan_cache_mode = force_generic_plan SET max_parallel_workers_per_gather = 0
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  -- A list longer than a step is counted further only if all are.
  steps CONSTANT integer[] := '{500,3000}';
  -- How many of the words' contacts are looked at for matches in part.
  partial_bound CONSTANT integer := 1000;
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
    RETURN QUERY SELECT * FROM contact_search_single(clinic, words[1], numbers[1], addresses[1], wanted, after_rank, after_name, after_id);
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
      ids := ARRAY(SELECT h.contact_id FROM contact_search_identified(clinic, numbers[i], addresses[i], most_identified) h);
      counts[i] := cardinality(ids);
      hit_ids := hit_ids || ids;
      hit_terms := hit_terms || array_fill(i, ARRAY[cardinality(ids)]);
    END IF;
    exact[i] := '% ' || nullif(words[i], '') || ' %';
    prefix[i] := '% ' || nullif(words[i], '') || '%';
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

-- +goose Down
DROP FUNCTION search_contacts(text, integer, integer, text, uuid);
DROP FUNCTION contact_search_cost(text, text, text, text[], integer, boolean);
DROP FUNCTION contact_search_single(uuid, text, text, text, integer, integer, text, uuid);
DROP FUNCTION contact_search_identified(uuid, text, text, integer);
DROP FUNCTION contact_search_terms(text);
DROP FUNCTION contact_search_similar(uuid, text);
DROP FUNCTION contact_search_edits(text, text);
DROP EXTENSION fuzzystrmatch;
