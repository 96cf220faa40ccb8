package database

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/tenant"
)

// clinicOnConnection is where a connection remembers which clinic it has.
const clinicOnConnection = "taskmed.clinic"

// setClinic puts a clinic on the connection it is sent on, until another is put there.
const setClinic = "SELECT set_config('app.clinic', $1, false)"

// putClinic puts the context's clinic on a connection that the pool hands out,
// if it is not on it already. Without a scope it takes the last clinic off, so
// that row-level security refuses every statement on a tenant's table. A
// connection on which that fails is not to be used. Readers that send the clinic
// together with their first statement say so by clinicLater.
func putClinic(ctx context.Context, conn *pgx.Conn) (bool, error) {
	wanted := wantedClinic(ctx)
	if hasClinic(conn, wanted) || ctx.Value(clinicLaterKey{}) != nil {
		return true, nil
	}
	// Forgotten first: if the statement's answer is lost, nobody may rely on it.
	forgetClinic(conn)
	if _, err := conn.Exec(uncounted(ctx), setClinic, clinicSetting(wanted)); err != nil {
		return false, err
	}
	rememberClinic(conn, wanted)
	return true, nil
}

// clinicSetting is how a clinic stands in the setting; no clinic is empty.
func clinicSetting(clinic uuid.UUID) string {
	if clinic == uuid.Nil {
		return ""
	}
	return clinic.String()
}

func forgetClinic(conn *pgx.Conn) { delete(conn.PgConn().CustomData(), clinicOnConnection) }

func rememberClinic(conn *pgx.Conn, clinic uuid.UUID) {
	conn.PgConn().CustomData()[clinicOnConnection] = clinic
}

type clinicLaterKey struct{}

// clinicLater tells the pool's hook that whoever takes the connection sends the
// clinic along with the first statement.
func clinicLater(ctx context.Context) context.Context {
	return context.WithValue(ctx, clinicLaterKey{}, true)
}

// wantedClinic is the clinic that a context's statements run for; none without a scope.
func wantedClinic(ctx context.Context) uuid.UUID {
	if scope, err := tenant.From(ctx); err == nil {
		return scope.ClinicID
	}
	return uuid.Nil
}

// hasClinic tells whether a connection has a clinic on it already.
func hasClinic(conn *pgx.Conn, wanted uuid.UUID) bool {
	current, known := conn.PgConn().CustomData()[clinicOnConnection].(uuid.UUID)
	return known && current == wanted
}
