package seed

import (
	"errors"
	"fmt"
	"time"
)

// Options say how much data to make. The same options make the same rows, ids
// included, on any machine.
type Options struct {
	// Clinics is how many clinics to make; every other number is per clinic.
	Clinics       int
	Contacts      int
	Practitioners int
	Appointments  int
	Records       int
	// Seed picks one of the possible worlds.
	Seed uint64
	// Today is the day that past and future are told from; only its calendar
	// date counts. Appointments lie from a year before it to a year after it.
	Today time.Time
	// Slugs name the clinics; those that are missing get names of their own.
	Slugs []string
	// SkipExisting leaves out clinics whose slug is taken already, instead of
	// refusing the whole run.
	SkipExisting bool
}

// Today is the calendar day in São Paulo, which has been three hours behind UTC
// all year round since 2019.
func Today(now time.Time) time.Time {
	return now.In(time.FixedZone("-03", -3*60*60))
}

// Demo is what `taskmed dev` shows: two clinics with a busy diary.
func Demo(today time.Time) Options {
	return Options{
		Clinics: 2, Contacts: 2_000, Practitioners: 10, Appointments: 20_000, Records: 10_000,
		Seed: 1, Today: today,
	}
}

// ErrSlugTaken is returned when a clinic to be made is there already.
var ErrSlugTaken = errors.New("clinic exists already")

// maxima keep a slip of the finger from filling a disk.
const (
	maxClinics      = 10_000
	maxPerClinic    = 5_000_000
	maxPractitioner = 2_000
)

func (o Options) validate() error {
	for _, number := range []struct {
		name     string
		value    int
		low, top int
	}{
		{"clinics", o.Clinics, 1, maxClinics},
		{"contacts", o.Contacts, 0, maxPerClinic},
		{"practitioners", o.Practitioners, 0, maxPractitioner},
		{"appointments", o.Appointments, 0, maxPerClinic},
		{"records", o.Records, 0, maxPerClinic},
	} {
		if number.value < number.low || number.value > number.top {
			return fmt.Errorf("%s must be between %d and %d, not %d", number.name, number.low, number.top, number.value)
		}
	}
	if o.Appointments+o.Records > 0 && (o.Contacts == 0 || o.Practitioners == 0) {
		return errors.New("appointments and records need at least one contact and one practitioner")
	}
	if o.Today.IsZero() {
		return errors.New("the day called today is missing")
	}
	seen := map[string]bool{}
	for i := range o.Clinics {
		slug := o.slug(i)
		if seen[slug] {
			return fmt.Errorf("two clinics would be called %s", slug)
		}
		seen[slug] = true
	}
	return nil
}

// slug is the i-th clinic's, counted from 0.
func (o Options) slug(i int) string {
	if i < len(o.Slugs) {
		return o.Slugs[i]
	}
	switch i {
	case 0:
		return "clinica-aurora"
	case 1:
		return "clinica-horizonte"
	default:
		return fmt.Sprintf("clinica-%03d", i+1)
	}
}
