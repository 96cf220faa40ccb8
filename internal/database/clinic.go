package database

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
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
