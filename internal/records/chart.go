package records

import (
	"time"

	"github.com/taskmed/taskmed/internal/database"
)

// Chart is where a clinic's medical records are read and written. All of its
// methods act for the context's scope and fail with tenant.ErrNoScope without
// one; several requests may use it at once.
type Chart struct {
	db  *database.DB
	now func() time.Time
}

// New makes a Chart; now is the clock that signatures are dated by.
func New(db *database.DB, now func() time.Time) *Chart {
	return &Chart{db: db, now: now}
}
