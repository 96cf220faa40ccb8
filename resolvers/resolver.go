// Package resolvers turns the schema's fields into calls of the clinic's
// packages: a resolver parses, calls, wraps, and does nothing else.
package resolvers

import (
	"github.com/taskmed/taskmed/internal/loaders"
	"github.com/taskmed/taskmed/internal/people"
	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/internal/scheduling"
)

// Resolver holds what the fields' resolvers need.
type Resolver struct {
	people *people.Directory
	diary  *scheduling.Diary
	chart  *records.Chart
	ahead  *loaders.LookAhead
	rights *rights.Table
}

// New makes a Resolver over the clinic's packages. table says which types a
// role may see, for ids that only say at run time what they stand for.
func New(from loaders.Sources, table *rights.Table) *Resolver {
	return &Resolver{
		people: from.People, diary: from.Diary, chart: from.Chart,
		ahead: loaders.NewLookAhead(from), rights: table,
	}
}
