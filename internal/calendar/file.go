package calendar

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// What a feed has.
const (
	daysBack  = 90
	daysAhead = 400
	// keptCancelled is for how long clients are told that an appointment is off. Some
	// drop it at once, others strike it through.
	keptCancelled = 30 * 24 * time.Hour
	// mostAhead and mostBack bound the appointments that are still to come and those
	// that are past; the nearest ones stay.
	mostAhead = 4000
	mostBack  = 1000
	// readEvery is how exact it is known when a feed was last read.
	readEvery = time.Minute
)

// File is a calendar as it is served.
type File struct {
	Body []byte
	// ETag is a strong validator (RFC 9110, section 8.8.3), quotes included.
	ETag string
}

// ReadFeed gives the calendar of the feed that has a name in its address, or
// models.ErrNotFound, which does not tell one that was revoked from one that never was.
func (c *Calendar) ReadFeed(ctx context.Context, name string) (*File, error) {
	clinic, ok := clinicOf(name)
	if !ok {
		return nil, models.ErrNotFound
	}
	// Who reads is nobody in the clinic: the address itself is the right.
	ctx = tenant.With(ctx, &tenant.Scope{Subject: "calendar feed", ClinicID: clinic})
	feed, err := c.find(ctx, clinic, name)
	if err != nil {
		return nil, err
	}
	zone, err := c.zone(feed.TimeZone)
	if err != nil {
		return nil, err
	}
	now := c.now()
	// Whole days, so that the file stays the same for as long.
	year, month, day := now.In(zone).Date()
	from := time.Date(year, month, day-daysBack, 0, 0, 0, 0, zone)
	to := time.Date(year, month, day+daysAhead, 0, 0, 0, 0, zone)
	events, err := database.Rows[event](ctx, c.db, eventsSQL, clinic, feed.PractitionerID, from, to, now, now.Add(-keptCancelled), mostAhead, mostBack)
	if err != nil {
		return nil, err
	}
	file := feed.file(events, zone, from, to)
	if feed.LastReadAt == nil || now.Sub(*feed.LastReadAt) >= readEvery {
		err := c.db.InTenant(ctx, func(tx *gorm.DB) error {
			return tx.Exec(`UPDATE calendar_feeds SET last_read_at = $3 WHERE clinic_id = $1 AND id = $2 AND (last_read_at IS NULL OR last_read_at <= $4)`,
				clinic, feed.ID, now, now.Add(-readEvery)).Error
		})
		if err != nil {
			return nil, err
		}
	}
	return file, nil
}

// subscription is a feed that is being read.
type subscription struct {
	ID               uuid.UUID
	PractitionerID   *uuid.UUID
	LastReadAt       *time.Time
	TimeZone         string
	ClinicName       string
	PractitionerName *string
}

func (c *Calendar) find(ctx context.Context, clinic uuid.UUID, name string) (*subscription, error) {
	found, err := database.Rows[subscription](ctx, c.db, `
		SELECT f.id, f.practitioner_id, f.last_read_at, c.time_zone, c.name AS clinic_name, p.name AS practitioner_name
		FROM calendar_feeds f JOIN clinics c ON c.id = f.clinic_id
		LEFT JOIN practitioners p ON p.clinic_id = f.clinic_id AND p.id = f.practitioner_id
		WHERE f.clinic_id = $1 AND f.secret_hash = $2 AND f.revoked_at IS NULL`, clinic, hashOf(name))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, models.ErrNotFound
	}
	return found[0], nil
}

// event is what a feed may know of an appointment. Services, notes and reasons can tell
// what somebody suffers from, and are not among it.
type event struct {
	ID               uuid.UUID
	StartsAt         time.Time
	EndsAt           time.Time
	Status           models.AppointmentStatus
	Version          int
	CreatedAt        time.Time
	UpdatedAt        time.Time
	ContactName      string
	PractitionerName string
}

// eventsSQL finds the appointments of practitioner $2, or of all, that begin between $3
// and $4: of those after $5 and before it the nearest. What was called off before $6
// is not among them.
const eventsSQL = `
	SELECT a.id, a.starts_at, a.ends_at, a.status, a.version, a.created_at, a.updated_at, c.name AS contact_name, p.name AS practitioner_name
	FROM (
		(SELECT * FROM appointments
		 WHERE clinic_id = $1 AND ($2::uuid IS NULL OR practitioner_id = $2) AND starts_at >= $5 AND starts_at < $4
		   AND (status NOT IN ('cancelado', 'faltou') OR updated_at >= $6)
		 ORDER BY starts_at, id LIMIT $7)
		UNION ALL
		(SELECT * FROM appointments
		 WHERE clinic_id = $1 AND ($2::uuid IS NULL OR practitioner_id = $2) AND starts_at >= $3 AND starts_at < $5
		   AND (status NOT IN ('cancelado', 'faltou') OR updated_at >= $6)
		 ORDER BY starts_at DESC, id DESC LIMIT $8)
	) a
	JOIN contacts c ON c.clinic_id = $1 AND c.id = a.contact_id
	JOIN practitioners p ON p.clinic_id = $1 AND p.id = a.practitioner_id
	ORDER BY a.starts_at, a.id`

