package models

import (
	"database/sql/driver"
	"errors"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/lib/pq"
)

// Texts is a text[] column. pgx reads the binary form of an array, and GORM,
// through database/sql, its text; lib/pq's type alone knows only the text.
type Texts []string

// Scan implements sql.Scanner.
func (t *Texts) Scan(source any) error { return (*pq.StringArray)(t).Scan(source) }

// Value implements driver.Valuer.
func (t Texts) Value() (driver.Value, error) { return pq.StringArray(t).Value() }

// GormDataType tells GORM the column's type.
func (Texts) GormDataType() string { return "text[]" }

// SetDimensions implements pgtype.ArraySetter.
func (t *Texts) SetDimensions(dimensions []pgtype.ArrayDimension) error {
	if len(dimensions) > 1 {
		return errors.New("a list of texts cannot be read from an array of more than one dimension")
	}
	*t = nil
	if dimensions != nil {
		*t = Texts{}
	}
	if len(dimensions) == 1 {
		*t = make(Texts, dimensions[0].Length)
	}
	return nil
}

// ScanIndex implements pgtype.ArraySetter.
func (t *Texts) ScanIndex(i int) any { return &(*t)[i] }

// ScanIndexType implements pgtype.ArraySetter.
func (t *Texts) ScanIndexType() any { return new(string) }
