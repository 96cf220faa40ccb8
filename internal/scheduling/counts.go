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

// group is how appointments are grouped by one thing: by which SQL, and how its value
// is told.
type group struct {
	sql  string
	word func(stored string) (string, error)
}

func groupOf(by models.AppointmentGroup) group {
	plain := func(stored string) (string, error) { return stored, nil }
	global := func(kind models.Kind) func(string) (string, error) {
		return func(stored string) (string, error) {
			if stored == "" {
				return "", nil
			}
			id, err := uuid.Parse(stored)
			return kind.Global(id), err
		}
	}
	switch by {
	case models.AppointmentGroupDay:
		return group{"to_char(scheduled_date, 'YYYY-MM-DD')", plain}
	case models.AppointmentGroupWeek:
		return group{`to_char(scheduled_date, 'IYYY-"W"IW')`, plain}
	case models.AppointmentGroupMonth:
		return group{"to_char(scheduled_date, 'YYYY-MM')", plain}
	case models.AppointmentGroupPractitioner:
		return group{"practitioner_id::text", global(models.KindPractitioner)}
	case models.AppointmentGroupService:
		return group{"coalesce(service_id::text, '')", global(models.KindService)}
	case models.AppointmentGroupStatus:
		return group{"status", func(stored string) (string, error) {
			var status models.AppointmentStatus
			err := status.Scan(stored)
			return string(status), err
		}}
	}
	return group{"''", plain}
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
	first, second := groupOf(by[0]), group{"''", nil}
	if len(by) == 2 {
		second = groupOf(by[1])
	}
	rows, err := database.Find[counted](database.Depends(ctx, touched.Entity(models.KindClinic, scope.ClinicID)), d.db, func(tx *gorm.DB) *gorm.DB {
		return q.Apply(tx).Select(fmt.Sprintf(`%s AS first, %s AS second, count(*)::int AS count,
			(sum(date_part('epoch', ends_at - starts_at)) / 60)::int AS minutes`, first.sql, second.sql)).
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
		if key[0], err = first.word(row.First); err != nil {
			return nil, err
		}
		if second.word != nil {
			if key[1], err = second.word(row.Second); err != nil {
				return nil, err
			}
		}
		counts[i] = &models.AppointmentCount{Key: strings.Join(key[:len(by)], "/"), Count: row.Count, Minutes: row.Minutes}
	}
	return counts, nil
}
