package scheduling

import (
	"time"

	"github.com/taskmed/taskmed/internal/availability"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/models"
)

// longestTimeOffRange bounds how far one list of absences looks.
const longestTimeOffRange = 366 * 24 * time.Hour

// TimeOff is a practitioner's absence, or the whole clinic's, as it is read.
func TimeOff() entity.Declaration {
	return entity.Noun[models.TimeOff]{
		Kind: models.KindTimeOff,
		One:  map[string]entity.One{"practitioner": {Kind: models.KindPractitioner, Column: "practitioner_id"}},
		All: []entity.All{
			{Field: "Practitioner.timeOff", Parent: "practitioner_id", Order: "starts_at", Filter: touchesRange},
			{Field: "Clinic.closures", Parent: "clinic_id", Order: "starts_at", Filter: closes},
		},
	}
}

// closes are the absences of nobody in particular.
func closes(q *entity.Query, args entity.Args) error {
	q.Where("practitioner_id IS NULL")
	return touchesRange(q, args)
}

// touchesRange is for what has a beginning and an end: it is meant if it shares
// time with the range, of which both ends are needed.
func touchesRange(q *entity.Query, args entity.Args) error {
	span, err := availability.Bounded(entity.Arg[models.DateTimeRange](args, "range"))
	if err != nil {
		return err
	}
	if span.To.Sub(span.From) > longestTimeOffRange {
		return models.BadInput("the range may span 366 days at most")
	}
	if !span.From.Before(span.To) {
		q.Nothing()
		return nil
	}
	q.Where("starts_at < ?", span.To)
	q.Where("ends_at > ?", span.From)
	return nil
}
