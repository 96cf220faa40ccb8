-- Contacts that may be the same person: the same phone or date of birth, and a like
-- name. The CPF is unique in a clinic, so that no two contacts can have the same.

-- +goose Up
CREATE INDEX idx_contacts_clinic_birth_date ON contacts (clinic_id, birth_date, id) WHERE birth_date IS NOT NULL;

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
DROP INDEX idx_contacts_clinic_birth_date;
