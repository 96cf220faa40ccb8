package recurrence_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/recurrence"
)

func wall(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02 15:04", text)
	require.NoError(t, err)
	return at
}

func utc(at time.Time) time.Time { return at }

func dates(times []time.Time) (all []string) {
	for _, at := range times {
		all = append(all, at.Format(time.DateOnly))
	}
	return all
}

// The examples of RFC 5545, section 3.8.5.3, that are series of so few dates.
func TestTimes_AreThoseOfTheRFC(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]struct{ start, dates string }{
		"FREQ=DAILY;INTERVAL=10;COUNT=5":                             {"1997-09-02 09:00", "1997-09-02 1997-09-12 1997-09-22 1997-10-02 1997-10-12"},
		"FREQ=WEEKLY;COUNT=3":                                        {"1997-09-02 09:00", "1997-09-02 1997-09-09 1997-09-16"},
		"FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH":     {"1997-09-02 09:00", "1997-09-02 1997-09-04 1997-09-09 1997-09-11 1997-09-16 1997-09-18 1997-09-23 1997-09-25 1997-09-30 1997-10-02"},
		"FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH":         {"1997-09-02 09:00", "1997-09-02 1997-09-04 1997-09-16 1997-09-18 1997-09-30 1997-10-02 1997-10-14 1997-10-16"},
		"FREQ=MONTHLY;COUNT=4;BYDAY=1FR":                             {"1997-09-05 09:00", "1997-09-05 1997-10-03 1997-11-07 1997-12-05"},
		"FREQ=MONTHLY;INTERVAL=2;COUNT=4;BYDAY=1SU,-1SU":             {"1997-09-07 09:00", "1997-09-07 1997-09-28 1997-11-02 1997-11-30"},
		"FREQ=MONTHLY;COUNT=3;BYDAY=-2MO":                            {"1997-09-22 09:00", "1997-09-22 1997-10-20 1997-11-17"},
		"FREQ=MONTHLY;COUNT=3;BYMONTHDAY=-3":                         {"1997-09-28 09:00", "1997-09-28 1997-10-29 1997-11-28"},
		"FREQ=MONTHLY;COUNT=5;BYMONTHDAY=2,15":                       {"1997-09-02 09:00", "1997-09-02 1997-09-15 1997-10-02 1997-10-15 1997-11-02"},
		"FREQ=MONTHLY;COUNT=3;BYDAY=FR;BYMONTHDAY=13":                {"1998-02-13 09:00", "1998-02-13 1998-03-13 1998-11-13"},
		"FREQ=MONTHLY;COUNT=4;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13": {"1997-09-13 09:00", "1997-09-13 1997-10-11 1997-11-08 1997-12-13"},
		"FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3":             {"1997-09-04 09:00", "1997-09-04 1997-10-07 1997-11-06"},
		"FREQ=MONTHLY;COUNT=4;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2":      {"1997-09-29 09:00", "1997-09-29 1997-10-30 1997-11-27 1997-12-30"},
		"FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO":         {"1997-08-05 09:00", "1997-08-05 1997-08-10 1997-08-19 1997-08-24"},
		"FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU":         {"1997-08-05 09:00", "1997-08-05 1997-08-17 1997-08-19 1997-08-31"},
		"FREQ=YEARLY;COUNT=3;BYDAY=20MO":                             {"1997-05-19 09:00", "1997-05-19 1998-05-18 1999-05-17"},
		"rrule:freq=yearly;count=2":                                  {"1997-09-02 09:00", "1997-09-02 1998-09-02"},
		"FREQ=MONTHLY;COUNT=3":                                       {"2026-01-31 09:00", "2026-01-31 2026-03-31 2026-05-31"},
		"FREQ=DAILY;UNTIL=19970905":                                  {"1997-09-02 09:00", "1997-09-02 1997-09-03 1997-09-04 1997-09-05"},
		"FREQ=DAILY;UNTIL=19970904T090000":                           {"1997-09-02 09:00", "1997-09-02 1997-09-03 1997-09-04"},
		"FREQ=DAILY;UNTIL=19970904T085900":                           {"1997-09-02 09:00", "1997-09-02 1997-09-03"},
	} {
		parsed, err := recurrence.Parse(rule)
		require.NoError(t, err, rule)
		times, err := parsed.Times(wall(t, want.start), utc)
		require.NoError(t, err, rule)
		require.Equal(t, strings.Fields(want.dates), dates(times), rule)
	}
}

