package availability_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/taskmed/taskmed/internal/availability"
	"github.com/taskmed/taskmed/models"
)

// zones change their clocks in different ways: an hour on either side of the
// Atlantic, half an hour on Lord Howe, at midnight in Beirut, backwards in
// Ramadan, and not at all.
func zones() []string {
	return []string{
		"America/New_York", "Europe/Lisbon", "Australia/Lord_Howe", "Asia/Beirut", "Africa/Casablanca", "America/Sao_Paulo", "Asia/Kathmandu",
	}
}

// scene is a week of a practitioner's, drawn around a change of the clocks.
type scene struct {
	zone   *time.Location
	within availability.Span
	hours  []*models.WorkingHour
	busy   []availability.Span
	length time.Duration
	grid   time.Duration
}

func drawScene(t *rapid.T) scene {
	zone, err := time.LoadLocation(rapid.SampledFrom(zones()).Draw(t, "zone"))
	require.NoError(t, err)
	minutes := func(name string, low, high int) time.Duration {
		return time.Duration(rapid.IntRange(low, high).Draw(t, name)) * time.Minute
	}
	// A change of the clocks is somewhere in the middle, if the zone has any.
	middle := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(minutes("day of the year", 0, 365) * 24 * 60)
	if _, change := middle.In(zone).ZoneBounds(); !change.IsZero() {
		// Zone files may end with an artificial change in the midst of a minute.
		middle = change.Truncate(time.Minute)
	}
	s := scene{zone: zone, length: minutes("length", 1, 180), grid: minutes("grid", 1, 90)}
	s.within.From = middle.Add(-minutes("before", 12*60, 3*24*60)).UTC()
	s.within.To = middle.Add(minutes("after", 12*60, 3*24*60)).UTC()
	for weekday := 1; weekday <= 7; weekday++ {
		from := 0
		for range rapid.IntRange(1, 3).Draw(t, "stretches") {
			if from >= 1439 {
				break
			}
			from = rapid.IntRange(from, 1438).Draw(t, "from")
			to := rapid.IntRange(from+1, 1440).Draw(t, "to")
			s.hours = append(s.hours, &models.WorkingHour{ISOWeekday: weekday, FromMinute: from, ToMinute: to})
			from = to
		}
	}
	for range rapid.IntRange(0, 12).Draw(t, "busy") {
		from := s.within.From.Add(minutes("busy from", -120, 6*24*60))
		s.busy = append(s.busy, availability.Span{From: from, To: from.Add(minutes("busy for", 1, 600))})
	}
	return s
}

// works asks the wall clock itself.
func (s scene) works(minute time.Time) bool {
	local := minute.In(s.zone)
	weekday := (int(local.Weekday())+6)%7 + 1
	shown := local.Hour()*60 + local.Minute()
	return slices.ContainsFunc(s.hours, func(h *models.WorkingHour) bool {
		return h.ISOWeekday == weekday && h.FromMinute <= shown && shown < h.ToMinute
	})
}

func (s scene) free(minute time.Time) bool {
	return s.works(minute) && !slices.ContainsFunc(s.busy, func(b availability.Span) bool {
		return !minute.Before(b.From) && minute.Before(b.To)
	})
}

// byTheMinute looks at minute after minute, which leaves no room for clever mistakes.
func (s scene) byTheMinute() []availability.Span {
	var found []availability.Span
	for start := s.within.From; start.Before(s.within.To); start = start.Add(time.Minute) {
		local := start.In(s.zone)
		shown := local.Hour()*60 + local.Minute()
		begins := slices.ContainsFunc(s.hours, func(h *models.WorkingHour) bool {
			return h.ISOWeekday == (int(local.Weekday())+6)%7+1 && h.FromMinute <= shown && shown < h.ToMinute &&
				(shown-h.FromMinute)%int(s.grid/time.Minute) == 0
		})
		end := start.Add(s.length)
		free := begins && !end.After(s.within.To)
		for minute := start; free && minute.Before(end); minute = minute.Add(time.Minute) {
			free = s.free(minute)
		}
		if free {
			found = append(found, availability.Span{From: start, To: end})
		}
	}
	return found
}

// What is listed as free is what each minute says, and what the rules say of each time.
func TestFreeSlots_AreThoseFoundMinuteByMinute(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawScene(t)
		offered := availability.FreeSlots(s.hours, s.zone, s.grid, s.within, s.busy, s.length)
		wanted := s.byTheMinute()
		require.Len(t, offered, len(wanted))
		for i, slot := range offered {
			require.True(t, slot.From.Equal(wanted[i].From) && slot.To.Equal(wanted[i].To), "slot %d is %v, not %v", i, slot, wanted[i])
		}
		for range 50 {
			start := s.within.From.Add(time.Duration(rapid.IntRange(0, int(s.within.To.Sub(s.within.From)/time.Minute)).Draw(t, "start")) * time.Minute)
			asked := availability.Span{From: start, To: start.Add(s.length)}
			listed := slices.ContainsFunc(wanted, func(one availability.Span) bool { return one.From.Equal(start) })
			require.Equal(t, listed, availability.IsFree(s.hours, s.zone, s.grid, s.busy, asked, s.within), "%v", asked)
		}
	})
}

