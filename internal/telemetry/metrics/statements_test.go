package metrics

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func TestFamily_IsVerbAndTables(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"SELECT id, name FROM contacts WHERE clinic_id = $1 AND id = ANY($2)":                                                        "select contacts",
		"SELECT child.* FROM unnest($2::uuid[]) AS parent(id) CROSS JOIN LATERAL (SELECT id FROM appointments WHERE x = 1) AS child": "select appointments",
		"SELECT c.time_zone FROM clinics c LEFT JOIN services s ON s.id = $2":                                                        "select clinics, services",
		`INSERT INTO "contacts" ("clinic_id","name") VALUES ($1,$2) RETURNING *`:                                                     "insert contacts",
		"INSERT INTO memberships (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET role = 'x'":                                           "insert memberships",
		`UPDATE "contacts" SET "name"=$1 WHERE id = $2`:                                                                              "update contacts",
		"SELECT id FROM appointments WHERE id = $1 FOR NO KEY UPDATE":                                                                "select appointments",
		"SELECT m.rank FROM search_contacts($1, $2) m JOIN contacts c ON c.id = m.id":                                                "select search_contacts, contacts",
		"WITH gone AS (DELETE FROM slot_holds WHERE expires < now() RETURNING 1) SELECT 1 FROM gone":                                 "delete slot_holds",
		"WITH base AS MATERIALIZED (SELECT id FROM appointments) SELECT base.*, j0.* FROM base LEFT JOIN (SELECT id FROM contacts WHERE id = ANY(ARRAY(SELECT contact_id FROM base))) AS j0 ON j0.id = base.contact_id": "select appointments, contacts",
		"SELECT set_config('app.clinic', $1, false)": "set",
		"begin": "begin",
		"":      "other",
	} {
		require.Equal(t, want, familyOf(scan(sql)), sql)
	}
}

func TestShape_HasNeitherValuesNorColumns(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"SELECT id, coalesce(name, 'Maria''s') FROM contacts\n WHERE name = 'Maria Silva' AND age > 42 LIMIT 11":    "SELECT … FROM contacts WHERE name = ? AND age > ? LIMIT ?",
		"SELECT one.* FROM unnest($2::uuid[]) AS c(id) CROSS JOIN LATERAL (SELECT a, b FROM t WHERE c = $1) AS one": "SELECT … FROM unnest(?::uuid[]) AS c(id) CROSS JOIN LATERAL (SELECT … FROM t WHERE c = ?) AS one",
		`INSERT INTO "contacts" ("name") VALUES ($1) RETURNING "id","name"`:                                         "INSERT INTO contacts(name) VALUES (?) RETURNING …",
		"SELECT (SELECT a FROM b) AS x FROM c -- 'Maria'":                                                           "SELECT … FROM c",
		"SELECT set_config('app.clinic', $1, false)":                                                                "SELECT set_config(?, ?, false)",
	} {
		require.Equal(t, want, shapeOf(scan(sql)), sql)
	}
}

func TestStatements_AreBounded(t *testing.T) {
	t.Parallel()
	all := NewStatements(NewCatalog(prometheus.NewRegistry()))
	for i := range 3 * maxTexts {
		found := all.Of(fmt.Sprintf("SELECT c%d FROM table_%d", i, i))
		require.NotNil(t, found.family)
	}
	require.Equal(t, maxTexts, all.kept)
	require.Len(t, all.families, MaxFamilies+1)
	require.Equal(t, "other", all.Of("SELECT 1 FROM one_more").Family())
	require.True(t, all.Of("select set_config('app.clinic', $1, false)").own)
	require.False(t, all.Of("SELECT set FROM contacts").own)
}

func FuzzShape(f *testing.F) {
	f.Add("SELECT 'a FROM b")
	f.Add("((( ) )) select $")
	f.Fuzz(func(t *testing.T, sql string) {
		words := scan(sql)
		require.LessOrEqual(t, len(shapeOf(words)), maxShape+300+len("…")+len(sql))
		require.NotEmpty(t, familyOf(words))
	})
}
