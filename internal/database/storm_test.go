package database_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// seen is a row as a statement without any condition sees it: only the clinic
// on the connection decides which.
type seen struct {
	ID       uuid.UUID
	ClinicID uuid.UUID
}

const everything = "SELECT id, clinic_id FROM contacts"

// panicky panics while a row is scanned into it, in the middle of an answer.
type panicky struct{ ClinicID explosive }

type explosive struct{}

func (*explosive) Scan(any) error { panic(errStorm) }

var errStorm = errors.New("struck by the storm")

// storm sends requests of many clinics through all doors, some of which are
// cancelled, time out or panic.
type storm struct {
	db      *database.DB
	clinics []*testkit.Clinic
	// What came back: rows of another clinic, by the door; answers with rows missing;
	// and requests that failed although nobody disturbed them.
	foreign       [doors]atomic.Int64
	short, failed atomic.Int64
	// whole counts the right answers, struck the requests that were disturbed.
	whole, struck atomic.Int64
	firstFailure  sync.Once
	failure       error
	firstForeign  sync.Once
	leak          string
}

// door is a way to Postgres.
type door int

const (
	alone   door = iota // a statement by itself
	batched             // several at once
	session             // several round trips over one connection, and a write between them
	writing             // a transaction
	doors
)

func (d door) String() string { return [...]string{"alone", "batched", "session", "writing"}[d] }

// leaks is how many foreign rows came through all doors.
func (s *storm) leaks() (all int64) {
	for through := range s.foreign {
		all += s.foreign[through].Load()
	}
	return all
}

// trouble is what happens to a request.
type trouble int

const (
	none trouble = iota
	cancelled
	timedOut
	panicking
	failing
	troubles
)

// blow sends so many requests from so many clients at once.
func (s *storm) blow(t *testing.T, requests, clients int) {
	t.Helper()
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			chance := rand.New(rand.NewPCG(uint64(client), uint64(requests)))
			for range requests / clients {
				what := none
				if chance.IntN(8) == 0 {
					what = trouble(1 + chance.IntN(int(troubles)-1))
				}
				s.request(t.Context(), chance, what)
			}
		})
	}
	all.Wait()
}

func (s *storm) request(ctx context.Context, chance *rand.Rand, what trouble) {
	clinic := s.clinics[chance.IntN(len(s.clinics))]
	ctx = clinic.As(ctx, models.RoleOwner)
	wait := time.Duration(chance.IntN(600)) * time.Microsecond
	switch what {
	case cancelled:
		stopping, stop := context.WithCancel(ctx)
		defer time.AfterFunc(wait, stop).Stop()
		defer stop()
		ctx = stopping
	case timedOut:
		stopping, stop := context.WithTimeout(ctx, wait)
		defer stop()
		ctx = stopping
	case none, panicking, failing, troubles:
	}
	through := door(chance.IntN(int(doors)))
	answers, err := s.ask(ctx, through, what)
	s.note(clinic, through, answers, err, what)
}

// ask reads through a door; a panic comes back as an error.
func (s *storm) ask(ctx context.Context, through door, what trouble) (answers []*answer, err error) {
	defer func() {
		if struck := recover(); struck != nil {
			err = fmt.Errorf("panic: %v", struck)
		}
	}()
	if through == session {
		var done func()
		ctx, done = s.db.WithLease(ctx)
		defer done()
	}
	switch through {
	case alone:
		if what == panicking {
			_, err = database.Rows[panicky](ctx, s.db, everything)
			return nil, err
		}
		answers = append(answers, &answer{})
		answers[0].rows, err = database.Rows[seen](ctx, s.db, [...]string{everything, failingSQL}[btoi(what == failing)])
		return answers, err
	case batched:
		return s.batch(ctx, what)
	case session:
		first, err := s.batch(ctx, none)
		if err != nil {
			return first, err
		}
		written, err := s.write(ctx, none)
		if err != nil {
			return append(first, written), err
		}
		last, err := s.batch(ctx, what)
		return append(append(first, written), last...), err
	case writing, doors:
	}
	written, err := s.write(ctx, what)
	return []*answer{written}, err
}

