package sqlmask

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestMask_TakesEveryLiteralOut(t *testing.T) {
	t.Parallel()
	for sql, masked := range map[string]string{
		"SELECT  name\n\tFROM contacts WHERE clinic_id = $1 AND n = 42":      "SELECT name FROM contacts WHERE clinic_id = $1 AND n = …",
		`SELECT 'it''s Maria', E'a\'b', e'\\', B'101', x'ff', N'n', U&'d'`:   "SELECT …, …, …, …, …, …, …",
		`SELECT $$Maria$$, $body$Maria $$ da Silva$body$, $2::text`:          "SELECT …, …, $2::text",
		`SELECT 1.5e-3, 0x1F, -7, t1.c2, "Maria 1" -- Maria`:                 `SELECT …, …, -…, t1.c2, "Maria 1"`,
		"/* Maria */ SELECT 1 /* Maria":                                      "SELECT …",
		"SELECT 'Maria":                                                      "SELECT …",
		"SELECT $$Maria":                                                     "SELECT …",
		"((status = 'ativo'::text) AND (starts_at < $3) AND (ação ~~ 'M%'))": "((status = …::text) AND (starts_at < $3) AND (ação ~~ …))",
		"SELECT col1, e, b FROM x WHERE e='v'":                               "SELECT col1, e, b FROM x WHERE e=…",
		"":                                                                   "",
	} {
		require.Equal(t, masked, Mask(sql), sql)
	}
	require.LessOrEqual(t, len(Mask(strings.Repeat("coluna_é, ", 2000))), longest+20)
}

func FuzzMask(f *testing.F) {
	for _, sql := range []string{"SELECT 'x'", "$a$b$a$", "E'\\''", "1e+", `"`, "/*", "--", "$1$2$", "U&'", "é'"} {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		masked := Mask(sql)
		if strings.Contains(masked, "'") && !strings.Contains(sql, `"`) {
			t.Fatalf("%q: a quote is left in %q", sql, masked)
		}
		if utf8.ValidString(sql) && !utf8.ValidString(masked) {
			t.Fatalf("%q: %q is not UTF-8", sql, masked)
		}
	})
}
