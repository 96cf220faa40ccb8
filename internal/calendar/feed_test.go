package calendar_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/calendar"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/models"
)

// An address that was revoked, one that never was and one of a clinic that there is not
// cost the same: one look-up by the hash, in one round trip, and the same answer. What a
// clock would show of them besides is one row that Postgres looks at.
func TestReadFeed_CostsTheSameWhetherRevokedOrUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.made()
	owner := w.clinic.As(t.Context(), models.RoleOwner)
	feed, err := c.CreateFeed(owner, models.CreateCalendarFeedInput{})
	require.NoError(t, err)
	name := func(clinic, feed [16]byte) string { return calendar.NameOf(entity.Server{}, clinic, feed) }
	cost := func(asked string) (statements, roundTrips int64, err error) {
		ctx, counts := database.WithCounts(t.Context())
		_, err = c.ReadFeed(ctx, asked)
		return counts.Statements.Load(), counts.RoundTrips.Load(), err
	}
	statements, _, err := cost(name(w.clinic.ID, feed.ID))
	require.NoError(t, err)
	require.Greater(t, statements, int64(1), "a feed's events are read, too")
	_, err = c.RevokeFeed(owner, models.RevokeCalendarFeedInput{ID: feed.GetID()})
	require.NoError(t, err)
	for what, asked := range map[string]string{
		"revoked": name(w.clinic.ID, feed.ID), "unknown": name(w.clinic.ID, models.NewID()), "of no clinic": name(models.NewID(), feed.ID),
	} {
		for range 2 { // the connection has the clinic, or has not
			statements, roundTrips, err := cost(asked)
			require.Equal(t, models.ErrNotFound, err, what)
			require.EqualValues(t, 1, statements, what)
			require.EqualValues(t, 1, roundTrips, what)
		}
	}
}
