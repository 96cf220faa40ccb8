-- What a change of contact_search announces, finer: a number is looked for by
-- digits alone, so a search for a name need not be made anew when somebody gets
-- another telephone number. 'contact/search' stands for the names and addresses
-- that searches go by, 'contact/search/number' for the numbers.

-- +goose Up
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

-- +goose Down
DROP TRIGGER cache_tags_insert ON contact_search;
DROP TRIGGER cache_tags_update ON contact_search;
DROP TRIGGER cache_tags_delete ON contact_search;
DROP TRIGGER cache_tags_truncate ON contact_search;
DROP FUNCTION cache_tags_contact_search();
SELECT cache_announce('contact_search',
  $$ARRAY['contact/search']$$, $$'{}'::text[]$$, '{archived}', 'clinic_id', 'contact_id');