func btoi(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

const failingSQL = "SELECT id, clinic_id FROM contacts WHERE 1 / (char_length(name) - char_length(name)) = 1"

// answer is what one statement gave.
type answer struct {
	rows []*seen
	// fails is set for a statement that is to fail.
	fails bool
	err   error
}

// batch sends three statements at once, the second of which may fail.
func (s *storm) batch(ctx context.Context, what trouble) ([]*answer, error) {
	var b database.Batch
	answers := make([]*answer, 3)
	sent := make([]*database.Statement, 3)
	for i := range answers {
		to := &answer{fails: what == failing && i == 1}
		answers[i] = to
		sent[i] = b.Queue([...]string{everything, failingSQL}[btoi(to.fails)], nil, func(rows pgx.Rows) (err error) {
			for rows.Next() {
				one := &seen{}
				if err := rows.Scan(&one.ID, &one.ClinicID); err != nil {
					return err
				}
				to.rows = append(to.rows, one)
				if what == panicking && i == 1 {
					panic(errStorm) // in the middle of an answer
				}
			}
			return rows.Err()
		})
	}
	s.db.Run(ctx, &b)
	var failed error
	for i, statement := range sent {
		answers[i].err = statement.Err
		failed = errors.Join(failed, statement.Err)
	}
	return answers, failed
}

// write reads in a transaction.
func (s *storm) write(ctx context.Context, what trouble) (*answer, error) {
	a := &answer{}
	a.err = s.db.InTenant(ctx, func(tx *gorm.DB) error {
		a.rows = nil // tried again
		if err := tx.Raw(everything).Find(&a.rows).Error; err != nil {
			return err
		}
		switch what {
		case panicking:
			panic(errStorm)
		case failing:
			return errStorm
		case none, cancelled, timedOut, troubles:
		}
		return nil
	})
	return a, a.err
}

func (s *storm) note(clinic *testkit.Clinic, through door, answers []*answer, err error, what trouble) {
	if what != none {
		s.struck.Add(1)
	}
	short := false
	for _, a := range answers {
		// What was read counts, though the request failed after it.
		for _, row := range a.rows {
			if row.ClinicID != clinic.ID || !slices.Contains(clinic.Contacts, row.ID) {
				s.foreign[through].Add(1)
				s.firstForeign.Do(func() {
					s.leak = fmt.Sprintf("%v for %s, %s, trouble %d, error %v", *row, clinic.ID, through, what, err)
				})
			}
		}
		// A statement that fails takes none of the others of its batch with it.
		answered := err == nil || (through == batched && what == failing && !a.fails && a.err == nil)
		short = short || (answered && len(a.rows) != len(clinic.Contacts))
		if through == batched && what == failing && !a.fails && a.err != nil {
			s.failed.Add(1)
			s.firstFailure.Do(func() { s.failure = a.err })
		}
	}
	switch {
	case short:
		s.short.Add(1)
	case err == nil:
		s.whole.Add(1)
	case what == none:
		s.failed.Add(1)
		s.firstFailure.Do(func() { s.failure = err })
	}
}

func manyClinics(t *testing.T, d *testkit.Database) []*testkit.Clinic {
	t.Helper()
	clinics := make([]*testkit.Clinic, 12)
	for i := range clinics {
		clinics[i] = d.NewClinic(t, fmt.Sprint("clinic-", i))
	}
	return clinics
}

func config(d *testkit.Database, connections int32) database.Config {
	return database.Config{URL: d.AppURL, MaxConns: connections, AcquireTimeout: 20 * time.Second}
}

// I6 of the promises, over pools of one to four connections. TASKMED_TEST_LONGER=5
// makes it the 100,000 requests that it names.
func TestStorm_NoClinicSeesAnother(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinics := manyClinics(t, d)
	requests := testkit.Longer(t, 5_000)
	for connections := int32(1); connections <= 4; connections++ {
		db, err := database.Open(t.Context(), config(d, connections))
		require.NoError(t, err)
		s := &storm{db: db, clinics: clinics}
		began := time.Now()
		s.blow(t, requests, 8)
		t.Logf("%d connections: %d requests in %s, %d whole, %d struck, %d undisturbed failed (%v)",
			connections, requests, time.Since(began).Round(time.Millisecond), s.whole.Load(), s.struck.Load(), s.failed.Load(), s.failure)
		db.Close()

		require.Zero(t, s.leaks(), "rows of another clinic: %s", s.leak)
		require.Zero(t, s.short.Load(), "answers without all of the clinic's rows")
		require.Zero(t, s.failed.Load(), "requests that nobody disturbed failed: %v", s.failure)
		require.Greater(t, s.whole.Load(), int64(requests*8/10))
		require.Greater(t, s.struck.Load(), int64(requests/10))
	}
}

// The same storm, with the pool's protection switched off, must be noticed.
func TestStorm_WouldShowALeak(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinics := manyClinics(t, d)
	for connections := int32(1); connections <= 4; connections++ {
		db, err := database.OpenForgetful(t.Context(), config(d, connections))
		require.NoError(t, err)
		s := &storm{db: db, clinics: clinics}
		s.blow(t, 1000, 8)
		db.Close()
		for through := range doors {
			require.Positive(t, s.foreign[through].Load(), "%d connections, %s", connections, through)
		}
	}
}

// database/sql keeping connections for itself is a mistake that leaked once;
// the clinic is put in place then, too.
func TestStorm_DatabaseSQLKeepingConnectionsLeaksNothing(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinics := manyClinics(t, d)
	leaky, err := database.OpenForgetful(t.Context(), config(d, 4))
	require.NoError(t, err)
	safe, err := database.Open(t.Context(), config(d, 4))
	require.NoError(t, err)
	for db, leaks := range map[*database.DB]bool{leaky: true, safe: false} {
		require.NoError(t, db.KeepConnections(2))
		s := &storm{db: db, clinics: clinics}
		s.blow(t, 2000, 8)
		require.Equal(t, leaks, s.leaks() > 0, "%d foreign rows", s.leaks())
		require.NoError(t, db.KeepConnections(0))
		db.Close()
	}
}

// A request without a clinic, on a connection that just had one, is refused.
func TestLookup_HasNoClinic(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "only")
	db, err := database.Open(t.Context(), config(d, 1))
	require.NoError(t, err)
	defer db.Close()

	rows, err := database.Rows[seen](clinic.As(t.Context(), models.RoleOwner), db, everything)
	require.NoError(t, err)
	require.Len(t, rows, 3)

	_, err = database.Rows[seen](t.Context(), db, everything)
	require.ErrorIs(t, err, tenant.ErrNoScope)
	_, err = database.Lookup[seen](t.Context(), db, everything)
	require.Equal(t, noUUID, codeOf(err), "%v", err)
	require.ErrorIs(t, db.InTenant(t.Context(), func(*gorm.DB) error { return nil }), tenant.ErrNoScope)

	members, err := database.Lookup[struct{ ClinicID uuid.UUID }](t.Context(), db,
		"SELECT clinic_id FROM app_memberships($1)", testkit.Subject("only", models.RoleOwner))
	require.NoError(t, err)
	require.Len(t, members, 1)
	require.Equal(t, clinic.ID, members[0].ClinicID)
	_, err = database.Lookup[seen](clinic.As(t.Context(), models.RoleOwner), db, everything)
	require.Error(t, err, "a look-up never runs for a clinic")
}
