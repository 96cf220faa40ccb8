package outbox_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// committed is a transaction's event, and between which ticks of a clock that all writers
// share its transaction was: it began after began, and was committed before ended.
type committed struct {
	event, entity string
	began, ended  int64
}

// race is writers on a clinic, some of whose transactions are long, and some given up.
type race struct {
	d      *testkit.Database
	clinic *testkit.Clinic
	server *api.Server

	clock   atomic.Int64
	mu      sync.Mutex
	events  []committed
	aborted int
}

func newRace(t *testing.T, options ...api.Option) *race {
	t.Helper()
	d := testkit.NewDatabase(t)
	r := &race{d: d, clinic: d.NewClinic(t, "aurora")}
	r.server = api.NewServer(t, d, append([]api.Option{api.WithoutCache()}, options...)...)
	for range 4 { // contacts that all writers write
		id := models.NewID()
		d.Exec(t, "INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, 'Ana Souza')", r.clinic.ID, id)
		r.clinic.Contacts = append(r.clinic.Contacts, id)
	}
	return r
}

// write runs one writer's transactions.
func (r *race) write(ctx context.Context, t *testing.T, conn *pgx.Conn, transactions int, dice *rand.Rand) {
	t.Helper()
	var began int64
	racer := testkit.Racer{
		Clinic: r.clinic.ID, Name: func(int) string { return "Rita Lobo" }, Shared: r.clinic.Contacts,
		Begins: func() { began = r.clock.Add(1) },
		Ended: func(added []uuid.UUID, changed *uuid.UUID, done bool) {
			ended := r.clock.Add(1)
			r.mu.Lock()
			defer r.mu.Unlock()
			if !done {
				r.aborted++
				return
			}
			for _, id := range added {
				r.events = append(r.events, committed{"CONTACT_CREATED", models.KindContact.Global(id), began, ended})
			}
			if changed != nil {
				r.events = append(r.events, committed{"CONTACT_UPDATED", models.KindContact.Global(*changed), began, ended})
			}
		},
	}
	failed(t, racer.Write(ctx, conn, transactions, dice))
}

// failed notes an error in a goroutine, where a test cannot end.
func failed(t *testing.T, err error) bool {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	return err != nil
}

// seen is a change as a reader was told of it.
type seen struct {
	ID, Event, EntityID string
	Position            int64
}

// reader reads on through GraphQL. It forgets answers, as one that dies before it has
// written them down, and goes on from where it stood.
type reader struct {
	client *api.Client
	after  *string
	all    []seen
}

const changesQuery = `query Changes($first: Int, $after: String) {
	changes(first: $first, after: $after) { edges { cursor node { id position event entityId } } pageInfo { hasNextPage } } }`

// step reads a page, and tells whether there was anything.
func (r *reader) step(t *testing.T, first int, lose bool) bool {
	t.Helper()
	answer := r.client.Do(t, changesQuery, map[string]any{"first": first, "after": r.after})
	if len(answer.Errors) == 1 && answer.Errors[0].Extensions.Code == "UNAVAILABLE" {
		return false // a busy machine: nothing was told, and it is asked again
	}
	if !assert.Empty(t, answer.Errors, "%s", answer.Body) {
		return false
	}
	var data struct {
		Changes struct {
			Edges []struct {
				Cursor string
				Node   seen
			}
		}
	}
	decode(t, answer, &data)
	if lose {
		return true
	}
	for _, edge := range data.Changes.Edges {
		r.all = append(r.all, edge.Node)
		r.after = &edge.Cursor
	}
	return len(data.Changes.Edges) > 0
}

// run has so many writers write, and readers read, until both have ended; then the
// readers read to the end.
func (r *race) run(t *testing.T, writers, transactions int, disturb func(ctx context.Context, dice *rand.Rand)) []*reader {
	t.Helper()
	var writing, reading sync.WaitGroup
	stop := make(chan struct{})
	for n := range writers {
		conn := r.d.Connect(t, r.d.SuperuserURL)
		writing.Go(func() {
			r.write(t.Context(), t, conn, transactions/writers, rand.New(rand.NewPCG(1, uint64(n))))
		})
	}
	readers := make([]*reader, 3)
	for n := range readers {
		readers[n] = &reader{client: r.server.As(t, r.clinic, models.RoleOwner)}
		reading.Go(func() {
			dice := rand.New(rand.NewPCG(2, uint64(n)))
			for {
				select {
				case <-stop:
					return
				default:
				}
				if !readers[n].step(t, 1+dice.IntN(100), dice.IntN(10) == 0) || dice.IntN(50) == 0 {
					pause(t.Context(), time.Duration(dice.IntN(30))*time.Millisecond)
				}
			}
		})
	}
	ctx, done := context.WithCancel(t.Context())
	if disturb != nil {
		reading.Go(func() { disturb(ctx, rand.New(rand.NewPCG(3, 3))) })
	}
	writing.Wait()
	done()
	close(stop)
	reading.Wait()
	return readers
}

func pause(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// settle waits until nothing waits for its position.
func (r *race) settle(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return r.d.Count(t, "SELECT count(*) FROM outbox") == 0 }, time.Minute, 20*time.Millisecond)
}

