package load

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFeed_IsReadAsVersions(t *testing.T) {
	t.Parallel()
	file := strings.ReplaceAll(`BEGIN:VCALENDAR
BEGIN:VEVENT
UID:appointment_1@taskmed
SEQUENCE:0
END:VEVENT
BEGIN:VEVENT
UID:appointment_2@taskmed
SEQUENCE:7
END:VEVENT
END:VCALENDAR
`, "\n", "\r\n")
	events, err := eventsIn(file)
	require.NoError(t, err)
	require.Equal(t, []entity{{ID: "appointment_1", Version: 1}, {ID: "appointment_2", Version: 8}}, events)
	for _, cut := range []int{len(file) - 5, 40, 0} {
		_, err := eventsIn(file[:cut])
		require.Error(t, err, "a part of a file")
	}
	_, err = eventsIn(strings.Replace(file, "SEQUENCE:7", "SEQUENCE:x", 1))
	require.Error(t, err)
}

// P3's shares, of which the calendar's own are told by its parts.
func TestMix_HasTheSharesThatArePromised(t *testing.T) {
	t.Parallel()
	shares := map[string]int{}
	for _, s := range mix() {
		shares[s.name] = s.weight
	}
	require.Equal(t, map[string]int{"registration": 20, "scheduling": 30, "records": 25, "calendar": 15, "finance": 10}, shares)
	require.Equal(t, 100, mixTotal())
	require.Less(t, countingMonths+askingChanges+readingFeeds, 100)
}

func TestReport_CountsNoHitsOfWhatIsNeverKept(t *testing.T) {
	t.Parallel()
	r := newReport()
	r.add(outcome{scenario: "calendar", operation: "Week", read: true, cache: "taskmed; hit"})
	r.add(outcome{scenario: "calendar", operation: "Feed", read: true, apart: true})
	require.Equal(t, 2, r.Requests)
	require.Equal(t, 1, r.Reads)
	require.Zero(t, r.Writes)
}
