package people

import (
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/models"
)

// offers says who offers what.
const offers = "practitioner_services"

// Practitioner treats patients, as it is read.
func Practitioner() entity.Declaration {
	return entity.Noun[models.Practitioner]{
		Kind: models.KindPractitioner,
		One:  map[string]entity.One{"member": {Kind: models.KindMember, Column: "member_id"}},
		Lists: []entity.List{
			{Field: "Clinic.practitioners", Order: "name_key", Filter: activeFilter},
			{
				Field: "Service.practitioners", Order: "name_key",
				Through: &entity.Link{Table: offers, Parent: "service_id", Row: "practitioner_id"},
			},
		},
		First: []entity.First{{Field: "Member.practitioner", Parent: "member_id", Order: "created_at"}},
	}
}

// activeFilter is that of lists which can be narrowed to what is active, or is not.
func activeFilter(q *entity.Query, args entity.Args) error {
	if active := entity.Arg[*bool](args, "active"); active != nil {
		q.Where("active = ?", *active)
	}
	return nil
}
