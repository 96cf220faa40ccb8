package models

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// MarshalDateTime writes an RFC 3339 instant in UTC, to the microsecond, which
// is what Postgres keeps.
func MarshalDateTime(instant time.Time) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		var buffer [len(`"2006-01-02T15:04:05.999999999Z07:00"`)]byte
		_, _ = w.Write(AppendDateTime(buffer[:0], instant))
	})
}

// AppendDateTime appends what MarshalDateTime writes.
func AppendDateTime(b []byte, instant time.Time) []byte {
	// No value of a time needs escaping in JSON.
	b = append(b, '"')
	b = instant.UTC().AppendFormat(b, "2006-01-02T15:04:05.999999Z07:00")
	return append(b, '"')
}

// rfc3339 is the form of a DateTime; time.Parse alone would also take 9:00, a
// comma before the fraction and an offset of 24 hours.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// UnmarshalDateTime reads an RFC 3339 instant. The offset it was written with
// is kept in the time's location.
func UnmarshalDateTime(value any) (time.Time, error) {
	text, ok := value.(string)
	if !ok {
		return time.Time{}, BadInput("a DateTime is a text such as 2026-11-22T09:00:00-03:00")
	}
	instant, err := time.Parse(time.RFC3339, text)
	if year := instant.UTC().Year(); err != nil || year < 1 || year > 9999 || !rfc3339.MatchString(text) {
		return time.Time{}, BadInput("a DateTime is an RFC 3339 instant that exists, with its offset, such as 2026-11-22T09:00:00-03:00")
	}
	return instant, nil
}

// Date is an ISO 8601 calendar date without a time or zone.
type Date struct{ midnight time.Time }

// NewDate makes a date; day 30 of February becomes the 2nd of March, as in time.Date.
func NewDate(year int, month time.Month, day int) Date {
	return Date{time.Date(year, month, day, 0, 0, 0, 0, time.UTC)}
}

// DateOf is the day of an instant in its own location.
func DateOf(instant time.Time) Date {
	return NewDate(instant.Date())
}

// ParseDate reads 2026-11-22; a day that does not exist is an error.
func ParseDate(text string) (Date, error) {
	midnight, err := time.Parse(time.DateOnly, text)
	if err != nil || midnight.Year() < 1 {
		return Date{}, BadInput("a Date is an ISO 8601 calendar date that exists, such as 2026-11-22")
	}
	return Date{midnight}, nil
}

// Before tells whether the date comes before another.
func (d Date) Before(other Date) bool { return d.midnight.Before(other.midnight) }

// AddDays is the day so many days later.
func (d Date) AddDays(days int) Date { return Date{d.midnight.AddDate(0, 0, days)} }

// FirstOfMonth is the first day of the date's month.
func (d Date) FirstOfMonth() Date { return NewDate(d.midnight.Year(), d.midnight.Month(), 1) }

// AddMonth is the same day a month later; of the 31st of January, the 3rd of March.
func (d Date) AddMonth() Date { return Date{d.midnight.AddDate(0, 1, 0)} }

// AddYear is the same day a year later; of the 29th of February, the 1st of March.
func (d Date) AddYear() Date { return Date{d.midnight.AddDate(1, 0, 0)} }

// Birthday is the day's month and day as a number, 229 for the 29th of February.
func (d Date) Birthday() int16 { return int16(d.midnight.Month())*100 + int16(d.midnight.Day()) }

// String is the ISO 8601 form.
func (d Date) String() string { return d.midnight.Format(time.DateOnly) }

// In is the date's first instant in a zone. It is midnight, but for the days on
// which the zone's clocks leap over midnight, or strike it twice.
func (d Date) In(zone *time.Location) time.Time {
	year, month, day := d.midnight.Date()
	midnight := time.Date(year, month, day, 0, 0, 0, 0, zone)
	begin, end := midnight.ZoneBounds()
	if DateOf(midnight).Before(d) {
		return end
	}
	if last := begin.Add(-1); !begin.IsZero() && !DateOf(last).Before(d) {
		_, offset := last.Zone()
		return time.Date(year, month, day, 0, 0, 0, 0, time.FixedZone("", offset)).In(zone)
	}
	return midnight
}

// MarshalGQL implements graphql.Marshaler.
func (d Date) MarshalGQL(w io.Writer) { _, _ = w.Write(d.AppendGQL(nil)) }

// AppendGQL appends what MarshalGQL writes.
func (d Date) AppendGQL(b []byte) []byte {
	b = append(b, '"')
	b = d.midnight.AppendFormat(b, time.DateOnly)
	return append(b, '"')
}

// UnmarshalGQL implements graphql.Unmarshaler.
func (d *Date) UnmarshalGQL(value any) error {
	text, ok := value.(string)
	if !ok {
		return BadInput("a Date is a text such as 2026-11-22")
	}
	parsed, err := ParseDate(text)
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Date) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDate(string(text))
	return err
}

// Scan implements sql.Scanner.
func (d *Date) Scan(source any) error {
	midnight, ok := source.(time.Time)
	if !ok {
		return fmt.Errorf("a date cannot be read from %T", source)
	}
	d.midnight = midnight
	return nil
}

// Value implements driver.Valuer.
func (d Date) Value() (driver.Value, error) { return d.midnight, nil }

// JSON is any JSON value, kept as its text.
type JSON json.RawMessage

// longestJSON bounds what a client may store in one JSON field, in bytes.
const longestJSON = 256 << 10

// MarshalGQL implements graphql.Marshaler.
func (j JSON) MarshalGQL(w io.Writer) { _, _ = w.Write(j.AppendGQL(nil)) }

// AppendGQL appends what MarshalGQL writes.
func (j JSON) AppendGQL(b []byte) []byte {
	if len(j) == 0 {
		return append(b, "null"...)
	}
	return append(b, j...)
}

// UnmarshalGQL implements graphql.Unmarshaler.
func (j *JSON) UnmarshalGQL(value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return BadInput("that is no JSON value")
	}
	if len(text) > longestJSON {
		return BadInput("a JSON value may take %d KB at most", longestJSON>>10)
	}
	*j = text
	return nil
}

// Scan implements sql.Scanner.
func (j *JSON) Scan(source any) error {
	switch text := source.(type) {
	case nil:
		*j = nil
	case []byte:
		*j = append((*j)[:0:0], text...)
	case string:
		*j = JSON(text)
	default:
		return fmt.Errorf("a JSON value cannot be read from %T", source)
	}
	return nil
}

// Value implements driver.Valuer.
func (j JSON) Value() (driver.Value, error) {
	if len(j) == 0 {
		return nil, nil
	}
	return string(j), nil
}

// GormDataType tells GORM the column's type.
func (JSON) GormDataType() string { return "jsonb" }

// GormDataType tells GORM the column's type.
func (Date) GormDataType() string { return "date" }
