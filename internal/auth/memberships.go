package auth

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// Membership is a subject's place in one clinic.
type Membership struct {
	ClinicID   uuid.UUID
	Slug       string
	ClinicName string
	Role       models.Role
	// Permissions are rights beyond the role's, sorted.
	Permissions []string
	// SubjectName is the name the clinic knows the subject by; it may be empty.
	SubjectName string
}

// Memberships are a subject's, those that were revoked left out, the oldest
// first. None is an empty slice and no error.
type Memberships interface {
	Of(ctx context.Context, subject string) ([]Membership, error)
}

// pick chooses the membership a request is made under: the first, or the one
// in the clinic that X-Clinic-Id names. A clinic that the subject does not
// belong to and one that never was must not be told apart.
func pick(all []Membership, wanted string) (Membership, error) {
	if wanted == "" {
		if len(all) == 0 {
			return Membership{}, forbidden(sayNoClinic, errNoMembership)
		}
		return all[0], nil
	}
	clinic, err := parseClinic(wanted)
	if err != nil {
		return Membership{}, err
	}
	for _, membership := range all {
		if membership.ClinicID == clinic {
			return membership, nil
		}
	}
	return Membership{}, forbidden(sayNotThisClinic, errForeignClinic)
}

func parseClinic(wanted string) (uuid.UUID, error) {
	clinic, err := models.KindClinic.Parse(wanted)
	if err != nil || clinic == uuid.Nil {
		return uuid.Nil, &models.Error{Code: models.BadUserInput, Message: sayMalformedID, Cause: errMalformedID}
	}
	return clinic, nil
}

// SubjectTag is what an answer depends on that tells what is known of a subject,
// a partner's key included.
func SubjectTag(subject string) touched.Tag {
	if id, isKey := strings.CutPrefix(subject, models.KeySubject); isKey {
		if key, err := models.KindAPIKey.Parse(id); err == nil {
			return touched.Entity(models.KindAPIKey, key)
		}
	}
	return touched.On("membership", "subject", subject)
}
