package database

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/tenant"
)

// clinicOnConnection is where a connection remembers which clinic it has.
const clinicOnConnection = "taskmed.clinic"

// putClinic puts the context's clinic on a connection that the pool hands out,
// if it is not on it already. Without a scope it takes the last clinic off, so
// that row-level security refuses every statement on a tenant's table. A
// connection on which that fails is not to be used.
func putClinic(ctx context.Context, conn *pgx.Conn) (bool, error) {
	wanted := uuid.Nil
	if scope, err := tenant.From(ctx); err == nil {
		wanted = scope.ClinicID
	}
	remembered := conn.PgConn().CustomData()
	if current, ok := remembered[clinicOnConnection].(uuid.UUID); ok && current == wanted {
		return true, nil
	}
	setting := ""
	if wanted != uuid.Nil {
		setting = wanted.String()
	}
	// Forgotten first: if the statement's answer is lost, nobody may rely on it.
	delete(remembered, clinicOnConnection)
	if _, err := conn.Exec(uncounted(ctx), "SELECT set_config('app.clinic', $1, false)", setting); err != nil {
		return false, err
	}
	remembered[clinicOnConnection] = wanted
	return true, nil
}
