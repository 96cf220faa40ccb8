package seed

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProgress_WritesALineEveryOtherSecond(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Date(2026, time.November, 23, 8, 0, 0, 0, time.UTC)
	l := &lines{out: &out, now: func() time.Time { return now }, every: 2 * time.Second}
	l.Stage("contacts")
	l.Total(1000)
	l.Done(100)
	require.Empty(t, out.String())
	now = now.Add(2 * time.Second)
	l.Done(100)
	now = now.Add(time.Second)
	l.Stage("appointments")
	require.Equal(t, "seed: 200 of 1000 rows, 100 rows/s, 8 s left, contacts\n", out.String())
	now = now.Add(time.Second)
	l.Done(800)
	l.Stage("")
	require.Equal(t, `seed: 200 of 1000 rows, 100 rows/s, 8 s left, contacts
seed: 1000 of 1000 rows, 250 rows/s, appointments
seed: 1000 of 1000 rows, 250 rows/s
`, out.String())
}

func TestProgress_ShowsABarOnATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	bar := NewProgress(&out, true)
	bar.Total(1000)
	bar.Stage("contacts")
	bar.Done(500)
	bar.Stage("appointments")
	bar.Done(500)
	bar.Stage("")
	require.Contains(t, out.String(), "appointments")
	require.Contains(t, out.String(), "100%")
	require.Contains(t, out.String(), "1000/1000")
	require.Contains(t, out.String(), "rows/")
}

func TestEasterSunday(t *testing.T) {
	t.Parallel()
	for _, want := range []string{"2024-03-31", "2025-04-20", "2026-04-05", "2027-03-28", "2038-04-25"} {
		day, err := time.Parse(time.DateOnly, want)
		require.NoError(t, err)
		require.Equal(t, day, easterSunday(day.Year()))
	}
}

func TestDaysOff_AreBrazils(t *testing.T) {
	t.Parallel()
	l, err := readLists()
	require.NoError(t, err)
	off := l.daysOff(2026, 2026)
	for day, name := range map[string]string{
		"2026-02-17": "Carnaval", "2026-04-03": "Sexta-feira Santa", "2026-06-04": "Corpus Christi", "2026-09-07": "Independência do Brasil",
	} {
		parsed, err := time.Parse(time.DateOnly, day)
		require.NoError(t, err)
		require.Equal(t, name, off[dateOf(parsed)])
		require.Equal(t, parsed, dateOf(parsed).utc())
		require.Equal(t, (int(parsed.Weekday())+6)%7+1, dateOf(parsed).weekday())
	}
	require.Len(t, off, 15)
}
