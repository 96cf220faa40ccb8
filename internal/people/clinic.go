package people

import (
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/models"
)

// Clinic is the tenant, as it is read.
func Clinic() entity.Declaration {
	return entity.Noun[models.Clinic]{Kind: models.KindClinic}
}
