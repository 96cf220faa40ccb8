-- The search for a text of any number of terms: one function, so that it is one
-- statement with as few steps as it needs.

-- +goose Up
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

-- +goose Down
DROP FUNCTION search_contacts(text, integer, integer, text, uuid, boolean);
DROP FUNCTION contact_search_cost(text, text, text, text[], integer, boolean);
