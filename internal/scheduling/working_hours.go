package scheduling

import (
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/models"
)

// WorkingHours are when a practitioner works in a week, as they are read.
func WorkingHours() entity.Declaration {
	return entity.Noun[models.WorkingHour]{
		Type: "WorkingHours",
		All: []entity.All{
			{Field: "Practitioner.workingHours", Parent: "practitioner_id", Order: "weekday,from_minute"},
		},
	}
}
