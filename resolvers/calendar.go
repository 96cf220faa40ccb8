package resolvers

import (
	"context"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/models"
)

func (r *queryResolver) CalendarFeeds(ctx context.Context) ([]*models.CalendarFeed, error) {
	feeds, err := r.calendar.Feeds(ctx)
	return orEmpty(feeds), err
}

func (r *queryResolver) CalendarChanges(ctx context.Context, practitionerID, syncToken *string, first *int) (*models.CalendarChanges, error) {
	var practitioner *uuid.UUID
	if practitionerID != nil {
		id, err := queryID("practitionerId", models.KindPractitioner, *practitionerID)
		if err != nil {
			return nil, err
		}
		practitioner = &id
	}
	return r.calendar.Changes(ctx, practitioner, syncToken, first)
}

func (r *mutationResolver) CreateCalendarFeed(ctx context.Context, input models.CreateCalendarFeedInput) (*models.CreateCalendarFeedPayload, error) {
	feed, err := r.calendar.CreateFeed(ctx, input)
	userErrors, err := mistakes(err)
	return &models.CreateCalendarFeedPayload{CalendarFeed: feed, UserErrors: userErrors}, err
}

func (r *mutationResolver) RevokeCalendarFeed(ctx context.Context, input models.RevokeCalendarFeedInput) (*models.RevokeCalendarFeedPayload, error) {
	feed, err := r.calendar.RevokeFeed(ctx, input)
	userErrors, err := mistakes(err)
	return &models.RevokeCalendarFeedPayload{CalendarFeed: feed, UserErrors: userErrors}, err
}

func (r *mutationResolver) ImportCalendar(ctx context.Context, input models.ImportCalendarInput) (*models.ImportCalendarPayload, error) {
	done, err := r.calendar.Import(ctx, input)
	userErrors, err := mistakes(err)
	if done == nil {
		return &models.ImportCalendarPayload{UserErrors: userErrors}, err
	}
	return &models.ImportCalendarPayload{
		Added: done.Added, Updated: done.Updated, Removed: done.Removed, Skipped: done.Skipped, UserErrors: append(userErrors, done.Notes...),
	}, err
}
