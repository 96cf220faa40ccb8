package seed_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func today() time.Time { return time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC) }

// few is enough of everything, and fast.
func few() seed.Options {
	return seed.Options{Clinics: 3, Contacts: 120, Practitioners: 4, Appointments: 300, Records: 150, Seed: 7, Today: today()}
}

func TestRun_TheSameNumbersMakeTheSameRows(t *testing.T) {
	t.Parallel()
	fingerprint := func(o seed.Options) (string, int) {
		d := testkit.NewDatabase(t)
		result, err := seed.Run(t.Context(), d.OwnerURL, o, nil)
		require.NoError(t, err)
		var all []string
		conn := d.Connect(t, d.SuperuserURL)
		for table, rows := range result.Tables {
			var digest string
			var count int
			require.NoError(t, conn.QueryRow(t.Context(), fmt.Sprintf(
				`SELECT count(*), coalesce(md5(string_agg(r, E'\n' ORDER BY r)), '') FROM (SELECT t::text COLLATE "C" AS r FROM %s t) rows`, table)).Scan(&count, &digest))
			require.Equal(t, rows, count, table)
			all = append(all, table+" "+digest)
		}
		slices.Sort(all)
		return strings.Join(all, "\n") + "\n", result.Rows
	}
	first, rows := fingerprint(few())
	again, sameRows := fingerprint(few())
	require.Equal(t, first, again)
	require.Equal(t, rows, sameRows)
	require.Equal(t, 30, strings.Count(first, "\n"), "tables")

	other := few()
	other.Seed++
	different, _ := fingerprint(other)
	for i, line := range strings.Split(different, "\n") {
		if line != "" {
			require.NotEqual(t, strings.Split(first, "\n")[i], line)
		}
	}
}

func TestRun_MoreRecordsDoNotChangeTheContacts(t *testing.T) {
	t.Parallel()
	contacts := func(records int) string {
		d := testkit.NewDatabase(t)
		o := few()
		o.Records = records
		_, err := seed.Run(t.Context(), d.OwnerURL, o, nil)
		require.NoError(t, err)
		var digest string
		require.NoError(t, d.Connect(t, d.SuperuserURL).QueryRow(t.Context(), `SELECT md5(string_agg(c::text, '' ORDER BY id)) FROM contacts c`).Scan(&digest))
		return digest
	}
	require.Equal(t, contacts(0), contacts(400))
}

// schemaSQL is all that a bulk load takes off and must put back.
const schemaSQL = `
	SELECT string_agg(line, E'\n' ORDER BY line) FROM (
		SELECT format('%s rls %s %s', oid::regclass, relrowsecurity, relforcerowsecurity) AS line FROM pg_class WHERE relnamespace = 'public'::regnamespace
		UNION ALL SELECT format('%s %s %s %s', conrelid::regclass, conname, convalidated, pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
		UNION ALL SELECT format('%s %s', indisvalid, pg_get_indexdef(indexrelid)) FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relnamespace = 'public'::regnamespace
		UNION ALL SELECT format('%s %s', tgenabled, pg_get_triggerdef(oid)) FROM pg_trigger WHERE NOT tgisinternal
		UNION ALL SELECT format('%s %s', tgrelid::regclass, tgenabled) FROM pg_trigger WHERE tgisinternal
	) lines`

func schema(t *testing.T, d *testkit.Database) string {
	t.Helper()
	var lines string
	require.NoError(t, d.Connect(t, d.SuperuserURL).QueryRow(t.Context(), schemaSQL).Scan(&lines))
	return lines
}

func TestRun_LeavesTheSchemaAsItWas(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	before := schema(t, d)
	require.Contains(t, before, "appointments_no_double_booking")
	// Enough for the indexes to be built anew, then few for them to stay.
	many := seed.Options{Clinics: 1, Contacts: 2500, Practitioners: 8, Appointments: 2500, Records: 2500, Today: today()}
	_, err := seed.Run(t.Context(), d.OwnerURL, many, nil)
	require.NoError(t, err)
	require.Equal(t, before, schema(t, d))
	next := few()
	next.Clinics, next.Slugs = 1, []string{"clinica-outra"}
	_, err = seed.Run(t.Context(), d.OwnerURL, next, nil)
	require.NoError(t, err)
	require.Equal(t, before, schema(t, d))
}

// during calls back at the beginning of the stages that begin with a word.
type during struct {
	stage string
	call  func()
}

func (during) Total(int) {}
func (during) Done(int)  {}
func (p during) Stage(name string) {
	if strings.HasPrefix(name, p.stage) {
		p.call()
	}
}

func TestRun_WhatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, stage := range []string{"appointments", "indexes", "protection"} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			d := testkit.NewDatabase(t)
			before := schema(t, d)
			ctx, cancel := context.WithCancel(t.Context())
			o := few()
			o.Contacts = 1000
			_, err := seed.Run(ctx, d.OwnerURL, o, during{stage, cancel})
			require.ErrorIs(t, err, context.Canceled)
			require.Zero(t, d.Count(t, "SELECT (SELECT count(*) FROM clinics) + (SELECT count(*) FROM contacts) + (SELECT count(*) FROM clinic_slugs)"))
			require.Equal(t, before, schema(t, d))
		})
	}
}

