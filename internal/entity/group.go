package entity

import (
	"database/sql"
	"fmt"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/models"
)

// Group is what rows are counted or summed by. The API's keys are the same whatever is
// grouped, and stand in the order of SQL's text.
type Group struct {
	// SQL gives a row's key as it is stored.
	SQL string
	// Tell makes of that what clients are told.
	Tell func(stored string) (string, error)
}

func asStored(stored string) (string, error) { return stored, nil }

func byFormat(column, format string) Group {
	return Group{SQL: fmt.Sprintf("to_char(%s, '%s')", column, format), Tell: asStored}
}

// ByDay groups by the day in a column: "2026-11-23".
func ByDay(column string) Group { return byFormat(column, "YYYY-MM-DD") }

// ByWeek groups by the week of ISO 8601: "2026-W48".
func ByWeek(column string) Group { return byFormat(column, `IYYY-"W"IW`) }

// ByMonth groups by the month: "2026-11".
func ByMonth(column string) Group { return byFormat(column, "YYYY-MM") }

// ByEntity groups by entities of a kind, whose ids SQL gives as text, "" for none; clients
// are told global ids.
func ByEntity(kind models.Kind, text string) Group {
	return Group{SQL: text, Tell: func(stored string) (string, error) {
		if stored == "" {
			return "", nil
		}
		id, err := uuid.Parse(stored)
		return kind.Global(id), err
	}}
}

// ByEnum groups by an enum that stands in the database in the clinics' words.
func ByEnum[T ~string, P interface {
	*T
	sql.Scanner
}](column string) Group {
	return Group{SQL: column, Tell: func(stored string) (string, error) {
		var value T
		err := P(&value).Scan(stored)
		return string(value), err
	}}
}

// ByNothing puts all rows into one group.
func ByNothing() Group { return Group{SQL: "''", Tell: asStored} }
