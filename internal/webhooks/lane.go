package webhooks

import (
	"time"

	"github.com/google/uuid"
)

// lane is a row of webhook_lanes.
type lane struct {
	ClinicID     uuid.UUID `gorm:"primaryKey;<-:create"`
	EndpointID   uuid.UUID `gorm:"primaryKey;<-:create"`
	Cursor       int64
	Round        int
	Failures     int
	FailingSince *time.Time
	ProbeAt      *time.Time
}

// TableName implements gorm's schema.Tabler.
func (lane) TableName() string { return "webhook_lanes" }
