package seed

import (
	"embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

//go:embed data
var dataFiles embed.FS

// lists is everything that names and texts are drawn from.
type lists struct {
	female, male                 weighted[string]
	compoundFemale, compoundMale weighted[string]
	surnames                     weighted[surname]
	holidays                     []holiday
	practice                     practice
	conditions                   map[string][]condition
}

type surname struct {
	name     string
	particle string
	percent  int
}

// holiday is a fixed day of the year or, where month is 0, days after Easter.
type holiday struct {
	month       time.Month
	day         int
	afterEaster int
	name        string
}

type practice struct {
	Specialties []struct {
		Name    string `json:"name"`
		Council string `json:"council"`
	} `json:"specialties"`
	Services []struct {
		Name    string `json:"name"`
		Minutes int    `json:"minutes"`
		Price   int64  `json:"price"`
		Weight  int    `json:"weight"`
		// Specialties that offer it; all of them where it is empty.
		Specialties []string `json:"specialties"`
	} `json:"services"`
	Hours            [][][2]int `json:"hours"`
	Saturday         [2]int     `json:"saturday"`
	Colors           []string   `json:"colors"`
	TimeOff          []string   `json:"time_off"`
	Cancellations    []string   `json:"cancellations"`
	AppointmentNotes []string   `json:"appointment_notes"`
	Tags             []string   `json:"tags"`
	Sources          []string   `json:"sources"`
	ContactNotes     []string   `json:"contact_notes"`
	// Outbound answers Inbound, one by one.
	Inbound  []string `json:"inbound"`
	Outbound []string `json:"outbound"`
}

// condition is an ICD-10 code and what a record about it says.
type condition struct {
	Code      string `json:"code"`
	Title     string `json:"title"`
	Complaint string `json:"complaint"`
	Exam      string `json:"exam"`
	Plan      string `json:"plan"`
	Drug      string `json:"drug"`
	Test      string `json:"test"`
	Result    string `json:"result"`
	Referral  string `json:"referral"`
}

func readLists() (*lists, error) {
	l := &lists{}
	for _, names := range []struct {
		file string
		into *weighted[string]
	}{
		{"given_female.txt", &l.female},
		{"given_male.txt", &l.male},
		{"given_compound_female.txt", &l.compoundFemale},
		{"given_compound_male.txt", &l.compoundMale},
	} {
		err := eachLine(names.file, func(words []string) error {
			last := len(words) - 1
			weight, err := strconv.Atoi(words[last])
			names.into.add(strings.Join(words[:last], " "), weight)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	err := eachLine("surnames.txt", func(words []string) error {
		var entry surname
		var weight int
		if _, err := fmt.Sscan(strings.Join(words, " "), &entry.name, &weight, &entry.particle, &entry.percent); err != nil {
			return err
		}
		l.surnames.add(entry, weight)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = eachLine("holidays.txt", func(words []string) error {
		entry := holiday{name: strings.Join(words[1:], " ")}
		if days, movable := strings.CutPrefix(words[0], "easter"); movable {
			entry.afterEaster, err = strconv.Atoi(days)
		} else {
			_, err = fmt.Sscanf(words[0], "%d-%d", &entry.month, &entry.day)
		}
		l.holidays = append(l.holidays, entry)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := readJSON("practice.json", &l.practice); err != nil {
		return nil, err
	}
	if err := readJSON("clinical.json", &l.conditions); err != nil {
		return nil, err
	}
	return l, nil
}

// eachLine gives the words of each line of an embedded list, comments left out.
func eachLine(file string, take func(words []string) error) error {
	text, err := dataFiles.ReadFile("data/" + file)
	if err != nil {
		return fmt.Errorf("seed data: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		if err := take(words); err != nil {
			return fmt.Errorf("seed data %s, %q: %w", file, line, err)
		}
	}
	return nil
}

func readJSON(file string, into any) error {
	text, err := dataFiles.ReadFile("data/" + file)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("seed data %s: %w", file, err)
	}
	return nil
}

// daysOff are the holidays of the years from first to last, by date.
func (l *lists) daysOff(first, last int) map[date]string {
	days := map[date]string{}
	for year := first; year <= last; year++ {
		easter := easterSunday(year)
		for _, h := range l.holidays {
			day := easter.AddDate(0, 0, h.afterEaster)
			if h.month != 0 {
				day = time.Date(year, h.month, h.day, 0, 0, 0, 0, time.UTC)
			}
			days[dateOf(day)] = h.name
		}
	}
	return days
}

// easterSunday is the Gregorian computus in the form of Meeus, Jones and
// Butcher.
func easterSunday(year int) time.Time {
	a, b, c := year%19, year/100, year%100
	h := (19*a + b - b/4 - (b-(b+8)/25+1)/3 + 15) % 30
	k := (32 + 2*(b%4) + 2*(c/4) - h - c%4) % 7
	m := (a + 11*h + 22*k) / 451
	n := h + k - 7*m + 114
	return time.Date(year, time.Month(n/31), n%31+1, 0, 0, 0, 0, time.UTC)
}

// date is a calendar day as days since 1970-01-01.
type date int

func dateOf(day time.Time) date {
	return date(time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// utc is midnight UTC of the day, as Postgres's date wants it.
func (d date) utc() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// at is the wall clock's minute of the day in a zone.
func (d date) at(minute int, zone *time.Location) time.Time {
	day := d.utc()
	return time.Date(day.Year(), day.Month(), day.Day(), 0, minute, 0, 0, zone).UTC()
}

// weekday is ISO 8601's: Monday is 1, Sunday 7.
func (d date) weekday() int { return (int(d)+3)%7 + 1 }