func TestParse_RefusesByName(t *testing.T) {
	t.Parallel()
	for rule, says := range map[string]string{
		"": "FREQ=WEEKLY", "COUNT=3": "needs FREQ", "FREQ=HOURLY;COUNT=3": "FREQ=HOURLY is not supported", "FREQ=DAILY": "either by COUNT",
		"FREQ=DAILY;COUNT=3;UNTIL=20270101": "either by COUNT", "FREQ=DAILY;COUNT=0": "COUNT is a whole number", "FREQ=DAILY;COUNT=201": "1 to 200",
		"FREQ=DAILY;COUNT=3;INTERVAL=0": "INTERVAL", "FREQ=DAILY;COUNT=3;COUNT=4": "COUNT stands twice", "FREQ=DAILY;COUNT=+3": "COUNT",
		"FREQ=DAILY;COUNT=3;BYHOUR=9": "BYHOUR is not supported", "FREQ=YEARLY;COUNT=3;BYWEEKNO=20": "BYWEEKNO is not supported", "FREQ=YEARLY;COUNT=3;BYMONTH=1": "BYMONTH is not",
		"FREQ=YEARLY;COUNT=3;BYYEARDAY=1": "BYYEARDAY is not supported", "FREQ=DAILY;COUNT=3;RSCALE=CHINESE": "RSCALE is not supported",
		"FREQ=WEEKLY;COUNT=3;BYMONTHDAY=1": "BYMONTHDAY does not go", "FREQ=WEEKLY;COUNT=3;BYDAY=2MO": "a number before a day", "FREQ=DAILY;COUNT=3;BYDAY=XX": "BYDAY has days",
		"FREQ=MONTHLY;COUNT=3;BYMONTHDAY=0": "BYMONTHDAY has numbers", "FREQ=MONTHLY;COUNT=3;BYMONTHDAY=32": "BYMONTHDAY has numbers", "FREQ=MONTHLY;COUNT=3;BYSETPOS=1": "BYSETPOS picks",
		"FREQ=DAILY;UNTIL=2027-01-01": "UNTIL is a day", "FREQ=DAILY;UNTIL=20270230": "UNTIL is a day", "FREQ=DAILY;COUNT=3;": "is none", "FREQ=WEEKLY;COUNT=3;WKST=XX": "WKST=XX",
		"FREQ=DAILY;COUNT=3\nRRULE:FREQ=WEEKLY;COUNT=2": "COUNT", "FREQ=DAILY;COUNT=3;X-NAME=1": "X-NAME is not supported",
		"FREQ=DAILY;COUNT=3;BYDAY=" + strings.Repeat("MO,", 200): "500 characters",
	} {
		_, err := recurrence.Parse(rule)
		require.ErrorContains(t, err, says, rule)
	}
	for rule, says := range map[string]string{
		"FREQ=DAILY;UNTIL=20280101":                    "more than 200 dates",
		"FREQ=WEEKLY;COUNT=150":                        "150 dates within 2 years",
		"FREQ=WEEKLY;INTERVAL=2;UNTIL=20301231":        "more than 2 years",
		"FREQ=WEEKLY;COUNT=3;BYDAY=TU":                 "the first one is 2026-11-24",
		"FREQ=DAILY;UNTIL=20200101":                    "no date",
		"FREQ=MONTHLY;COUNT=3;BYMONTHDAY=31;BYDAY=1MO": "0 of 3",
	} {
		parsed, err := recurrence.Parse(rule)
		require.NoError(t, err, rule)
		_, err = parsed.Times(wall(t, "2026-11-23 09:00"), utc)
		require.ErrorContains(t, err, says, rule)
	}
}

func TestInZone_TakesTheOffsetFromBefore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ zone, wall, want string }{
		{"America/New_York", "2027-03-14 02:30", "2027-03-14T03:30:00-04:00"},
		{"America/New_York", "2026-11-01 01:30", "2026-11-01T01:30:00-04:00"},
		{"America/Sao_Paulo", "2018-11-04 00:00", "2018-11-04T01:00:00-02:00"},
		{"Pacific/Apia", "2011-12-30 12:00", "2011-12-31T12:00:00+14:00"},
		{"Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-04T02:45:00+11:00"},
	} {
		zone, err := time.LoadLocation(c.zone)
		require.NoError(t, err)
		require.Equal(t, c.want, recurrence.InZone(wall(t, c.wall), zone).Format(time.RFC3339), c.zone)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("FREQ=MONTHLY;COUNT=3;BYDAY=-1FR,2MO;BYSETPOS=1")
	f.Add("FREQ=DAILY;UNTIL=20270101T000000Z;INTERVAL=3")
	f.Fuzz(func(t *testing.T, text string) {
		rule, err := recurrence.Parse(text)
		if err != nil {
			return
		}
		times, err := rule.Times(time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), utc)
		require.LessOrEqual(t, len(times), 200)
		require.Equal(t, err != nil, times == nil)
	})
}
