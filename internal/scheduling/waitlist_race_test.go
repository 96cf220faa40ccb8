package scheduling_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

// However many attend at once, each freed time is offered once, to those in line in
// their order, and each offer is accepted by one.
func TestRace_ManyAttendAndAccept(t *testing.T) {
	t.Parallel()
	l := openLine(t)
	l.fill(t, 0, "09:00")
	l.fill(t, 1, "09:00")
	// Nobody of them is anywhere else.
	l.Exec(t, "UPDATE appointments SET contact_id = $1", l.here.Contacts[2])
	entries := []*models.WaitlistEntry{l.joins(t, 0), l.joins(t, 1, l.with(0)), l.joins(t, 1, l.with(1))}
	l.Exec(t, "UPDATE appointments SET status = 'cancelado' WHERE starts_at = ANY ($1)", []time.Time{l.at(t, "09:00", 1), l.at(t, "10:00", 1)})
	var attending sync.WaitGroup
	for range 8 {
		attending.Go(func() {
			if err := l.list.Attend(context.WithoutCancel(t.Context()), l.here.ID); err != nil {
				t.Error(err)
			}
		})
	}
	attending.Wait()
	l.attend(t)
	require.Equal(t, 3, l.Count(t, "SELECT count(*) FROM waitlist_offers WHERE outcome IS NULL"))
	require.Equal(t, 3, l.Count(t, "SELECT count(DISTINCT (practitioner_id, starts_at)) FROM waitlist_offers"))
	require.Equal(t, 3, l.Count(t, "SELECT count(*) FROM slot_holds h JOIN waitlist_offers o USING (clinic_id, id, practitioner_id, starts_at, ends_at, expires_at)"))
	require.Equal(t, 1, l.acceptedBy(t, entries[1], 20))
}

// acceptedBy has so many accept one offer at once, and gives how many of them did.
func (l *line) acceptedBy(t *testing.T, entry *models.WaitlistEntry, many int) (winners int) {
	t.Helper()
	ctx, start, outcomes := l.as(t, models.RoleReceptionist), make(chan struct{}), make(chan error, many)
	for range many {
		go func() {
			<-start
			_, _, err := l.list.Accept(ctx, offer(entry))
			outcomes <- err
		}()
	}
	close(start)
	for range many {
		if <-outcomes == nil {
			winners++
		}
	}
	return winners
}
