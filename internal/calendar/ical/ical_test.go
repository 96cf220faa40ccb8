package ical_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/calendar/ical"
)

func options(t testing.TB) ical.Options {
	t.Helper()
	zone, err := time.LoadLocation("America/Sao_Paulo")
	require.NoError(t, err)
	from := time.Date(2025, time.November, 23, 0, 0, 0, 0, zone)
	return ical.Options{Zone: zone, From: from, To: from.AddDate(3, 0, 0)}
}

// file is a calendar with these lines in one event, or in several that "--" parts.
func file(lines ...string) string {
	events := strings.Split(strings.Join(lines, "\r\n"), "\r\n--\r\n")
	for i, event := range events {
		if !strings.Contains(event, "UID:") {
			event = "UID:one\r\n" + event
		}
		events[i] = "BEGIN:VEVENT\r\n" + event + "\r\nEND:VEVENT\r\n"
	}
	return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\n" + strings.Join(events, "") + "END:VCALENDAR\r\n"
}

// times are when a file's events take time, in order, as local times of a zone.
func times(t testing.TB, text, zone string) []string {
	t.Helper()
	got, err := ical.Read(text, options(t))
	require.NoError(t, err)
	require.Empty(t, got.Notes)
	location, err := time.LoadLocation(zone)
	require.NoError(t, err)
	all := []string{}
	for _, event := range got.Events {
		for _, o := range event.Occurrences {
			all = append(all, o.Start.In(location).Format("2006-01-02 15:04")+"/"+o.End.Sub(o.Start).String())
		}
	}
	slices.Sort(all)
	return all
}

func TestRead_OneTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines []string
		zone  string
		want  string
	}{
		"UTC":                      {[]string{"DTSTART:20261123T120000Z", "DTEND:20261123T130000Z"}, "UTC", "2026-11-23 12:00/1h0m0s"},
		"floating":                 {[]string{"DTSTART:20261123T120000", "DURATION:PT90M"}, "America/Sao_Paulo", "2026-11-23 12:00/1h30m0s"},
		"IANA":                     {[]string{"DTSTART;TZID=Europe/Berlin:20261123T120000", "DTEND;TZID=Europe/Berlin:20261123T123000"}, "Europe/Berlin", "2026-11-23 12:00/30m0s"},
		"quoted and prefixed":      {[]string{`DTSTART;TZID="/mozilla.org/20050126_1/Europe/Berlin":20261123T120000`, "DURATION:PT1H"}, "Europe/Berlin", "2026-11-23 12:00/1h0m0s"},
		"Windows":                  {[]string{"DTSTART;TZID=E. South America Standard Time:20261123T120000", "DURATION:PT1H"}, "America/Sao_Paulo", "2026-11-23 12:00/1h0m0s"},
		"Windows, numbered":        {[]string{"DTSTART;TZID=Eastern Standard Time 1:20261123T120000", "DURATION:PT1H"}, "America/New_York", "2026-11-23 12:00/1h0m0s"},
		"all day":                  {[]string{"DTSTART;VALUE=DATE:20261123", "DTEND;VALUE=DATE:20261125"}, "America/Sao_Paulo", "2026-11-23 00:00/48h0m0s"},
		"a day without an end":     {[]string{"DTSTART;VALUE=DATE:20261123"}, "America/Sao_Paulo", "2026-11-23 00:00/24h0m0s"},
		"a day that ends as begun": {[]string{"DTSTART;VALUE=DATE:20261123", "DTEND;VALUE=DATE:20261123"}, "America/Sao_Paulo", "2026-11-23 00:00/24h0m0s"},
		"a nominal day over a change of the clocks": {[]string{"DTSTART;TZID=America/New_York:20261031T120000", "DURATION:P1D"}, "America/New_York", "2026-10-31 12:00/25h0m0s"},
		"a time that is skipped":                    {[]string{"DTSTART;TZID=America/New_York:20270314T023000", "DURATION:PT1H"}, "America/New_York", "2027-03-14 03:30/1h0m0s"},
		"a time that comes twice":                   {[]string{"DTSTART;TZID=America/New_York:20261101T013000", "DURATION:PT1H"}, "UTC", "2026-11-01 05:30/1h0m0s"},
		"a midnight that is skipped":                {[]string{"DTSTART;VALUE=DATE:20181104"}, "America/Sao_Paulo", "2018-11-04 01:00/23h0m0s"},
		"seconds":                                   {[]string{"DTSTART:20261123T120030Z", "DTEND:20261123T123001Z"}, "UTC", "2026-11-23 12:00/31m0s"},
		"odd lines":                                 {[]string{"", "no colon", "dtstart:20261123T1200", " 00Z", "Duration:P", " T1H", "X:;=\"", "END:VTODO"}, "UTC", "2026-11-23 12:00/1h0m0s"},
	} {
		assert.Equal(t, []string{c.want}, times(t, file(c.lines...), c.zone), name)
	}
	text := file("DTSTART:20261123T120000Z", "DURATION:PT1H")
	for _, spelling := range []string{strings.ReplaceAll(text, "\r\n", "\n"), strings.ReplaceAll(text, "\r\n", "\r"), "\ufeff" + text, strings.ReplaceAll(text, "\r\n", "\r\n\r\n"), text + "\r\n\r\n"} {
		assert.Equal(t, []string{"2026-11-23 12:00/1h0m0s"}, times(t, spelling, "UTC"))
	}
}

