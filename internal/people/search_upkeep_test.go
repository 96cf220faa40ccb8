package people_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/models"
)

// app is a connection as the application's role, at work for the clinic.
func (d *desk) app(t *testing.T) *pgx.Conn {
	t.Helper()
	conn := d.database.Connect(t, d.database.AppURL)
	_, err := conn.Exec(t.Context(), "SELECT set_config('app.clinic', $1, false)", d.clinic.ID.String())
	require.NoError(t, err)
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql, args...)
	require.NoError(t, err, sql)
}

func TestSearch_FollowsEveryChange(t *testing.T) {
	t.Parallel()
	d := newDesk(t, person{name: "Zacarias Prado"})
	id := d.add(t, person{name: "Yolanda Xerxes", email: "yolanda@uol.com.br", phone: "+5511987654321", taxID: "52998224725"})[0]
	ctx := d.clinic.As(t.Context(), models.RoleReceptionist)
	set := func(assignment string, args ...any) {
		require.NoError(t, d.database.DB.InTenant(ctx, func(tx *gorm.DB) error {
			return tx.Exec("UPDATE contacts SET "+assignment+" WHERE clinic_id = ? AND id = ?", append(args, d.clinic.ID, id)...).Error
		}))
	}
	require.Equal(t, []string{"Yolanda Xerxes"}, d.search(t, "xerxes"))

	set("name = ?", "Wanda Kubitschek")
	assert.Empty(t, d.search(t, "xerxes"))
	assert.Empty(t, d.search(t, "xerxse"), "a name that is gone is no longer offered for a typo")
	assert.Equal(t, []string{"Wanda Kubitschek"}, d.search(t, "wadna kubitshcek"))
	set("email = ?, phone = ?, tax_id = ?, preferred_name = ?", "wk@bol.com.br", "+5521912345678", "11144477735", "Dinda")
	for _, gone := range []string{"yolanda@uol", "@uol.com.br", "987654321", "529982"} {
		assert.Empty(t, d.search(t, gone), gone)
	}
	for _, now := range []string{"wk@bol.com.br", "@bol.com.br", "912345678", "111.444.777-35", "dinda", "dindo"} {
		assert.Equal(t, []string{"Wanda Kubitschek"}, d.search(t, now), now)
	}
	set("email = NULL, phone = NULL, tax_id = NULL, preferred_name = NULL, status = 'arquivado'")
	assert.Equal(t, []string{"Wanda Kubitschek"}, d.search(t, "kubitschek"))
	assert.Empty(t, d.search(t, "dinda"))
	assert.Equal(t, 1, d.database.Count(t, "SELECT count(*) FROM contact_search WHERE clinic_id = $1 AND contact_id = $2 AND archived", d.clinic.ID, id))

	d.database.Exec(t, "DELETE FROM contacts WHERE clinic_id = $1 AND id = $2", d.clinic.ID, id)
	assert.Empty(t, d.search(t, "kubitschek"))
	for _, table := range searchTables() {
		assert.Zero(t, d.database.Count(t, "SELECT count(*) FROM "+table+" AS s WHERE clinic_id = $1 AND s::text ILIKE '%kubit%'", d.clinic.ID),
			"%s keeps an erased contact's name", table)
	}
	assert.Equal(t, []string{"Zacarias Prado"}, d.search(t, "zacarias"))
}

func searchTables() []string {
	return []string{"contact_search", "contact_search_words", "contact_search_vocabulary", "contact_search_misspellings", "contact_search_phones", "contact_tags"}
}

// contents is all that the search knows of a clinic.
func (d *desk) contents(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	conn := d.database.Connect(t, d.database.SuperuserURL)
	for _, table := range searchTables() {
		rows, err := conn.Query(t.Context(), "SELECT s::text FROM "+table+" AS s WHERE clinic_id = $1 ORDER BY 1", d.clinic.ID)
		require.NoError(t, err)
		all[table], err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
	}
	return all
}

