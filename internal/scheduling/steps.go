package scheduling

import (
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/models"
)

// AppointmentStepTaken is a step that an appointment took, as it is read.
func AppointmentStepTaken() entity.Declaration {
	return entity.Noun[models.AppointmentStepTaken]{
		Columns: map[string][]string{"from": {"from_status"}, "to": {"to_status"}},
		All:     []entity.All{{Field: "Appointment.steps", Parent: "appointment_id", Order: "at"}},
	}
}
