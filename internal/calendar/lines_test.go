package calendar

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLines_FoldBetweenCharactersAt75Octets(t *testing.T) {
	t.Parallel()
	for length := range 400 {
		var l lines
		value := strings.Repeat("ã", length)
		l.add("SUMMARY", value)
		physical := strings.SplitAfter(l.String(), "\r\n")
		require.Empty(t, physical[len(physical)-1], "the last line is ended, too")
		whole := ""
		for i, line := range physical[:len(physical)-1] {
			require.LessOrEqual(t, len(line), 77, "75 octets and CRLF")
			require.True(t, utf8.ValidString(line))
			line = strings.TrimSuffix(line, "\r\n")
			if i > 0 {
				require.True(t, strings.HasPrefix(line, " "))
				line = line[1:]
			}
			whole += line
		}
		require.Equal(t, "SUMMARY:"+value, whole)
	}
}

func TestText_EscapesWhatATextMayNotHave(t *testing.T) {
	t.Parallel()
	assert.Equal(t, `a\\b\;c\,d\nef`, text("a\\b;c,d\r\ne\x00\x07\x7ff\xff"))
}

func TestInitials_LeaveParticlesOut(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Ana Souza": "A. S.", "Ana Maria de Souza e Silva": "A. M. S. S.", "élio": "É.", "": "", "123 x": "X.", "José": "J.",
	} {
		assert.Equal(t, want, initials(name), name)
	}
}

func TestTimeZone_SaysWhatTheClocksDo(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe", "America/Santiago"} {
		zone, err := time.LoadLocation(name)
		require.NoError(t, err)
		from := time.Date(2026, time.August, 1, 0, 0, 0, 0, zone)
		to := from.AddDate(1, 4, 0)
		var l lines
		l.timeZone(zone, from, to)
		// Read it back as a client does: the observance that began last counts.
		type observance struct {
			local time.Time
			to    time.Duration
		}
		var all []observance
		var one observance
		for line := range strings.SplitSeq(l.String(), "\r\n") {
			key, value, _ := strings.Cut(line, ":")
			switch key {
			case "DTSTART":
				one.local, err = time.Parse(localForm, value)
				require.NoError(t, err)
			case "TZOFFSETTO":
				sign := value[:1]
				clock, err := time.Parse("1504", value[1:])
				require.NoError(t, err)
				one.to = time.Duration(clock.Hour())*time.Hour + time.Duration(clock.Minute())*time.Minute
				if sign == "-" {
					one.to = -one.to
				}
			case "END":
				if value != "VTIMEZONE" {
					all = append(all, one)
				}
			}
		}
		require.NotEmpty(t, all)
		for at := from; at.Before(to); at = at.Add(6 * time.Hour) {
			local := at.Format(localForm)
			var found observance
			for _, o := range all {
				if o.local.Format(localForm) <= local {
					found = o
				}
			}
			_, offset := at.Zone()
			require.Equal(t, time.Duration(offset)*time.Second, found.to, "%s at %s", name, at)
		}
	}
}