func TestRun_NobodySeesATableUnprotected(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "vizinha")
	app, owner := d.Connect(t, d.AppURL), d.Connect(t, d.OwnerURL)
	read := func(conn *pgx.Conn) (count int, err error) {
		_, err = conn.Exec(t.Context(), `SELECT set_config('app.clinic', $1, false), set_config('lock_timeout', '50ms', false)`, clinic.ID.String())
		require.NoError(t, err)
		err = conn.QueryRow(t.Context(), `SELECT count(*) FROM contacts`).Scan(&count)
		return count, err
	}
	looked := 0
	look := func() {
		for _, conn := range []*pgx.Conn{app, owner} {
			_, err := read(conn)
			var refused *pgconn.PgError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, "55P03", refused.Code, "waits for the lock")
			looked++
		}
	}
	_, err := seed.Run(t.Context(), d.OwnerURL, few(), during{"appointments", look})
	require.NoError(t, err)
	require.Equal(t, 2*few().Clinics, looked)
	for _, conn := range []*pgx.Conn{app, owner} {
		count, err := read(conn)
		require.NoError(t, err)
		require.Equal(t, 3, count, "the neighbour's own contacts")
	}
}

func TestRun_RefusesASlugThatIsTaken(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	d.NewClinic(t, "clinica-horizonte")
	_, err := seed.Run(t.Context(), d.OwnerURL, few(), nil)
	require.ErrorIs(t, err, seed.ErrSlugTaken)
	require.EqualError(t, err, "seed: clinic exists already: clinica-horizonte")
	require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM clinics"))

	o := few()
	o.SkipExisting = true
	result, err := seed.Run(t.Context(), d.OwnerURL, o, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"clinica-horizonte"}, result.Skipped)
	require.Len(t, result.Clinics, 2)
	require.Equal(t, "clinica-aurora", result.Clinics[0].Slug)
	require.Equal(t, "clinica-003", result.Clinics[1].Slug)

	result, err = seed.Run(t.Context(), d.OwnerURL, o, nil)
	require.NoError(t, err)
	require.Zero(t, result.Rows)
	require.Len(t, result.Skipped, 3)
}

func TestRun_TwoAtOnceMakeAClinicOnce(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	outcomes := make(chan error)
	for range 3 {
		go func() {
			_, err := seed.Run(t.Context(), d.OwnerURL, few(), nil)
			outcomes <- err
		}()
	}
	made := 0
	for range 3 {
		if err := <-outcomes; err == nil {
			made++
		} else {
			require.ErrorIs(t, err, seed.ErrSlugTaken)
		}
	}
	require.Equal(t, 1, made)
}

func TestRun_RefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*seed.Options){
		"clinics must be between 1":                    func(o *seed.Options) { o.Clinics = 0 },
		"contacts must be between 0":                   func(o *seed.Options) { o.Contacts = -1 },
		"need at least one contact":                    func(o *seed.Options) { o.Contacts = 0 },
		"and one practitioner":                         func(o *seed.Options) { o.Practitioners = 0 },
		"today is missing":                             func(o *seed.Options) { o.Today = time.Time{} },
		"two clinics would be called clinica-aurora":   func(o *seed.Options) { o.Slugs = []string{"clinica-x", "clinica-aurora", "clinica-aurora"} },
		"do not fit into two years of 4 practitioners": func(o *seed.Options) { o.Appointments = 1_000_000 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := few()
			change(&o)
			_, err := seed.Run(t.Context(), testkit.NewDatabase(t).OwnerURL, o, nil)
			require.ErrorContains(t, err, name)
		})
	}
}

func TestRun_FillsTheDiaryToTheBrim(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	o := seed.Options{Clinics: 1, Contacts: 10, Practitioners: 1, Appointments: 1_000_000, Today: today()}
	_, err := seed.Run(t.Context(), d.OwnerURL, o, nil)
	var asked, practitioners, most int
	require.Error(t, err)
	found, _ := fmt.Sscanf(err.Error(), "seed: %d appointments do not fit into two years of %d practitioners, at most %d do", &asked, &practitioners, &most)
	require.Equal(t, 3, found, err.Error())
	o.Appointments = most
	result, err := seed.Run(t.Context(), d.OwnerURL, o, nil)
	require.NoError(t, err)
	require.Equal(t, most, result.Tables["appointments"])
	requireSoundDiary(t, d)
}

func TestRun_AClinicOfItsOwnName(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	result, err := seed.Run(t.Context(), d.OwnerURL, seed.Options{Clinics: 1, Today: today(), Slugs: []string{"centro-vida"}}, nil)
	require.NoError(t, err)
	require.Equal(t, "centro-vida", result.Clinics[0].Slug)
	require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM clinics c JOIN clinic_slugs s ON s.clinic = c.id AND s.slug = c.slug WHERE c.id = $1", result.Clinics[0].ID))
	require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM memberships WHERE subject = $1 AND role = 'receptionist' AND permissions = '{}'", seed.Subject("centro-vida", "receptionist")))
	require.Equal(t, 3, d.Count(t, "SELECT count(*) FROM memberships WHERE role IN ('owner', 'admin') AND permissions = '{developer}'"))
}
