package people

import (
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// memberList is the tag of who belongs to the clinic.
const memberList touched.Tag = "member/list"

// Member is a person who belongs to the clinic, as it is read.
func Member() entity.Declaration {
	return entity.Noun[models.Member]{
		Kind:  models.KindMember,
		Lists: []entity.List{{Field: "Clinic.members", Order: "created_at"}},
	}
}
