// Package calendar lets other calendars take part in the clinic's diary: feeds that
// they subscribe to (RFC 5545), changes that they follow, and files of theirs that
// block a practitioner's time.
package calendar

import (
	"fmt"
	"sync"
	"time"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/paging"
)

// Calendar works for the context's clinic. It may be used by many goroutines at once.
type Calendar struct {
	db       *database.DB
	entities *entity.Registry
	tokens   *paging.Cursors
	server   entity.Server
	now      func() time.Time
	zones    sync.Map // of *time.Location by name: loading one reads a file
	// taken is what of a snapshot stands in a token; a test takes one that is too simple.
	taken func(snapshot) snapshot
}

// New makes a Calendar. tokens seal what clients synchronise by, server is what feeds'
// addresses are made of, now is the clock.
func New(db *database.DB, entities *entity.Registry, tokens *paging.Cursors, server entity.Server, now func() time.Time) *Calendar {
	return &Calendar{db: db, entities: entities, tokens: tokens, server: server, now: now, taken: snapshot.short}
}

// zone is a time zone by its IANA name.
func (c *Calendar) zone(name string) (*time.Location, error) {
	if known, ok := c.zones.Load(name); ok {
		if zone, ok := known.(*time.Location); ok {
			return zone, nil
		}
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("the clinic's time zone: %w", err)
	}
	c.zones.Store(name, zone)
	return zone, nil
}
