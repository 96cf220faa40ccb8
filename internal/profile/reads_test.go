package profile

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReads_LetsNothingThroughThatWrites(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]bool{
		"SELECT name FROM contacts WHERE id = $1":                                true,
		"with x as (select …) select * from x":                                   true,
		"SELECT id FROM contacts FOR UPDATE":                                     true,
		"SELECT id FROM practitioners FOR NO KEY UPDATE":                         true,
		"WITH gone AS (DELETE FROM contacts RETURNING id) SELECT * FROM gone":    false,
		"WITH new AS (INSERT INTO contacts VALUES ($1)) SELECT …":                false,
		"WITH new AS (UPDATE contacts SET name = $1 RETURNING id) SELECT … ":     false,
		"SELECT * INTO copy FROM contacts":                                       false,
		"INSERT INTO contacts (id) VALUES ($1)":                                  false,
		"UPDATE contacts SET updated_at = now()":                                 false,
		"begin":                                                                  false,
		"":                                                                       false,
		"SELECT updated_at, deleted, insertion FROM contacts ORDER BY merged_at": true,
	} {
		require.Equal(t, want, reads(sql), sql)
	}
}
