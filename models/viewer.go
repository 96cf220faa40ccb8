package models

import "github.com/google/uuid"

// Viewer is the person or the partner's key behind a request.
type Viewer struct {
	Subject     string
	Name        *string
	Role        Role
	ClinicID    uuid.UUID
	Memberships []*Membership `gorm:"-"`
	// PractitionerID is the practitioner who the viewer is.
	PractitionerID *uuid.UUID
	// Permissions are what the role may.
	Permissions []string `gorm:"-"`

	Prefetched `gorm:"-"`
}
