package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	monthView = `query Month($filter: AppointmentFilter!) { appointmentCounts(filter: $filter, groupBy: [DAY]) { key count minutes } }`
	// What changed since the last look, as a partner's calendar or an own one asks for it.
	changes    = `query Changes($practitioner: ID!, $token: String) { calendarChanges(practitionerId: $practitioner, syncToken: $token) { changed { id version startsAt endsAt status } removedIds syncToken hasMore } }`
	createFeed = `mutation Feed($input: CreateCalendarFeedInput!) { createCalendarFeed(input: $input) { calendarFeed { id url } userErrors { code message } } }`
	revokeFeed = `mutation Revoke($input: RevokeCalendarFeedInput!) { revokeCalendarFeed(input: $input) { calendarFeed { id } userErrors { code message } } }`
)

// What is done of the calendar, of 100 requests; the rest are looks at the own week.
const (
	countingMonths = 15
	askingChanges  = 12
	readingFeeds   = 3
)

// synchronised is how many of a clinic's practitioners have calendars that are kept in
// step, and mostPages how much of one is read to begin with.
const (
	synchronised = 2
	mostPages    = 100
)

// subscription is a practitioner's calendar that clients have read to its end.
type subscription struct {
	practitioner, token string
	// feed is its address without the server, and feedID what revokes it.
	feed, feedID string
}

// subscribe reads the calendars of some practitioners to their end and makes feeds of
// them: clients have done so long before, and go on from there.
func (w *world) subscribe(ask func(query string, variables map[string]any, into any) error, s *site) error {
	for _, practitioner := range s.practitioners[:min(synchronised, len(s.practitioners))] {
		it := &subscription{practitioner: practitioner}
		for range mostPages {
			var shown struct {
				CalendarChanges struct {
					SyncToken string
					HasMore   bool
				}
			}
			variables := map[string]any{"practitioner": practitioner}
			if it.token != "" {
				variables["token"] = it.token
			}
			if err := ask(changes, variables, &shown); err != nil {
				return err
			}
			it.token = shown.CalendarChanges.SyncToken
			if !shown.CalendarChanges.HasMore {
				break
			}
		}
		var made struct {
			CreateCalendarFeed struct{ CalendarFeed *struct{ ID, URL string } }
		}
		if err := ask(createFeed, map[string]any{"input": map[string]any{"practitionerId": practitioner}}, &made); err != nil {
			return err
		}
		if made.CreateCalendarFeed.CalendarFeed == nil {
			return errors.New("the clinic has as many calendar feeds as it may: revoke some")
		}
		address, err := url.Parse(made.CreateCalendarFeed.CalendarFeed.URL)
		if err != nil {
			return err
		}
		it.feed, it.feedID = address.Path, made.CreateCalendarFeed.CalendarFeed.ID
		s.subscriptions = append(s.subscriptions, it)
	}
	return nil
}

// unsubscribe revokes the feeds that subscribe made; what fails is left.
func (w *world) unsubscribe(ctx context.Context) {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), w.options.Timeout)
	defer done()
	for n, s := range w.clinics {
		for _, it := range s.subscriptions {
			_, _ = w.post(ctx, s.ID, s.Reception, n%len(w.options.URLs), revokeFeed, map[string]any{"input": map[string]any{"id": it.feedID}})
		}
	}
}

func calendar(ctx context.Context, t *turn) {
	switch drawn := t.dice.IntN(100); {
	case drawn < countingMonths:
		t.month(ctx)
	case drawn < countingMonths+askingChanges:
		t.changes(ctx)
	case drawn < countingMonths+askingChanges+readingFeeds:
		t.feed(ctx)
	default:
		t.week(ctx)
	}
}

// week is the practitioner's own, this one or the next.
func (t *turn) week(ctx context.Context) {
	week := 0
	if !t.chance(thisWeek) {
		week = 1
	}
	var shown struct {
		Practitioner struct {
			Appointments struct {
				Nodes []struct {
					entity
					Contact entity
				}
			}
		}
	}
	t.read(ctx, weekView, map[string]any{"id": t.own(), "range": rangeOf(t.site().days[7*week], 7)}, &shown, func(c *check) {
		for _, node := range shown.Practitioner.Appointments.Nodes {
			c.entities(node.entity, node.Contact)
		}
	})
}

// month is how much there is to do on the days of a month, of the own practitioner.
func (t *turn) month(ctx context.Context) {
	first := t.site().days[0]
	first = first.AddDate(0, 0, 1-first.Day())
	if !t.chance(thisWeek) {
		first = first.AddDate(0, 1, 0)
	}
	day := func(at time.Time) string { return at.Format(time.DateOnly) }
	var shown struct {
		AppointmentCounts []struct {
			Key   string
			Count int
		}
	}
	t.read(ctx, monthView, map[string]any{"filter": map[string]any{
		"practitionerId": t.own(), "days": map[string]any{"from": day(first), "to": day(first.AddDate(0, 1, -1))},
	}}, &shown, nil)
}

// changes asks what changed in a calendar since the session last did.
func (t *turn) changes(ctx context.Context) {
	all := t.site().subscriptions
	it := all[t.session.own%len(all)]
	token := t.session.synced
	if token == "" {
		token = it.token
	}
	var shown struct {
		CalendarChanges struct {
			Changed   []entity
			SyncToken string
		}
	}
	t.apart = true
	t.read(ctx, changes, map[string]any{"practitioner": it.practitioner, "token": token}, &shown, func(c *check) { c.entities(shown.CalendarChanges.Changed...) })
	t.session.synced = shown.CalendarChanges.SyncToken
}

// feed reads a calendar's address as a calendar client does. An appointment's version
// is one more than its SEQUENCE.
func (t *turn) feed(ctx context.Context) {
	all := t.site().subscriptions
	it := all[t.session.own%len(all)]
	o := outcome{scenario: t.scenario.name, operation: "Feed", read: true, apart: true}
	asked := time.Now()
	events, err := t.world.events(ctx, t.world.options.URLs[t.dice.IntN(len(t.world.options.URLs))]+it.feed)
	answered := time.Now()
	o.took, o.excused = answered.Sub(t.at), t.world.oracle.Excuses(asked, answered)
	if err != nil {
		o.failure = err.Error()
	} else {
		c := &check{turn: t, reply: &reply{asked: asked, answered: answered}, outcome: &o}
		c.entities(events...)
	}
	t.report(o)
}

// events are the appointments in a feed.
func (w *world) events(ctx context.Context, address string) ([]entity, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := w.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("a calendar feed: status %d", response.StatusCode)
	}
	return eventsIn(string(text))
}

// eventsIn reads an iCalendar file's UIDs and SEQUENCEs, which stand in this order.
func eventsIn(file string) (events []entity, err error) {
	if !strings.HasPrefix(file, "BEGIN:VCALENDAR\r\n") || !strings.HasSuffix(file, "END:VCALENDAR\r\n") {
		return nil, errors.New("a calendar feed: no whole calendar")
	}
	for line := range strings.SplitSeq(file, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		switch {
		case name == "UID":
			id, _, _ := strings.Cut(value, "@")
			events = append(events, entity{ID: id})
		case name == "SEQUENCE" && len(events) > 0:
			sequence, err := strconv.Atoi(value)
			if err != nil {
				return nil, fmt.Errorf("a calendar feed: SEQUENCE %q", value)
			}
			events[len(events)-1].Version = sequence + 1
		}
	}
	return events, nil
}
