package calendar

import (
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/models"
)

// parts are what a token seals.
func (p *position) parts() []string {
	walked, target := "", ""
	if p.walked != nil {
		walked = p.walked.String()
	}
	if p.target != nil {
		target = p.target.text
	}
	return []string{
		p.database, strconv.FormatInt(p.at.Unix(), 10), p.base.text, walked, target,
		strconv.FormatUint(p.seen.Transaction, 10), p.seen.AppointmentID.String(), p.seen.PractitionerID.String(),
	}
}

// open reads a token of this list's.
func (c *Calendar) open(clinic uuid.UUID, list, token string) (*position, error) {
	const parts = 8
	wrong := models.BadInput("syncToken is none that this API gave for these arguments: give it as it was given, with the same practitionerId, or leave it out and begin anew")
	key, err := c.tokens.Decode(clinic, list, token, parts)
	if err != nil {
		return nil, wrong
	}
	seconds, errAt := strconv.ParseInt(key[1], 10, 64)
	p := &position{database: key[0], at: time.Unix(seconds, 0)}
	var errBase, errWalked, errTarget, errSeen error
	p.base, errBase = parseSnapshot(key[2])
	if key[3] != "" {
		var walked uuid.UUID
		walked, errWalked = uuid.Parse(key[3])
		p.walked = &walked
	}
	if key[4] != "" {
		var target snapshot
		target, errTarget = parseSnapshot(key[4])
		p.target = &target
	}
	p.seen.Transaction, errSeen = strconv.ParseUint(key[5], 10, 64)
	appointment, errAppointment := uuid.Parse(key[6])
	practitioner, errPractitioner := uuid.Parse(key[7])
	p.seen.AppointmentID, p.seen.PractitionerID = appointment, practitioner
	if errors.Join(errAt, errBase, errWalked, errTarget, errSeen, errAppointment, errPractitioner) != nil {
		return nil, wrong // an older version's
	}
	return p, nil
}
