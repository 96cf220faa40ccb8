package seed

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// stepTaken is a step of an appointment.
type stepTaken struct {
	id             pgtype.UUID
	appointment    int
	step, from, to string
	at             time.Time
	actor          string
}

// course is how an appointment came to be what it is.
func (a *appointment) course() []stepTaken {
	const early = 10 * time.Minute
	arrived := stepTaken{step: "check_in", from: "agendado", to: "recepcionado", at: a.start.Add(-early)}
	begun := stepTaken{step: "start", from: "recepcionado", to: "em_atendimento", at: a.start}
	switch a.status {
	case "confirmado":
		return []stepTaken{{step: "confirm", from: "agendado", to: "confirmado", at: a.updated}}
	case "cancelado":
		return []stepTaken{{step: "cancel", from: "agendado", to: "cancelado", at: a.updated}}
	case "faltou":
		return []stepTaken{{step: "no_show", from: "agendado", to: "faltou", at: a.end}}
	case "recepcionado":
		return []stepTaken{arrived}
	case "em_atendimento":
		return []stepTaken{arrived, begun}
	case "concluido":
		return []stepTaken{arrived, begun, {step: "complete", from: "em_atendimento", to: "concluido", at: a.end}}
	}
	return nil
}

// takeSteps writes down the steps of the appointments around today: of older ones
// nobody asks who took them.
func (c *clinic) takeSteps() {
	const around = 45 // days
	for i := range c.appointments {
		a := &c.appointments[i]
		if a.day < c.today-around || a.day > c.today+around {
			continue
		}
		for n, step := range a.course() {
			step.id, step.appointment = a.id, i
			// The time and the chance of the appointment's own id, and the step's number.
			step.id.Bytes[15] ^= byte(n + 1)
			step.actor = Subject(c.slug, "receptionist")
			if step.step == "start" || step.step == "complete" {
				step.actor = Subject(c.slug, "practitioner")
			}
			c.steps = append(c.steps, step)
		}
	}
}
