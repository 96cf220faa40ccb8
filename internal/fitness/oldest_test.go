package fitness_test

import (
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/migrations"
)

// takesAway finds what an older binary's statements would miss.
var takesAway = regexp.MustCompile(`(?i)\b(DROP\s+(TABLE|COLUMN|FUNCTION|VIEW|TYPE)|RENAME\s|REVOKE\s|SET\s+NOT\s+NULL|ALTER\s+(COLUMN\s+)?\w+\s+(SET\s+DATA\s+)?TYPE\b|ADD\s+(COLUMN\s+)?(IF NOT EXISTS\s+)?\w+\s+[^,;]*NOT\s+NULL[^,;]*)`)

// oldestBinary is how a migration says which binaries the schema serves from then on.
var oldestBinary = regexp.MustCompile(`COMMENT ON TABLE goose_db_version IS 'oldest binary: (\d+)'`)

// silentlyTakesAway tells whether a migration takes something away without saying which
// binaries the schema serves from then on.
func silentlyTakesAway(text string) bool {
	_, up, _ := strings.Cut(text, "-- +goose Up")
	up, _, _ = strings.Cut(up, "-- +goose Down")
	if oldestBinary.MatchString(up) {
		return false
	}
	for _, found := range takesAway.FindAllString(up, -1) {
		upper := strings.ToUpper(found)
		if !strings.HasPrefix(upper, "ADD") || !strings.Contains(upper, "DEFAULT") && !strings.Contains(upper, "GENERATED") && !strings.HasPrefix(upper, "ADD CONSTRAINT") {
			return true
		}
	}
	return false
}

// A binary is rolled back without its migrations, and then serves a newer schema
// than its own: one that only adds, or that refuses it.
func TestMigrations_ThatTakeAwaySayWhichBinariesTheyServe(t *testing.T) {
	t.Parallel()
	const since = "00020_webhooks.sql"
	names, err := fs.Glob(migrations.Files, "*.sql")
	require.NoError(t, err)
	require.Contains(t, strings.Join(names, " "), since)
	for _, name := range names {
		text, err := fs.ReadFile(migrations.Files, name)
		require.NoError(t, err)
		if name > since {
			require.False(t, silentlyTakesAway(string(text)), "%s takes something away: raise the oldest binary, COMMENT ON TABLE goose_db_version IS 'oldest binary: …'", name)
		}
	}

	// What it looks for it finds.
	for planted, wanted := range map[string]bool{
		"ALTER TABLE contacts DROP COLUMN notes;": true, "DROP TABLE consents;": true, "ALTER TABLE contacts RENAME notes TO remarks;": true,
		"ALTER TABLE contacts ALTER notes SET NOT NULL;": true, "ALTER TABLE contacts ALTER COLUMN notes TYPE bytea;": true,
		"ALTER TABLE contacts ADD COLUMN shoe integer NOT NULL;": true, "ALTER TABLE contacts ADD shoe integer NOT NULL;": true,
		"ALTER TABLE contacts ADD COLUMN shoe integer NOT NULL DEFAULT 0;": false, "ALTER TABLE contacts ADD shoe integer;": false,
		"CREATE TABLE news (id uuid NOT NULL);": false, "CREATE OR REPLACE FUNCTION a() RETURNS void LANGUAGE sql AS '';": false,
		"DROP TABLE consents; COMMENT ON TABLE goose_db_version IS 'oldest binary: 17';": false,
	} {
		require.Equal(t, wanted, silentlyTakesAway("-- +goose Up\n"+planted+"\n-- +goose Down\nDROP TABLE news;"), planted)
	}
}

// Binaries compare numbers: one that no migration has stands for no binary.
func TestMigrations_AreNumberedWithoutAGapAndTheOldestBinaryIsOneOfThem(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(migrations.Files, "*.sql")
	require.NoError(t, err)
	versions := migrations.Versions()
	said := 0
	for i, name := range names {
		require.Equal(t, int64(i+1), versions[i], "%s leaves a gap", name)
		text, err := fs.ReadFile(migrations.Files, name)
		require.NoError(t, err)
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		for _, oldest := range oldestBinary.FindAllStringSubmatch(up, -1) {
			number, err := strconv.ParseInt(oldest[1], 10, 64)
			require.NoError(t, err)
			require.Contains(t, versions, number, "%s names an oldest binary that there is not", name)
			said++
		}
	}
	require.Positive(t, said, "no migration names the oldest binary")
}
