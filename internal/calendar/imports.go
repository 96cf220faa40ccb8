package calendar

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/calendar/ical"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// What of recurring events is taken: as far ahead as appointments can be booked.
const (
	importDaysBack   = 366
	importYearsAhead = 2
)

// longestReason is what of an event's summary is kept.
const longestReason = 500

// Imported is what became of a file.
type Imported struct {
	Added, Updated, Removed, Skipped int
	// Notes are about events that were passed over, or taken otherwise than they say.
	Notes models.Invalid
}

// blocked is a row of time_off that came from another calendar.
type blocked struct {
	ClinicID         uuid.UUID `gorm:"primaryKey;<-:create"`
	ID               uuid.UUID `gorm:"primaryKey;<-:create"`
	PractitionerID   uuid.UUID
	StartsAt         time.Time
	EndsAt           time.Time
	Reason           *string
	ExternalCalendar string
	ExternalUID      string
	ExternalInstance string
	ExternalOwn      bool
	ExternalSequence int
	ExternalStamp    *time.Time
	ExternalModified *time.Time
}

// TableName implements gorm's Tabler.
func (blocked) TableName() string { return "time_off" }

func (b *blocked) key() [2]string { return [2]string{b.ExternalUID, b.ExternalInstance} }

func (b *blocked) version() ical.Version {
	v := ical.Version{Sequence: b.ExternalSequence}
	if b.ExternalStamp != nil {
		v.Stamp = *b.ExternalStamp
	}
	if b.ExternalModified != nil {
		v.Modified = *b.ExternalModified
	}
	return v
}

// Import makes a practitioner's time off what a file says of it. Mistakes come back as
// models.Invalid.
func (c *Calendar) Import(ctx context.Context, input models.ImportCalendarInput) (*Imported, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	var in validate.Input
	practitioner := in.ID("practitionerId", models.KindPractitioner, input.PractitionerID)
	if err := in.Err(); err != nil {
		return nil, err
	}
	// Read before anything is locked: it may take a while.
	contents, from, err := c.contents(ctx, scope.ClinicID, input.Ics)
	if err != nil {
		return nil, err
	}
	var done *Imported
	err = c.db.InTenant(ctx, func(tx *gorm.DB) error {
		// Locked first, as bookings do: two imports come one after the other.
		err := tx.Select("id").Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Where("id = ?", practitioner).Take(&models.Practitioner{}).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return models.Refuse(models.UserErrorCodeNotFound, "practitionerId", "this clinic has no such practitioner")
		}
		if err != nil {
			return err
		}
		done = &Imported{Skipped: contents.Skipped}
		for _, note := range contents.Notes {
			done.Notes = append(done.Notes, models.NewUserError(models.UserErrorCodeInvalid, "ics", note))
		}
		var before []*blocked
		if err := tx.Where("practitioner_id = ? AND external_uid IS NOT NULL", practitioner).Find(&before).Error; err != nil {
			return err
		}
		return newMerge(practitioner, contents, before, from).run(tx, done)
	})
	if err != nil {
		return nil, err
	}
	return done, nil
}

// contents reads a file, as it is at this day in the clinic's zone. from is the first day
// of which the dates of recurring events are taken.
func (c *Calendar) contents(ctx context.Context, clinic uuid.UUID, text string) (contents *ical.Contents, from time.Time, err error) {
	name, err := database.Value[string](ctx, c.db, "SELECT time_zone FROM clinics WHERE id = $1", clinic)
	if err != nil {
		return nil, from, err
	}
	zone, err := c.zone(name)
	if err != nil {
		return nil, from, err
	}
	now := c.now().In(zone)
	from = time.Date(now.Year(), now.Month(), now.Day()-importDaysBack, 0, 0, 0, 0, zone)
	contents, err = ical.Read(text, ical.Options{Zone: zone, From: from, To: from.AddDate(importYearsAhead, 0, importDaysBack)})
	switch {
	case errors.Is(err, ical.ErrTooLong), errors.Is(err, ical.ErrEvents), errors.Is(err, ical.ErrDates), errors.Is(err, ical.ErrOccurrences):
		err = models.Refuse(models.UserErrorCodeLimit, "ics", err.Error())
	case err != nil:
		err = models.Refuse(models.UserErrorCodeInvalid, "ics", err.Error())
	}
	return contents, from, err
}

// merge compares what a file says with what is there.
type merge struct {
	contents *ical.Contents
	from     time.Time
	before   map[[2]string]*blocked
	wanted   map[[2]string]*blocked
	// followed are events of which occurrences before from may be missing.
	followed map[string]bool
	// stays are events that the file has in an older version.
	stays map[[2]string]bool
}

func newMerge(practitioner uuid.UUID, contents *ical.Contents, before []*blocked, from time.Time) *merge {
	m := &merge{
		contents: contents, from: from, before: map[[2]string]*blocked{}, wanted: map[[2]string]*blocked{},
		followed: map[string]bool{}, stays: map[[2]string]bool{},
	}
	// The newest of what an event told that stands for all of its occurrences.
	known := map[string]ical.Version{}
	for _, row := range before {
		m.before[row.key()] = row
		if v, there := known[row.ExternalUID]; !row.ExternalOwn && (!there || v.Older(row.version())) {
			known[row.ExternalUID] = row.version()
		}
	}
	own := map[[2]string]bool{}
	for _, event := range contents.Events {
		if event.Instance != "" {
			own[[2]string{short(event.UID, 255), event.Instance}] = true
		}
	}
	for _, event := range contents.Events {
		uid := short(event.UID, 255)
		m.followed[uid] = m.followed[uid] || event.Tail
		if event.Instance == "" {
			m.whole(practitioner, event, uid, known, own)
			continue
		}
		key := [2]string{uid, event.Instance}
		if row := m.before[key]; row != nil && event.Version.Older(row.version()) {
			m.stays[key] = true
			continue
		}
		m.want(practitioner, event, uid)
	}
	return m
}