func TestRead_Recurrence(t *testing.T) {
	t.Parallel()
	ny := func(rule ...string) []string {
		return times(t, file(append([]string{"DTSTART;TZID=America/New_York:20270312T023000", "DURATION:PT1H"}, rule...)...), "America/New_York")
	}
	at := func(days ...string) []string {
		for i, day := range days {
			if !strings.Contains(day, ":") {
				day += " 02:30"
			}
			days[i] = day + "/1h0m0s"
		}
		return days
	}
	assert.Equal(t, at("2027-03-12", "2027-03-13", "2027-03-14 03:30", "2027-03-15"), ny("RRULE:FREQ=DAILY;COUNT=4"), "over the gap, and back")
	assert.Equal(t, at("2027-03-12", "2027-03-14 03:30"), ny("RRULE:FREQ=DAILY;INTERVAL=2;UNTIL=20270314T073000Z"), "UNTIL is in")
	assert.Equal(t, at("2027-03-12"), ny("RRULE:FREQ=DAILY;INTERVAL=2;UNTIL=20270314T072959Z"))
	assert.Equal(t, at("2027-03-12", "2027-03-15", "2027-03-17", "2027-03-22"), ny("RRULE:FREQ=WEEKLY;BYDAY=MO,WE;COUNT=4"), "the start counts though no rule has it")
	assert.Equal(t, at("2027-03-12", "2027-03-31", "2027-04-30"), ny("RRULE:FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3"))
	assert.Equal(t, at("2027-03-12", "2027-03-31", "2027-04-30", "2027-05-31"), ny("RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=4"), "the last working day")
	assert.Equal(t, at("2027-03-12", "2027-11-25"), ny("RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;UNTIL=20280101"))
	assert.Equal(t, at("2027-03-12", "2027-06-01", "2028-03-01", "2028-06-01"), ny("RRULE:FREQ=YEARLY;BYMONTH=3,6;BYMONTHDAY=1;COUNT=4"), "the first of a month after months that are passed over")
	assert.Equal(t, at("2027-03-12", "2028-02-29"), ny("RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"))
	assert.Equal(t, at("2027-03-12", "2028-03-12 03:30"), ny("RRULE:FREQ=YEARLY"))
	assert.Equal(t, at("2027-03-12", "2027-08-13"), ny("RRULE:FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;UNTIL=20280101"))
	assert.Equal(t, at("2027-03-12", "2027-03-14 03:30", "2027-03-16"), ny("RRULE:FREQ=DAILY;COUNT=5", "EXDATE;TZID=America/New_York:20270313T023000", "EXDATE;VALUE=DATE:20270315"))
	assert.Equal(t, []string{"2027-03-12 02:30/1h0m0s", "2027-05-01 12:00/1h0m0s", "2027-05-02 12:00/2h0m0s", "2027-05-03 12:00/30m0s"},
		ny("RDATE;TZID=America/New_York:20270501T120000", "RDATE;VALUE=PERIOD;TZID=America/New_York:20270502T120000/PT2H,20270503T120000/20270503T123000"))
	long := times(t, file("DTSTART;VALUE=DATE:19990101", "RRULE:FREQ=DAILY"), "America/Sao_Paulo")
	assert.Equal(t, []string{"2025-11-23 00:00/24h0m0s", "2028-11-24 00:00/24h0m0s"}, []string{long[0], long[len(long)-1]}, "to a day behind the window, however long ago it began")
	// Two changes of an event: one moves an occurrence, one calls another off.
	assert.Equal(t, at("2027-03-12", "2027-03-13 09:00"), times(t, file(
		"DTSTART;TZID=America/New_York:20270312T023000", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3", "--",
		"RECURRENCE-ID;TZID=America/New_York:20270313T023000", "DTSTART;TZID=America/New_York:20270313T090000", "DURATION:PT1H", "--",
		"RECURRENCE-ID:20270314T073000Z", "DTSTART;TZID=America/New_York:20270314T023000", "STATUS:CANCELLED",
	), "America/New_York"))
}

