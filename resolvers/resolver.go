// Package resolvers turns the schema's fields into calls of the clinic's
// packages: a resolver parses, calls, wraps, and does nothing else. Entities, lists
// of them and what hangs below them need none: they follow from the nouns'
// declarations (graph/generated/relations.go).
package resolvers

import (
	"github.com/taskmed/taskmed/graph/generated"
	"github.com/taskmed/taskmed/internal/attachments"
	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/billing"
	"github.com/taskmed/taskmed/internal/calendar"
	"github.com/taskmed/taskmed/internal/messaging"
	"github.com/taskmed/taskmed/internal/objects"
	"github.com/taskmed/taskmed/internal/people"
	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/internal/webhooks"
)

// Resolver holds what the fields' resolvers need.
type Resolver struct {
	generated.Relations

	people   *people.Directory
	diary    *scheduling.Diary
	waitlist *scheduling.Waitlist
	chart    *records.Chart
	calendar *calendar.Calendar
	ledger   *billing.Ledger
	keys     *auth.Store
	talk     *messaging.Correspondence
	files    *attachments.Files
	webhooks *webhooks.Webhooks
	objects  *objects.Table
	rights   *rights.Table
}

// Packages are the clinic's packages, and what is known of the schema's types.
type Packages struct {
	People   *people.Directory
	Diary    *scheduling.Diary
	Waitlist *scheduling.Waitlist
	Chart    *records.Chart
	Calendar *calendar.Calendar
	Ledger   *billing.Ledger
	Keys     *auth.Store
	Talk     *messaging.Correspondence
	Files    *attachments.Files
	Webhooks *webhooks.Webhooks
	Objects  *objects.Table
	Rights   *rights.Table
}

// New makes a Resolver over the clinic's packages.
func New(of Packages) *Resolver {
	return &Resolver{
		people: of.People, diary: of.Diary, waitlist: of.Waitlist, chart: of.Chart, calendar: of.Calendar, ledger: of.Ledger, keys: of.Keys, talk: of.Talk, files: of.Files, webhooks: of.Webhooks,
		objects: of.Objects, rights: of.Rights,
	}
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