// Whatever was done, what the triggers kept is what a rebuild makes.
func TestSearch_TriggersAndRebuildAgree(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	other := openDesk(t, d.database, "c")
	other.add(t, person{name: "Outra Clínica", email: "x@y.com"})
	before := other.contents(t)
	names := newNames(5)
	random := rand.New(rand.NewPCG(1, 2))
	conn := d.database.Connect(t, d.database.SuperuserURL)
	ids := d.add(t, names.person(), names.person())
	for range 60 {
		c := names.person()
		id := ids[random.IntN(len(ids))]
		switch random.IntN(5) {
		case 0:
			ids = append(ids, d.add(t, c, names.person())...)
		case 1:
			exec(t, conn, "UPDATE contacts SET name = $1, email = nullif($2, ''), phone = nullif($3, ''), other_phones = array_remove(ARRAY[nullif($6, ''), nullif($7, '')], NULL) WHERE clinic_id = $4 AND id = $5",
				c.name, c.email, c.phone, d.clinic.ID, id, names.person().phone, names.person().phone)
		case 2:
			// Many rows at once, half of them unchanged.
			exec(t, conn, "UPDATE contacts SET status = 'arquivado', notes = 'x' WHERE clinic_id = $1", d.clinic.ID)
			exec(t, conn, "UPDATE contacts SET status = 'ativo' WHERE clinic_id = $1 AND get_byte(uuid_send(id), 15) % 2 = 0", d.clinic.ID)
		case 3:
			exec(t, conn, "DELETE FROM contacts WHERE clinic_id = $1 AND id = $2", d.clinic.ID, id)
		case 4:
			exec(t, conn, `INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, $3)
				ON CONFLICT (clinic_id, id) DO UPDATE SET name = excluded.name`, d.clinic.ID, id, c.name)
		}
	}
	kept := d.contents(t)
	require.NotEmpty(t, kept["contact_search_misspellings"])
	require.NotEmpty(t, kept["contact_search_phones"])
	exec(t, conn, "SELECT rebuild_contact_search($1)", d.clinic.ID)
	assert.Equal(t, d.contents(t), kept)
	assert.Equal(t, before, other.contents(t), "another clinic's is not touched")
	assert.Len(t, kept["contact_search"], d.database.Count(t, "SELECT count(*) FROM contacts WHERE clinic_id = $1", d.clinic.ID))
}

func TestSearch_StandsBackForABulkLoad(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	conn := d.app(t)
	exec(t, conn, "BEGIN")
	exec(t, conn, "SET LOCAL app.contact_search = 'deferred'")
	exec(t, conn, "INSERT INTO contacts (clinic_id, id, name) SELECT $1, gen_random_uuid(), 'Paciente ' || i FROM generate_series(1, 500) i", d.clinic.ID)
	var found int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM search_contacts('paciente', 1000)").Scan(&found))
	assert.Zero(t, found, "nothing was indexed yet")
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT rebuild_contact_search($1)", d.clinic.ID).Scan(&found))
	assert.Equal(t, 500, found)
	exec(t, conn, "COMMIT")
	assert.Equal(t, []string{"Paciente 17", "Paciente 170"}, d.search(t, "paciente 17")[:2])
	exec(t, conn, "INSERT INTO contacts (clinic_id, id, name) VALUES ($1, gen_random_uuid(), 'Depois')", d.clinic.ID)
	assert.Equal(t, []string{"Depois"}, d.search(t, "depois"), "the setting ended with its transaction")
}

