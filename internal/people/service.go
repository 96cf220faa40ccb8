package people

import (
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/models"
)

// Service is something the clinic offers, as it is read.
func Service() entity.Declaration {
	return entity.Noun[models.Service]{
		Kind:    models.KindService,
		Columns: map[string][]string{"price": {"price_minor", "currency"}},
		Lists: []entity.List{
			{Field: "Clinic.services", Order: "name_key", Filter: activeFilter},
			{
				Field: "Practitioner.services", Order: "name_key",
				Through: &entity.Link{Table: offers, Parent: "practitioner_id", Row: "service_id"},
			},
		},
	}
}
