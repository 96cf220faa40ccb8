package availability

import (
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

const (
	// longestByDay bounds the ranges whose days are named one by one.
	longestByDay = 62 * 24 * time.Hour
	// mostPerDay bounds the days of practitioners that are named one by one.
	mostPerDay = 400
)

// daysOfClinic are the days of the clinic's calendar that a range touches. Postgres
// tells them, as it does for the tags of writes: two programs may know different
// time zones. That they change with the clinic's zone needs no tag: such a change
// concerns every answer.
const daysOfClinic = "SELECT ARRAY(SELECT cache_days(time_zone, $2, $3)) FROM clinics WHERE id = $1"

// DependOnDays declares the appointments of a range: the practitioners', or
// everybody's for nil. Where nobody keeps the answer, or the range is open or
// long, more is declared than it depends on, and no statement is spent on days.
func DependOnDays(r *entity.Reading, practitioners []uuid.UUID, within *models.DateTimeRange) {
	if !r.Kept() || !closed(within) || within.To.Sub(*within.From) > longestByDay {
		dependOnAll(r, practitioners)
		return
	}
	r.Find(daysOfClinic, func(rows pgx.Rows) error {
		days, err := pgx.CollectRows(rows, pgx.RowTo[[]string])
		if err != nil {
			return err
		}
		if len(days) == 0 || len(days[0]) == 0 || len(days[0])*len(practitioners) > mostPerDay {
			dependOnAll(r, practitioners)
			return nil
		}
		for _, day := range days[0] {
			if practitioners == nil {
				r.Depends(touched.OnDay(day))
			}
			for _, id := range practitioners {
				r.Depends(touched.OnPractitionerDay(id, day))
			}
		}
		return nil
	}, *within.From, *within.To)
}

// DependOnDates declares the appointments of days of the clinic's calendar.
func DependOnDates(r *entity.Reading, from, to models.Date) {
	const most = 62
	var days []touched.Tag
	for day := from; !to.Before(day); day = day.AddDays(1) {
		if days = append(days, touched.OnDay(day.String())); len(days) > most {
			dependOnAll(r, nil)
			return
		}
	}
	r.Depends(days...)
}

func dependOnAll(r *entity.Reading, practitioners []uuid.UUID) {
	if practitioners == nil {
		r.Depends(touched.Of("appointment/all"))
	}
	for _, id := range practitioners {
		r.Depends(touched.OnID("appointment", "practitioner", id))
	}
}

func closed(span *models.DateTimeRange) bool {
	return span != nil && span.From != nil && span.To != nil
}