// faults are what is wrong with what a reader was told, once nothing happens any more:
// "missed", "twice", "gap", "order". What was there before the race is not counted.
func (r *race) faults(t *testing.T, of *reader) map[string]int {
	t.Helper()
	for of.step(t, 100, false) {
	}
	found := map[string]int{}
	want := map[string]int{}
	spans := map[string][]committed{}
	for _, event := range r.events {
		key := event.event + " " + event.entity
		want[key]++
		spans[key] = append(spans[key], event)
	}
	var last, latest int64
	for i, change := range of.all {
		if i > 0 && change.Position != last+1 {
			found["gap"]++
		}
		last = change.Position
		key := change.Event + " " + change.EntityID
		if want[key]--; want[key] < 0 && len(spans[key]) > 0 {
			found["twice"]++
		}
		// Of an entity that all write it cannot be told which change is whose.
		if len(spans[key]) == 1 {
			if spans[key][0].ended < latest {
				found["order"]++ // it was committed before one began that has an earlier position
			}
			latest = max(latest, spans[key][0].began)
		}
	}
	for _, missing := range want {
		found["missed"] += max(0, missing)
	}
	if found["missed"] == 0 {
		delete(found, "missed")
	}
	return found
}

// O1 of the promises, with leaders that lose their connections and another that takes over.
func TestChanges_EveryCommittedEventHasOnePositionInTheOrderOfCommits(t *testing.T) {
	t.Parallel()
	writers, transactions := testkit.Commits(t, 800)
	r := newRace(t, api.WithOutbox())
	api.NewServer(t, r.d, api.WithoutCache(), api.WithOutbox()) // it leads when the other does not
	killed := 0
	super := r.d.Connect(t, r.d.SuperuserURL)
	readers := r.run(t, writers, transactions, func(ctx context.Context, dice *rand.Rand) {
		for ctx.Err() == nil {
			pause(ctx, time.Duration(100+dice.IntN(400))*time.Millisecond)
			tag, err := super.Exec(context.WithoutCancel(ctx), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'taskmed outbox' AND datname = current_database()")
			failed(t, err)
			killed += int(tag.RowsAffected())
		}
	})
	r.settle(t)
	for n, reader := range readers {
		require.Empty(t, r.faults(t, reader), "reader %d", n)
		require.Equal(t, readers[0].all, reader.all, "all end with the same list")
		require.Equal(t, int64(1), reader.all[0].Position)
		require.GreaterOrEqual(t, len(reader.all), len(r.events))
	}
	require.Positive(t, killed)
	require.Positive(t, r.aborted)
	require.Equal(t, len(readers[0].all), r.d.Count(t, "SELECT count(*) FROM changes"))
	t.Logf("%d events of %d transactions and %d aborted ones by %d writers; %d leaders' connections were cut", len(r.events), transactions, r.aborted, writers, killed)
}

// A number that writers take themselves is caught: it is no order of commits, and who
// reads on from the highest passes over what is committed later.
func TestChanges_ThatTakeTheirNumbersWhenTheyAreWrittenAreMissed(t *testing.T) {
	t.Parallel()
	caught := map[string]int{}
	for try := 0; caught["missed"] == 0 && try < 5; try++ {
		r := newRace(t)
		r.d.Exec(t, `CREATE SEQUENCE planted`)
		r.d.Exec(t, `GRANT USAGE ON planted TO PUBLIC`)
		r.d.Exec(t, `CREATE OR REPLACE FUNCTION outbox_raise() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN
				INSERT INTO changes (clinic_id, id, position, event, entity_kind, entity_id, at)
				VALUES (NEW.clinic_id, gen_random_uuid(), nextval('planted'), TG_ARGV[0], TG_ARGV[1], NEW.id, now());
				RETURN NULL;
			END $$`)
		for _, reader := range r.run(t, 8, 400, nil) {
			for fault, n := range r.faults(t, reader) {
				caught[fault] += n
			}
		}
	}
	require.Positive(t, caught["missed"], "the race is not seen: %v", caught)
	require.Positive(t, caught["gap"], "aborted ones leave gaps: %v", caught)
	t.Logf("%v", caught)
}

// One transaction that does not end holds nobody up, and comes when it is committed.
func TestChanges_ALongTransactionHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	r := newRace(t, api.WithOutbox())
	r.settle(t)
	of := &reader{client: r.server.As(t, r.clinic, models.RoleOwner)}
	for of.step(t, 100, false) {
	}
	before := len(of.all)
	long, err := r.d.Connect(t, r.d.SuperuserURL).Begin(t.Context())
	require.NoError(t, err)
	insert := func(tx pgx.Tx) uuid.UUID {
		id := models.NewID()
		// Names are made of words that are known already: of a new one one waits for the other.
		_, err := tx.Exec(t.Context(), "INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, 'Ana Souza')", r.clinic.ID, id)
		require.NoError(t, err)
		return id
	}
	late := insert(long)
	short, err := r.d.Connect(t, r.d.SuperuserURL).Begin(t.Context())
	require.NoError(t, err)
	early := insert(short)
	require.NoError(t, short.Commit(t.Context()))
	require.Eventually(t, func() bool { return of.step(t, 100, false) }, time.Minute, 5*time.Millisecond)
	require.NoError(t, long.Commit(t.Context()))
	require.Eventually(t, func() bool { return of.step(t, 100, false) }, time.Minute, 5*time.Millisecond)
	require.Len(t, of.all, before+2)
	require.Equal(t, models.KindContact.Global(early), of.all[before].EntityID)
	require.Equal(t, models.KindContact.Global(late), of.all[before+1].EntityID)
}
