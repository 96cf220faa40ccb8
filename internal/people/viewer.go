package people

import (
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/models"
)

// Viewer is who asks. It is made of the request's scope and in no table.
func Viewer() entity.Declaration {
	return entity.Noun[models.Viewer]{
		NoTable: true,
		One: map[string]entity.One{
			"clinic":       {Kind: models.KindClinic, Column: "clinic_id"},
			"practitioner": {Kind: models.KindPractitioner, Column: "practitioner_id"},
		},
	}
}
