package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/models"
)

// ErrUnknownClinic is returned for a slug that no clinic has.
var ErrUnknownClinic = errors.New("there is no such clinic")

// Member says that a subject is to have a role in a clinic.
type Member struct {
	Slug    string
	Subject string
	Role    models.Role
}

// EnsuredMember is what EnsureMember found and did.
type EnsuredMember struct {
	ClinicID uuid.UUID
	// Change says in words what was changed; empty if nothing was.
	Change string
	// First tells that the clinic is the one the subject acts for without
	// X-Clinic-Id.
	First bool
}

// EnsureMember gives a subject a role in a clinic, over a connection of the
// role that owns the database. It is for a developer's machine: nobody's right
// to do so is checked.
func EnsureMember(ctx context.Context, ownerURL string, wanted Member) (EnsuredMember, error) {
	if err := checkSubject(wanted.Subject); err != nil {
		return EnsuredMember{}, err
	}
	if !wanted.Role.IsValid() {
		return EnsuredMember{}, fmt.Errorf("there is no role %q; there are %s", wanted.Role, roleNames())
	}
	conn, err := pgx.Connect(ctx, ownerURL)
	if err != nil {
		return EnsuredMember{}, fmt.Errorf("connect to the database as its owner: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is left to lose
	var done EnsuredMember
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		done, err = ensureMember(ctx, tx, wanted)
		return err
	})
	return done, err
}

func roleNames() string {
	names := make([]string, len(models.AllRole))
	for i, role := range models.AllRole {
		names[i] = string(role)
	}
	return strings.Join(names, ", ")
}

func ensureMember(ctx context.Context, tx pgx.Tx, wanted Member) (EnsuredMember, error) {
	var done EnsuredMember
	err := tx.QueryRow(ctx, "SELECT clinic FROM clinic_slugs WHERE slug = $1", wanted.Slug).Scan(&done.ClinicID)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return done, fmt.Errorf("%w: %s", ErrUnknownClinic, wanted.Slug)
	case err != nil:
		return done, fmt.Errorf("look for the clinic: %w", err)
	}
	// Row-level security binds the owner, too.
	if _, err := tx.Exec(ctx, "SELECT set_config('app.clinic', $1, true)", done.ClinicID.String()); err != nil {
		return done, fmt.Errorf("choose the clinic: %w", err)
	}
	var role models.Role
	var revoked bool
	err = tx.QueryRow(ctx, `SELECT role, revoked_at IS NOT NULL FROM memberships
		WHERE clinic_id = $1 AND subject = $2 FOR UPDATE`, done.ClinicID, wanted.Subject).Scan(&role, &revoked)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		done.Change = fmt.Sprintf("made %s a member of %s as %s", wanted.Subject, wanted.Slug, wanted.Role)
	case err != nil:
		return done, fmt.Errorf("look for the membership: %w", err)
	case revoked:
		done.Change = fmt.Sprintf("gave %s back the membership of %s that was revoked, as %s", wanted.Subject, wanted.Slug, wanted.Role)
	case role != wanted.Role:
		done.Change = fmt.Sprintf("%s was %s in %s and is %s now", wanted.Subject, role, wanted.Slug, wanted.Role)
	}
	if done.Change != "" {
		_, err := tx.Exec(ctx, `INSERT INTO memberships (clinic_id, id, subject, role) VALUES ($1, $2, $3, $4)
			ON CONFLICT (clinic_id, subject) DO UPDATE SET role = excluded.role, revoked_at = NULL`,
			done.ClinicID, models.NewID(), wanted.Subject, wanted.Role)
		if err != nil {
			return done, fmt.Errorf("write the membership: %w", err)
		}
	}
	var first uuid.UUID
	if err := tx.QueryRow(ctx, "SELECT clinic_id FROM app_memberships($1) LIMIT 1", wanted.Subject).Scan(&first); err != nil {
		return done, fmt.Errorf("read the memberships: %w", err)
	}
	done.First = first == done.ClinicID
	return done, nil
}
