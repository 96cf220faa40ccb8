package people

import (
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/models"
)

// Practitioner treats patients, as it is read.
func Practitioner() entity.Declaration {
	return entity.Noun[models.Practitioner]{
		Kind:  models.KindPractitioner,
		Lists: []entity.List{{Field: "Clinic.practitioners", Order: "name_key", Filter: activeFilter}},
	}
}

// activeFilter is that of lists which can be narrowed to what is active, or is not.
func activeFilter(q *entity.Query, args entity.Args) error {
	if active := entity.Arg[*bool](args, "active"); active != nil {
		q.Where("active = ?", *active)
	}
	return nil
}
