package scheduling

import (
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/models"
)

// Slot is a free time of a practitioner. It is computed and in no table.
func Slot() entity.Declaration {
	return entity.Noun[models.Slot]{
		NoTable: true,
		One:     map[string]entity.One{"practitioner": {Kind: models.KindPractitioner, Column: "practitioner_id"}},
	}
}