func TestWorking_FollowsTheClocks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, zone, day string
		from, to        int
		want            []string
	}{
		{"a usual day", "America/Sao_Paulo", "2026-11-23", 480, 720, []string{"2026-11-23T11:00:00Z", "2026-11-23T15:00:00Z"}},
		{"a gap swallows an hour", "America/New_York", "2026-03-08", 60, 240, []string{"2026-03-08T06:00:00Z", "2026-03-08T08:00:00Z"}},
		{"hours begin in the gap", "America/New_York", "2026-03-08", 150, 240, []string{"2026-03-08T07:00:00Z", "2026-03-08T08:00:00Z"}},
		{"hours lie in the gap", "America/New_York", "2026-03-08", 130, 170, nil},
		{"an overlap adds an hour", "America/New_York", "2026-11-01", 0, 180, []string{"2026-11-01T04:00:00Z", "2026-11-01T08:00:00Z"}},
		{"hours lie in the overlap", "America/New_York", "2026-11-01", 60, 90, []string{
			"2026-11-01T05:00:00Z", "2026-11-01T05:30:00Z", "2026-11-01T06:00:00Z", "2026-11-01T06:30:00Z",
		}},
		{"Lord Howe skips half an hour", "Australia/Lord_Howe", "2026-10-04", 60, 180, []string{"2026-10-03T14:30:00Z", "2026-10-03T16:00:00Z"}},
		{"midnight itself is skipped", "Asia/Beirut", "2026-03-29", 0, 120, []string{"2026-03-28T22:00:00Z", "2026-03-28T23:00:00Z"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(c.zone)
			require.NoError(t, err)
			day := parse(t, c.day+"T12:00:00Z")
			var hours []*models.WorkingHour
			weekday := (int(day.Weekday())+6)%7 + 1
			hours = append(hours, &models.WorkingHour{ISOWeekday: weekday, FromMinute: c.from, ToMinute: c.to})
			var got []string
			for _, span := range availability.Working(hours, zone, availability.Span{From: day.Add(-48 * time.Hour), To: day.Add(48 * time.Hour)}) {
				got = append(got, span.From.UTC().Format(time.RFC3339), span.To.UTC().Format(time.RFC3339))
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestWorking_JoinsHoursThatMeetAtMidnight(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Europe/Lisbon")
	require.NoError(t, err)
	night := []*models.WorkingHour{
		{ISOWeekday: 7, FromMinute: 1380, ToMinute: 1440}, {ISOWeekday: 1, FromMinute: 0, ToMinute: 60}, {ISOWeekday: 1, FromMinute: 60, ToMinute: 90},
	}
	spans := availability.Working(night, zone, availability.Span{From: parse(t, "2026-11-21T00:00:00Z"), To: parse(t, "2026-11-25T00:00:00Z")})
	require.Equal(t, []availability.Span{{From: parse(t, "2026-11-22T23:00:00Z"), To: parse(t, "2026-11-23T01:30:00Z")}}, spans)
}

func TestSkipped_KnowsTimesThatTheClocksSkip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone, written string
		want          bool
	}{
		{"America/New_York", "2026-03-08T02:30:00-05:00", true},
		{"America/New_York", "2026-03-08T02:30:00-04:00", true},
		{"America/New_York", "2026-03-08T02:00:00-05:00", true},
		{"America/New_York", "2026-03-08T01:59:00-05:00", false},
		{"America/New_York", "2026-03-08T03:00:00-04:00", false},
		{"America/New_York", "2026-03-08T03:00:00-05:00", false},
		{"America/New_York", "2026-03-08T07:30:00Z", false},
		{"America/New_York", "2026-03-08T02:30:00-03:00", false},
		{"America/New_York", "2026-11-01T01:30:00-04:00", false},
		{"America/New_York", "2026-11-01T01:30:00-05:00", false},
		{"Europe/Lisbon", "2026-03-29T01:30:00+00:00", true},
		{"Europe/Lisbon", "2026-03-29T01:30:00Z", false},
		{"Australia/Lord_Howe", "2026-10-04T02:15:00+10:30", true},
		{"Australia/Lord_Howe", "2026-10-04T02:45:00+10:30", false},
		{"America/Sao_Paulo", "2026-11-01T00:30:00-03:00", false},
	} {
		zone, err := time.LoadLocation(c.zone)
		require.NoError(t, err)
		written, err := models.UnmarshalDateTime(c.written)
		require.NoError(t, err)
		require.Equal(t, c.want, availability.Skipped(written, zone), "%s in %s", c.written, c.zone)
	}
}

func parse(t *testing.T, text string) time.Time {
	t.Helper()
	instant, err := models.UnmarshalDateTime(text)
	require.NoError(t, err)
	return instant
}
