package entity

import (
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// Value is what Postgres works out of the noun's rows for each parent, and is no entity:
// a sum, for instance.
type Value struct {
	// Field is where the schema has it, and Parent the column of the rows that points
	// there; which rows those are must not change unless the parent's tag is announced.
	Field, Parent string
	// SQL is given the clinic as $1 and the parents' ids as $2, and answers with one row
	// for each of them, whose first column is that id.
	SQL string
	// Read makes the field's value, in the Go type that the GraphQL library expects, of
	// the row that rows stand at.
	Read func(rows pgx.Rows) (parent uuid.UUID, value any, err error)
}

type value struct {
	noun     *noun
	declared Value
}

func (v *value) key() string                      { return "id" }
func (v *value) target() *noun                    { return nil }
func (v *value) known(*Reading, *Ask) []uuid.UUID { return nil }
func (v *value) ask(r *Reading, ask *Ask) (func() (*Found, error), error) {
	r.dependOnParents(v.noun, v.declared.Parent, ask.Keys)
	// The currency, the zone.
	r.Depends(touched.Entity(models.KindClinic, r.scope.ClinicID))
	found := &Found{Values: make(map[uuid.UUID]any, len(ask.Keys))}
	sent := r.batch.Queue(v.declared.SQL, []any{r.scope.ClinicID, ask.Keys}, func(rows pgx.Rows) error {
		for rows.Next() {
			parent, made, err := v.declared.Read(rows)
			if err != nil {
				return err
			}
			found.Values[parent] = made
		}
		return rows.Err()
	})
	return func() (*Found, error) { return found, sent.Err }, nil
}