// whole takes an event that stands for all of its occurrences, unless a newer one is known.
func (m *merge) whole(practitioner uuid.UUID, event *ical.Event, uid string, known map[string]ical.Version, own map[[2]string]bool) {
	if v, there := known[uid]; there && event.Version.Older(v) {
		for key := range m.before {
			if key[0] == uid && !own[key] {
				m.stays[key] = true
			}
		}
		return
	}
	m.want(practitioner, event, uid)
}

func (m *merge) want(practitioner uuid.UUID, event *ical.Event, uid string) {
	var reason *string
	if summary := short(validate.Line(event.Summary), longestReason); summary != "" {
		reason = &summary
	}
	for _, o := range event.Occurrences {
		row := &blocked{
			ID: models.NewID(), PractitionerID: practitioner, StartsAt: o.Start, EndsAt: o.End, Reason: reason,
			ExternalCalendar: short(event.Calendar, 300), ExternalUID: uid, ExternalInstance: o.Instance, ExternalOwn: event.Instance != "",
			ExternalSequence: event.Version.Sequence, ExternalStamp: instantOf(event.Version.Stamp), ExternalModified: instantOf(event.Version.Modified),
		}
		m.wanted[row.key()] = row
	}
}

func instantOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// short is a text, or what stands for one that is too long.
func short(text string, longest int) string {
	if runes := []rune(text); len(runes) > longest {
		sum := sha256.Sum256([]byte(text))
		const digest = 33
		return string(runes[:longest-digest]) + "~" + hex.EncodeToString(sum[:16])
	}
	return text
}

// run writes the differences.
func (m *merge) run(tx *gorm.DB, done *Imported) error {
	var added []*blocked
	for key, row := range m.wanted {
		old := m.before[key]
		switch {
		case old == nil:
			added = append(added, row)
		case m.stays[key]:
		case old.same(row):
		default:
			changes := map[string]any{
				"starts_at": row.StartsAt, "ends_at": row.EndsAt, "reason": row.Reason, "external_calendar": row.ExternalCalendar, "external_own": row.ExternalOwn,
				"external_sequence": row.ExternalSequence, "external_stamp": row.ExternalStamp, "external_modified": row.ExternalModified,
			}
			if err := tx.Model(&blocked{}).Where("id = ?", old.ID).Updates(changes).Error; err != nil {
				return err
			}
			if !old.StartsAt.Equal(row.StartsAt) || !old.EndsAt.Equal(row.EndsAt) || !equal(old.Reason, row.Reason) {
				done.Updated++
			}
		}
	}
	slices.SortFunc(added, func(a, b *blocked) int { return a.StartsAt.Compare(b.StartsAt) })
	if done.Added = len(added); done.Added > 0 {
		const together = 500
		if err := tx.CreateInBatches(added, together).Error; err != nil {
			return err
		}
	}
	gone := m.gone()
	if done.Removed = len(gone); done.Removed > 0 {
		return tx.Where("id = ANY(?)", &gone).Delete(&blocked{}).Error
	}
	return nil
}

// gone are the rows that the file no longer has: of events that it has otherwise, and of
// the calendars that it has as a whole.
func (m *merge) gone() []uuid.UUID {
	whole, named := map[string]bool{}, map[string]bool{}
	for _, calendar := range m.contents.Whole {
		whole[short(calendar, 300)] = true
	}
	masters := map[string]bool{}
	for _, event := range m.contents.Events {
		uid := short(event.UID, 255)
		if event.Instance == "" {
			masters[uid] = true
		}
		named[uid+"\n"+event.Instance] = true
	}
	var gone []uuid.UUID
	for key, row := range m.before {
		if m.wanted[key] != nil || m.stays[key] {
			continue
		}
		// What is told of an event is told of its occurrences that are asked for.
		if m.followed[key[0]] && row.StartsAt.Before(m.from) {
			continue
		}
		if masters[key[0]] || named[key[0]+"\n"+key[1]] || whole[row.ExternalCalendar] {
			gone = append(gone, row.ID)
		}
	}
	return gone
}

// same tells whether a row says what another would; when the file was made does not count.
func (b *blocked) same(other *blocked) bool {
	modified := b.ExternalModified == nil && other.ExternalModified == nil ||
		b.ExternalModified != nil && other.ExternalModified != nil && b.ExternalModified.Equal(*other.ExternalModified)
	return b.StartsAt.Equal(other.StartsAt) && b.EndsAt.Equal(other.EndsAt) && equal(b.Reason, other.Reason) &&
		b.ExternalCalendar == other.ExternalCalendar && b.ExternalOwn == other.ExternalOwn && b.ExternalSequence == other.ExternalSequence && modified
}

func equal(a, b *string) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }
