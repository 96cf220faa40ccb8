package loaders_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/loaders"
	"github.com/taskmed/taskmed/internal/people"
	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// TestLookAhead_CostsItsStatementsAndLittleMore fetches two levels of 50, the
// contacts of 50 appointments and the next appointment of each, and runs the
// same two statements by themselves. What the look-ahead adds is at most a
// millisecond, in the fastest of many runs of each.
func TestLookAhead_CostsItsStatementsAndLittleMore(t *testing.T) {
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	contacts := bookedContacts(t, d, clinic)
	sources := sourcesOf(d)
	ahead := loaders.NewLookAhead(sources)
	ctx := clinic.As(t.Context(), models.RoleOwner)
	next := selection.Field{Name: "nextAppointment", Key: "nextAppointment", Set: leaves("id", "startsAt")}
	contact := selection.Field{Name: "contact", Key: "contact", Set: selection.Merge(leaves("id", "name"), selection.Of(next))}

	var (
		withAhead, alone []time.Duration
		added            time.Duration
	)
	// More of them on a machine that others keep busy.
	for run := 0; run < 60 || run < 2000 && added >= time.Millisecond; run++ {
		counted, count := database.WithStatementCount(ctx)
		parents := make([]*models.Appointment, len(contacts))
		for i, id := range contacts {
			parents[i] = &models.Appointment{ContactID: id}
		}
		start := time.Now()
		require.NoError(t, ahead.Appointments(counted, parents, selection.Of(contact)))
		withAhead = append(withAhead, time.Since(start))
		require.Equal(t, int64(2), count.Load())
		for _, parent := range parents {
			child, fetched := models.Fetched[*models.Contact](&parent.Prefetched, "contact")
			require.True(t, fetched)
			grandchild, fetched := models.Fetched[*models.Appointment](&child.Prefetched, "nextAppointment")
			require.True(t, fetched)
			require.NotNil(t, grandchild)
		}

		start = time.Now()
		_, err := sources.People.ContactsByID(ctx, contacts, contact.Set)
		require.NoError(t, err)
		_, err = sources.Diary.NextAppointments(ctx, contacts, next.Set)
		require.NoError(t, err)
		alone = append(alone, time.Since(start))
		added = slices.Min(withAhead) - slices.Min(alone)
	}
	t.Logf("two levels of %d: %s, their statements alone: %s", len(contacts), slices.Min(withAhead), slices.Min(alone))
	require.Less(t, added, time.Millisecond)
}

// bookedContacts makes 50 contacts with an appointment to come.
func bookedContacts(t *testing.T, d *testkit.Database, clinic *testkit.Clinic) []uuid.UUID {
	t.Helper()
	conn := d.Connect(t, d.SuperuserURL)
	_, err := conn.Exec(t.Context(), `
		INSERT INTO contacts (clinic_id, id, name) SELECT $1, gen_random_uuid(), 'Contact ' || n FROM generate_series(1, 50) n`, clinic.ID)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `
		INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, starts_at, ends_at, overbooked)
		SELECT $1, gen_random_uuid(), c.id, $2, now() + interval '1 hour', now() + interval '2 hours', true
		FROM contacts c WHERE c.clinic_id = $1 AND c.name LIKE 'Contact %'`, clinic.ID, clinic.Practitioners[0])
	require.NoError(t, err)
	rows, err := conn.Query(t.Context(), "SELECT id FROM contacts WHERE clinic_id = $1 AND name LIKE 'Contact %'", clinic.ID)
	require.NoError(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	require.NoError(t, err)
	require.Len(t, ids, 50)
	return ids
}

func sourcesOf(d *testkit.Database) loaders.Sources {
	return loaders.Sources{
		People: people.New(d.DB, d.Cursors, time.Now),
		Diary:  scheduling.New(d.DB, d.Cursors, time.Now),
		Chart:  records.New(d.DB, d.Cursors, time.Now),
	}
}

func leaves(names ...string) selection.Set {
	fields := make([]selection.Field, len(names))
	for i, name := range names {
		fields[i] = selection.Field{Name: name, Key: name}
	}
	return selection.Of(fields...)
}

// TestSet_IsOneResponsesOwn shows that a response without a set fails, and that
// what one set has read another reads anew.
func TestSet_IsOneResponsesOwn(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	sources := sourcesOf(d)
	ctx := clinic.As(t.Context(), models.RoleOwner)
	_, err := loaders.From(ctx)
	require.Error(t, err)

	name := func(response context.Context) string {
		set, err := loaders.From(response)
		require.NoError(t, err)
		contact, err := loaders.One(response, set.Contacts, clinic.Contacts[0])
		require.NoError(t, err)
		return contact.Name
	}
	first, second := loaders.With(ctx, sources), loaders.With(ctx, sources)
	require.Equal(t, "Ana Souza", name(first))
	d.Exec(t, "UPDATE contacts SET name = 'Ana Lima' WHERE id = $1", clinic.Contacts[0])
	require.Equal(t, "Ana Souza", name(first))
	require.Equal(t, "Ana Lima", name(second))

	set, err := loaders.From(second)
	require.NoError(t, err)
	absent, err := loaders.One(second, set.Contacts, models.NewID())
	require.NoError(t, err)
	require.Nil(t, absent)
}