// Two sessions at once: the last bearer of a surname goes while another comes.
func TestSearch_ForgetsNoWordThatSomeoneElseIsLearning(t *testing.T) {
	t.Parallel()
	for _, finish := range []string{"COMMIT", "ROLLBACK"} {
		d := newDesk(t)
		only := d.add(t, person{name: "Ana Quaresma"}, person{name: "Rui Souza"})[0]
		leaving, coming := d.app(t), d.app(t)

		exec(t, coming, "BEGIN")
		exec(t, coming, "INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, 'Rui Quaresma')", d.clinic.ID, uuid.New())
		// Neither brings a new word, so neither waits for the other.
		exec(t, leaving, "SET lock_timeout = '5s'")
		exec(t, leaving, "UPDATE contacts SET name = 'Ana Souza' WHERE clinic_id = $1 AND id = $2", d.clinic.ID, only)
		exec(t, coming, finish)
		if finish == "COMMIT" {
			assert.Equal(t, []string{"Rui Quaresma"}, d.search(t, "quarsema"), "misspelt words are found through the vocabulary")
		}

		// The other way round: it is being forgotten when the other wants it.
		d = newDesk(t)
		only = d.add(t, person{name: "Ana Quaresma"}, person{name: "Rui Souza"})[0]
		leaving, coming = d.app(t), d.app(t)
		exec(t, leaving, "BEGIN")
		exec(t, leaving, "UPDATE contacts SET name = 'Ana Souza' WHERE clinic_id = $1 AND id = $2", d.clinic.ID, only)
		done := make(chan error, 1)
		go func() {
			_, err := coming.Exec(t.Context(), "INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, 'Rui Quaresma')", d.clinic.ID, uuid.New())
			done <- err
		}()
		require.Eventually(t, func() bool {
			return d.database.Count(t, "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = $1", int64(coming.PgConn().PID())) > 0
		}, 20*time.Second, 5*time.Millisecond, "the newcomer waits until the word's fate is known")
		exec(t, leaving, finish)
		require.NoError(t, <-done)
		assert.Contains(t, d.search(t, "quarsema"), "Rui Quaresma", finish)
	}
}

// What the test above relies on: without the hold the word would be lost.
func TestSearch_WouldLoseTheWordWithoutTheHold(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var definition string
	superuser := d.database.Connect(t, d.database.SuperuserURL)
	require.NoError(t, superuser.QueryRow(t.Context(), "SELECT pg_get_functiondef('contact_search_learn'::regproc)").Scan(&definition))
	require.Contains(t, definition, "FOR KEY SHARE")
	exec(t, superuser, strings.Replace(definition, "FOR KEY SHARE", "", 1))

	only := d.add(t, person{name: "Ana Quaresma"}, person{name: "Rui Souza"})[0]
	leaving, coming := d.app(t), d.app(t)
	exec(t, coming, "BEGIN")
	exec(t, coming, "INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, 'Rui Quaresma')", d.clinic.ID, uuid.New())
	exec(t, leaving, "UPDATE contacts SET name = 'Ana Souza' WHERE clinic_id = $1 AND id = $2", d.clinic.ID, only)
	exec(t, coming, "COMMIT")
	assert.Empty(t, d.search(t, "quarsema"))
}

func TestSearch_SurvivesAStormOfRenames(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var ids []uuid.UUID
	for i := range 8 {
		ids = append(ids, d.add(t, person{name: fmt.Sprint("Pessoa ", i)})...)
	}
	failures := make(chan error, len(ids))
	for i, id := range ids {
		conn := d.app(t)
		go func() {
			random := rand.New(rand.NewPCG(uint64(i), 9))
			var failed error
			for range 60 {
				// Few names, so that all the time somebody is a name's first or last.
				name := fmt.Sprintf("Nome%c Raro%c", 'a'+rune(random.IntN(4)), 'a'+rune(random.IntN(4)))
				if _, err := conn.Exec(t.Context(), "UPDATE contacts SET name = $1 WHERE clinic_id = $2 AND id = $3", name, d.clinic.ID, id); err != nil {
					failed = err
					break
				}
			}
			failures <- failed
		}()
	}
	for range ids {
		require.NoError(t, <-failures)
	}
	kept := d.contents(t)
	d.database.Exec(t, "SELECT rebuild_contact_search($1)", d.clinic.ID)
	rebuilt := d.contents(t)
	assert.Equal(t, rebuilt["contact_search"], kept["contact_search"])
	assert.Equal(t, rebuilt["contact_search_words"], kept["contact_search_words"])
	assert.Subset(t, kept["contact_search_vocabulary"], rebuilt["contact_search_vocabulary"], "no word in use was forgotten")
	assert.Subset(t, kept["contact_search_misspellings"], rebuilt["contact_search_misspellings"])
}
