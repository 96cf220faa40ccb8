// Package resolvers turns the schema's fields into calls of the clinic's
// packages: a resolver parses, calls, wraps, and does nothing else. Entities, lists
// of them and what hangs below them need none: they follow from the nouns'
// declarations (graph/generated/relations.go).
package resolvers

import (
	"github.com/taskmed/taskmed/graph/generated"
	"github.com/taskmed/taskmed/internal/billing"
	"github.com/taskmed/taskmed/internal/objects"
	"github.com/taskmed/taskmed/internal/people"
	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/internal/scheduling"
)

// Resolver holds what the fields' resolvers need.
type Resolver struct {
	generated.Relations

	people  *people.Directory
	diary   *scheduling.Diary
	chart   *records.Chart
	ledger  *billing.Ledger
	objects *objects.Table
	rights  *rights.Table
}

// New makes a Resolver over the clinic's packages.
func New(directory *people.Directory, diary *scheduling.Diary, chart *records.Chart, ledger *billing.Ledger, table *objects.Table, allowed *rights.Table) *Resolver {
	return &Resolver{people: directory, diary: diary, chart: chart, ledger: ledger, objects: table, rights: allowed}
}

// Query answers the queries.
func (r *Resolver) Query() generated.QueryResolver { return &queryResolver{Resolver: r} }

// Mutation answers the mutations.
func (r *Resolver) Mutation() generated.MutationResolver { return &mutationResolver{r} }

type queryResolver struct {
	generated.QueryRelations
	*Resolver
}

type mutationResolver struct{ *Resolver }