func (s *subscription) file(events []*event, zone *time.Location, from, to time.Time) *File {
	var l lines
	name := s.ClinicName
	if s.PractitionerName != nil {
		name = *s.PractitionerName + " · " + name
	}
	l.add("BEGIN", "VCALENDAR")
	l.add("VERSION", "2.0")
	l.add("PRODID", "-//TaskMed//Calendar feed 1.0//EN")
	l.add("CALSCALE", "GREGORIAN")
	l.add("NAME", text(name)) // RFC 7986, section 5.1
	l.add("X-WR-CALNAME", text(name))
	l.add("X-WR-TIMEZONE", zone.String())
	l.add("REFRESH-INTERVAL;VALUE=DURATION", "PT15M")
	l.add("X-PUBLISHED-TTL", "PT15M")
	if zone != time.UTC {
		l.timeZone(zone, from, to.Add(24*time.Hour))
	}
	for _, e := range events {
		e.write(&l, zone, s.PractitionerID == nil)
	}
	l.add("END", "VCALENDAR")
	sum := sha256.Sum256(l.Bytes())
	return &File{Body: l.Bytes(), ETag: strconv.Quote(hex.EncodeToString(sum[:16]))}
}

func (e *event) write(l *lines, zone *time.Location, whose bool) {
	summary := initials(e.ContactName)
	if whose {
		summary += " · " + e.PractitionerName
	}
	// A time that the clocks show twice says nothing: clients differ in which is meant.
	inUTC := zone == time.UTC || shownTwice(e.StartsAt.In(zone)) || shownTwice(e.EndsAt.In(zone))
	at := func(property string, instant time.Time) {
		if inUTC {
			l.add(property, utc(instant))
			return
		}
		l.add(property+";TZID="+zone.String(), instant.In(zone).Format(localForm))
	}
	status, transparency := "CONFIRMED", "OPAQUE"
	switch e.Status {
	case models.AppointmentStatusScheduled:
		status = "TENTATIVE"
	case models.AppointmentStatusCancelled, models.AppointmentStatusNoShow:
		status, transparency = "CANCELLED", "TRANSPARENT"
	case models.AppointmentStatusConfirmed, models.AppointmentStatusCheckedIn, models.AppointmentStatusInProgress, models.AppointmentStatusCompleted:
	}
	l.add("BEGIN", "VEVENT")
	l.add("UID", models.KindAppointment.Global(e.ID)+"@taskmed")
	l.add("SEQUENCE", strconv.Itoa(e.Version-1))
	l.add("DTSTAMP", utc(e.UpdatedAt)) // without a METHOD, when it last changed (section 3.8.7.2)
	l.add("CREATED", utc(e.CreatedAt))
	l.add("LAST-MODIFIED", utc(e.UpdatedAt))
	at("DTSTART", e.StartsAt)
	at("DTEND", e.EndsAt)
	l.add("SUMMARY", text(summary))
	l.add("STATUS", status)
	l.add("TRANSP", transparency)
	l.add("CLASS", "PRIVATE")
	l.add("END", "VEVENT")
}

// shownTwice tells whether the clocks show an instant's time at another instant, too.
func shownTwice(at time.Time) bool {
	start, end := at.ZoneBounds()
	_, offset := at.Zone()
	if !start.IsZero() {
		_, before := start.Add(-time.Second).In(at.Location()).Zone()
		if at.Sub(start) < time.Duration(before-offset)*time.Second {
			return true
		}
	}
	if end.IsZero() {
		return false
	}
	_, after := end.In(at.Location()).Zone()
	return end.Sub(at) <= time.Duration(offset-after)*time.Second
}

// initials are the first letters of a name's words, without the particles between them:
// "Ana Maria de Souza" is "A. M. S."
func initials(name string) string {
	var all []string
	for word := range strings.FieldsSeq(name) {
		first := []rune(word)[0]
		if unicode.IsLetter(first) && (unicode.IsUpper(first) || len(all) == 0) {
			all = append(all, string(unicode.ToUpper(first))+".")
		}
	}
	return strings.Join(all, " ")
}
