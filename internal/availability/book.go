// Package availability is the diary's rule book: what of a practitioner's time is
// free, on the clinic's grid, and what stands in the way of a time that is not.
// Whoever books, moves, holds or offers a time asks it, in the transaction that
// writes, and so does whoever shows free times: they cannot differ.
package availability

import (
	"context"
	"fmt"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/database"
)

// Book answers for the context's clinic. It may be used by many goroutines at once.
type Book struct {
	db    *database.DB
	now   func() time.Time
	zones *sync.Map // of *time.Location by name: loading one reads a file
	// tx is the transaction in which facts are read; nil for a connection's own.
	tx *gorm.DB
}

// New makes a Book. now is the clock that tells the past from the future.
func New(db *database.DB, now func() time.Time) *Book {
	return &Book{db: db, now: now, zones: &sync.Map{}}
}

// In is the book as a transaction sees it, and its locks keep it.
func (b *Book) In(tx *gorm.DB) *Book {
	within := *b
	within.tx = tx
	return &within
}

// Zone is a clinic's time zone by its IANA name.
func (b *Book) Zone(name string) (*time.Location, error) {
	if known, ok := b.zones.Load(name); ok {
		if zone, ok := known.(*time.Location); ok {
			return zone, nil
		}
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("the clinic's time zone: %w", err)
	}
	b.zones.Store(name, zone)
	return zone, nil
}

// read reads rows; what they depend on is declared by database.Depends.
func read[T any](ctx context.Context, b *Book, sql string, args ...any) ([]*T, error) {
	if b.tx == nil {
		return database.Rows[T](ctx, b.db, sql, args...)
	}
	var rows []*T
	err := b.tx.Raw(sql, args...).Find(&rows).Error
	return rows, err
}