func TestRead_ZonesOfTheFilesOwn(t *testing.T) {
	t.Parallel()
	zone := strings.Join([]string{
		"BEGIN:VTIMEZONE", "TZID:Customized Time Zone",
		"BEGIN:DAYLIGHT", "DTSTART:19870405T020000", "RRULE:FREQ=YEARLY;BYMONTH=4;BYDAY=1SU;UNTIL=20060402T070000Z", "TZOFFSETFROM:-0500", "TZOFFSETTO:-0400", "END:DAYLIGHT",
		"BEGIN:STANDARD", "DTSTART:19671029T020000", "RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU;UNTIL=20061029T060000Z", "TZOFFSETFROM:-0400", "TZOFFSETTO:-0500", "END:STANDARD",
		"BEGIN:DAYLIGHT", "DTSTART:20070311T020000", "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU", "TZOFFSETFROM:-0500", "TZOFFSETTO:-0400", "END:DAYLIGHT",
		"BEGIN:STANDARD", "DTSTART:20071104T020000", "RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=1SU", "TZOFFSETFROM:-0400", "TZOFFSETTO:-0500", "END:STANDARD",
		"END:VTIMEZONE", "",
	}, "\r\n")
	ny, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	// Every six hours of two years, and some of long ago: as New York's own zone tells.
	for _, start := range []time.Time{time.Date(2026, 1, 1, 0, 30, 0, 0, time.UTC), time.Date(2005, 1, 1, 0, 30, 0, 0, time.UTC)} {
		var events []string
		for at := start; at.Before(start.AddDate(2, 0, 0)); at = at.Add(6 * time.Hour) {
			events = append(events, "--", "UID:"+at.Format(time.RFC3339), "DTSTART;TZID=Customized Time Zone:"+at.Format("20060102T150405"), "DURATION:PT1H")
		}
		for _, skipped := range []string{"20270314T023000", "20260308T020000", "20261101T013000"} {
			events = append(events, "--", "UID:"+skipped, "DTSTART;TZID=Customized Time Zone:"+skipped, "DURATION:PT1H")
		}
		text := strings.Replace(file(events[1:]...), "BEGIN:VEVENT", zone+"BEGIN:VEVENT", 1)
		got, err := ical.Read(text, options(t))
		require.NoError(t, err)
		require.Empty(t, got.Notes)
		require.Len(t, got.Events, len(events)/4)
		for _, event := range got.Events {
			local, err := time.Parse(time.RFC3339, event.UID)
			if err != nil {
				local, err = time.Parse("20060102T150405", event.UID)
				require.NoError(t, err)
			}
			require.Equal(t, ical.At(local, ny).UTC(), event.Occurrences[0].Start, event.UID)
		}
	}
	// A name that nobody knows is the clinic's zone, and that is said once.
	got, err := ical.Read(file("DTSTART;TZID=Nowhere:20261123T120000", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3"), options(t))
	require.NoError(t, err)
	require.Equal(t, []string{`event "one": the time zone "Nowhere" is not known, and the clinic's was taken`}, got.Notes)
	require.Equal(t, 15, got.Events[0].Occurrences[0].Start.Hour())
}

// Every zone of Windows' is one that this program knows.
func TestRead_KnowsWindowsZones(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("windowszones.txt")
	require.NoError(t, err)
	count := 0
	for line := range strings.Lines(string(table)) {
		theirs, ours, _ := strings.Cut(strings.TrimSpace(line), "\t")
		zone, err := time.LoadLocation(ours)
		require.NoError(t, err)
		got, err := ical.Read(file("DTSTART;TZID="+strings.ToUpper(theirs)+":20261123T120000", "DURATION:PT1H"), options(t))
		require.NoError(t, err)
		require.Empty(t, got.Notes, theirs)
		require.Equal(t, ical.At(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), zone).UTC(), got.Events[0].Occurrences[0].Start, theirs)
		count++
	}
	require.Greater(t, count, 130)
}

func TestRead_SkipsWhatTakesNoTimeAndSaysWhatItCouldNotRead(t *testing.T) {
	t.Parallel()
	for words, lines := range map[string][]string{
		"":                     {"DTSTART:20261123T120000Z", "DTEND:20261123T130000Z", "TRANSP:TRANSPARENT"},
		" ":                    {"DTSTART:20261123T120000Z", "DTEND:20261123T130000Z", "STATUS:CANCELLED"},
		"  ":                   {"DTSTART:20261123T120000Z", "DTEND:20261123T130000Z", "X-MICROSOFT-CDO-BUSYSTATUS:FREE"},
		"   ":                  {"DTSTART:20261123T120000Z"},
		"    ":                 {"DTSTART:20121123T120000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=5"},
		"it has no DTSTART":    {"SUMMARY:x"},
		"ends before":          {"DTSTART:20261123T120000Z", "DTEND:20261123T110000Z"},
		"longer than 366 days": {"DTSTART:20261123T120000Z", "DTEND:20281123T110000Z"},
		"cannot be read":       {"DTSTART:2026-11-23"},
		"duration":             {"DTSTART:20261123T120000Z", "DURATION:1H"},
	} {
		got, err := ical.Read(file(lines...), options(t))
		require.NoError(t, err)
		assert.Equal(t, 1, got.Skipped, words)
		if words = strings.TrimSpace(words); words == "" {
			assert.Empty(t, got.Notes)
			continue
		}
		require.Len(t, got.Notes, 1, words)
		assert.Contains(t, got.Notes[0], words)
	}
	for _, rule := range []string{
		"FREQ=SECONDLY", "FREQ=HOURLY", "FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;COUNT=0", "FREQ=DAILY;COUNT=3;UNTIL=20270101", "FREQ=DAILY;FREQ=WEEKLY",
		"FREQ=DAILY;BYDAY=1MO", "FREQ=DAILY;BYHOUR=3", "FREQ=WEEKLY;BYDAY=XX", "FREQ=MONTHLY;BYMONTHDAY=0", "FREQ=MONTHLY;BYMONTHDAY=32", "", "x", "FREQ=YEARLY;BYWEEKNO=3", "FREQ=DAILY;BYSETPOS=1",
	} {
		got, err := ical.Read(file("DTSTART:20261123T120000Z", "DURATION:PT1H", "RRULE:"+rule), options(t))
		require.NoError(t, err)
		require.Len(t, got.Notes, 1, rule)
		assert.Contains(t, got.Notes[0], "RRULE")
	}
	private, err := ical.Read(file("DTSTART:20261123T120000Z", "DURATION:PT1H", "SUMMARY:Dentist", "CLASS:PRIVATE"), options(t))
	require.NoError(t, err)
	assert.Empty(t, private.Events[0].Summary)
}

func TestRead_RefusesWhatIsNoCalendar(t *testing.T) {
	t.Parallel()
	whole := file("DTSTART:20261123T120000Z", "DURATION:PT1H")
	for text, want := range map[string]error{
		"": ical.ErrNone, "hello": ical.ErrNone, "BEGIN:VCARD\nEND:VCARD": ical.ErrNone,
		whole[:len(whole)-10]:                     ical.ErrCutOff,
		strings.Repeat("x", ical.LongestFile+1):   ical.ErrTooLong,
		strings.Repeat("BEGIN:VCALENDAR\r\n", 50): ical.ErrDepth,
	} {
		_, err := ical.Read(text, options(t))
		require.ErrorIs(t, err, want)
	}
}

func TestVersion_ByWhichIsNewer(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	got, err := ical.Read(file(
		"SEQUENCE:2", "DTSTAMP:20261101T000000Z", "DTSTART:20261123T120000Z", "DURATION:PT1H", "--",
		"SEQUENCE:1", "DTSTAMP:20261201T000000Z", "DTSTART:20261124T120000Z", "DURATION:PT1H",
	), options(t))
	require.NoError(t, err)
	require.Len(t, got.Events, 1)
	assert.Equal(t, 23, got.Events[0].Occurrences[0].Start.Day(), "of two in one file")
	old := ical.Version{Sequence: 1, Stamp: at, Modified: at}
	for name, newer := range map[string]ical.Version{
		"sequence": {2, at.Add(-time.Hour), at}, "stamp": {1, at.Add(time.Second), at.Add(-time.Hour)}, "modified": {1, at, at.Add(time.Second)},
	} {
		assert.True(t, old.Older(newer), name)
		assert.False(t, newer.Older(old), name)
	}
	assert.False(t, old.Older(old))
	assert.False(t, old.Older(ical.Version{Sequence: 1}), "nobody says when")
}

// hostile are files that would be dear to read by whoever believes them.
func hostile() map[string]string {
	event := func(lines ...string) string {
		return file(append([]string{"DTSTART:19000101T120000Z", "DURATION:PT1H"}, lines...)...)
	}
	many := func(count int, lines ...string) string {
		var all []string
		for i := range count {
			all = append(all, "--", fmt.Sprint("UID:", i), "DTSTART;TZID=Odd:19700101T120000", "DURATION:PT1H")
			all = append(all, lines...)
		}
		return file(all[1:]...)
	}
	zone := "BEGIN:VTIMEZONE\r\nTZID:Odd\r\n" + strings.Repeat("BEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:-0300\r\nTZOFFSETTO:-0300\r\nRRULE:FREQ=YEARLY;BYDAY=SU,MO,TU,WE,TH,FR,SA\r\nEND:STANDARD\r\n", 5000) + "END:VTIMEZONE\r\n"
	return map[string]string{
		"nested":                     strings.Repeat("BEGIN:VEVENT\r\n", 10_000),
		"nested in a calendar":       "BEGIN:VCALENDAR\r\n" + strings.Repeat("BEGIN:X\r\n", 100_000),
		"closed and opened":          "BEGIN:VCALENDAR\r\n" + strings.Repeat("BEGIN:X\r\nEND:X\r\n", 100_000) + "END:VCALENDAR",
		"ends of nothing":            "BEGIN:VCALENDAR\r\n" + strings.Repeat("END:X\r\n", 200_000) + "END:VCALENDAR",
		"one line":                   event("SUMMARY:" + strings.Repeat("x", ical.LongestFile-400)),
		"one line of parameters":     event("DTSTART" + strings.Repeat(";X=\"\"", 300_000) + ":x"),
		"one line, folded":           event("SUMMARY:" + strings.Repeat("x\r\n ", 400_000)),
		"escapes":                    event("SUMMARY:" + strings.Repeat(`\`, 1_000_000)),
		"quotes":                     event("X;A=" + strings.Repeat(`"`, 1_000_001)),
		"blank lines":                strings.Repeat("\r", ical.LongestFile),
		"blanks":                     strings.Repeat(" \n", ical.LongestFile/2),
		"EXDATEs":                    event("RRULE:FREQ=DAILY", "EXDATE:"+strings.Repeat("20261123T120000Z,", 100_000)+"20261123T120000Z"),
		"EXDATE lines":               event("RRULE:FREQ=DAILY", strings.TrimSuffix(strings.Repeat("EXDATE:20261123\r\n", 100_000), "\r\n")),
		"RDATEs":                     event("RDATE:" + strings.Repeat("20261123T120000Z,", 4_000) + "20261123T120000Z"),
		"RRULEs":                     event(strings.TrimSuffix(strings.Repeat("RRULE:FREQ=DAILY\r\n", 4_000), "\r\n")),
		"a rule that never matches":  event("RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"),
		"counting a rule from 1900":  event("RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=100000"),
		"many that never match":      many(10_000, "RRULE:FREQ=MONTHLY;BYMONTHDAY=31;BYMONTH=2;COUNT=3"),
		"many daily ones":            many(10_000, "RRULE:FREQ=DAILY"),
		"too many events":            many(20_000),
		"many zones to be looked up": strings.ReplaceAll(many(9_000), "TZID=Odd", "TZID=A/B/C/D"),
		"a zone without end":         strings.Replace(many(5_000), "BEGIN:VEVENT", zone+"BEGIN:VEVENT", 1),
		"a long list of weekdays":    event("RRULE:FREQ=YEARLY;BYDAY=" + strings.Repeat("MO,", 500_000) + "MO"),
		"a long number":              event("SEQUENCE:"+strings.Repeat("9", 1_000_000), "RRULE:FREQ=DAILY;COUNT="+strings.Repeat("9", 500_000)),
		"a long duration":            event("DURATION:P" + strings.Repeat("9", 1_000_000) + "D"),
	}
}

// cpu is what this process has taken.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var used syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// It runs alone: what others take at the same time would count.
func TestRead_HostileFilesCostLittle(t *testing.T) { //nolint:paralleltest // see above
	read := options(t)
	for name, text := range hostile() {
		best := time.Hour
		for range 3 { // the collector may come by
			before := cpu(t)
			_, err := ical.Read(text, read)
			best = min(best, cpu(t)-before)
			_ = err // it may be refused or taken
		}
		t.Logf("%-28s %8d bytes %v", name, len(text), best)
		assert.Less(t, best, 100*time.Millisecond, name)
	}
}

func FuzzRead(f *testing.F) {
	for _, text := range hostile() {
		if len(text) < 4096 {
			f.Add(text)
		}
	}
	f.Add(file("DTSTART;TZID=Europe/Berlin:20261123T120000", "DTEND:20261123T130000Z", "RRULE:FREQ=WEEKLY;BYDAY=MO,-1TU;COUNT=3", "EXDATE;VALUE=DATE:20261130", "RDATE;VALUE=PERIOD:20261123T120000Z/PT1H"))
	f.Add("BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:Odd\nBEGIN:STANDARD\nDTSTART:19700101T000000\nRRULE:FREQ=YEARLY;BYDAY=1SU\nTZOFFSETFROM:-0300\nTZOFFSETTO:+0530\nEND:STANDARD\nEND:VTIMEZONE\nBEGIN:VEVENT\nUID:1\nDTSTART;TZID=Odd:20261123T120000\nEND:VEVENT\nEND:VCALENDAR")
	read := options(f)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ical.Read(text, read)
		if err != nil {
			return
		}
		again, err := ical.Read(text, read)
		require.NoError(t, err)
		require.Len(t, again.Events, len(got.Events), "the same file says the same")
		for _, event := range got.Events {
			require.NotEmpty(t, event.UID)
			seen := map[string]bool{}
			for _, o := range event.Occurrences {
				require.True(t, o.Start.Before(o.End))
				require.LessOrEqual(t, o.End.Sub(o.Start), 370*24*time.Hour)
				require.False(t, seen[o.Instance], "each occurrence has a name of its own")
				seen[o.Instance] = true
			}
		}
	})
}

// TestRead_FilesOfOthers reads calendars that other programs wrote, which do not belong
// to the project: where TASKMED_SAMPLES names a folder, all of its files, and otherwise
// those beside the project, if there are any. The tests above have samples of their own.
func TestRead_FilesOfOthers(t *testing.T) {
	t.Parallel()
	folder, named := os.LookupEnv("TASKMED_SAMPLES")
	if !named {
		folder = "../../../../shared/data"
	}
	names, err := filepath.Glob(filepath.Join(folder, "ics", "*.ics"))
	require.NoError(t, err)
	if named {
		require.NotEmpty(t, names, folder)
	}
	taken := 0
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		got, err := ical.Read(string(text), options(t))
		require.NoError(t, err, name)
		taken++
		dates := 0
		for _, event := range got.Events {
			dates += len(event.Occurrences)
		}
		t.Logf("%s: %d events, %d dates, %d skipped, %q", filepath.Base(name), len(got.Events), dates, got.Skipped, got.Notes)
	}
	t.Logf("%d of %d files were taken", taken, len(names))
}
