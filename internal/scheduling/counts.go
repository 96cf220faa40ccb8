package scheduling

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// mostGroups bounds the answer of Counts.
const mostGroups = 10_000

func groupOf(by models.AppointmentGroup) entity.Group {
	switch by {
	case models.AppointmentGroupDay:
		return entity.ByDay("scheduled_date")
	case models.AppointmentGroupWeek:
		return entity.ByWeek("scheduled_date")
	case models.AppointmentGroupMonth:
		return entity.ByMonth("scheduled_date")
	case models.AppointmentGroupPractitioner:
		return entity.ByEntity(models.KindPractitioner, "practitioner_id::text")
	case models.AppointmentGroupService:
		return entity.ByEntity(models.KindService, "coalesce(service_id::text, '')")
	case models.AppointmentGroupStatus:
		return entity.ByEnum[models.AppointmentStatus]("status")
	}
	return entity.ByNothing()
}

// counted is a group's row. Its table is that of appointments.
type counted struct {
	ClinicID uuid.UUID
	First    string
	Second   string
	Count    int
	Minutes  int
}

// TableName implements GORM's Tabler.
func (counted) TableName() string { return "appointments" }

// Counts counts the appointments of a filter, and their minutes, by one or two groups.
// Errors of code BAD_USER_INPUT tell that the filter or the groups are wrong, or that
// there are more than 10,000 of them.
func (d *Diary) Counts(ctx context.Context, filter models.AppointmentFilter, by []models.AppointmentGroup) ([]*models.AppointmentCount, error) {
	if len(by) < 1 || len(by) > 2 || (len(by) == 2 && by[0] == by[1]) {
		return nil, models.BadInput("groupBy takes one group, or two that differ")
	}
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	args := entity.Args{"filter": &filter}
	q := &entity.Query{}
	if err := appointmentFilter(q, args); err != nil {
		return nil, err
	}
	reading, err := entity.Look(ctx, d.db)
	if err != nil {
		return nil, err
	}
	if err := dependsOnDiary(reading, &entity.Ask{Args: args}); err != nil {
		return nil, err
	}
	reading.Send()
	first, second := groupOf(by[0]), entity.ByNothing()
	if len(by) == 2 {
		second = groupOf(by[1])
	}
	rows, err := database.Find[counted](database.Depends(ctx, touched.Entity(models.KindClinic, scope.ClinicID)), d.db, func(tx *gorm.DB) *gorm.DB {
		return q.Apply(tx).Select(fmt.Sprintf(`%s AS first, %s AS second, count(*)::int AS count,
			(sum(date_part('epoch', ends_at - starts_at)) / 60)::int AS minutes`, first.SQL, second.SQL)).
			Group("1, 2").Order("1, 2").Limit(mostGroups + 1)
	})
	if err != nil {
		return nil, err
	}
	if len(rows) > mostGroups {
		return nil, models.BadInput("there are more than %d groups: narrow the filter", mostGroups)
	}
	counts := make([]*models.AppointmentCount, len(rows))
	for i, row := range rows {
		var key [2]string
		if key[0], err = first.Tell(row.First); err != nil {
			return nil, err
		}
		if key[1], err = second.Tell(row.Second); err != nil {
			return nil, err
		}
		counts[i] = &models.AppointmentCount{Key: strings.Join(key[:len(by)], "/"), Count: row.Count, Minutes: row.Minutes}
	}
	return counts, nil
}
