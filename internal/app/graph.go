package app

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/graph/generated"
	"github.com/taskmed/taskmed/internal/attachments"
	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/billing"
	"github.com/taskmed/taskmed/internal/calendar"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/idempotency"
	"github.com/taskmed/taskmed/internal/live"
	"github.com/taskmed/taskmed/internal/loaders"
	"github.com/taskmed/taskmed/internal/messaging"
	"github.com/taskmed/taskmed/internal/messaging/channel"
	"github.com/taskmed/taskmed/internal/mutations"
	"github.com/taskmed/taskmed/internal/nouns"
	"github.com/taskmed/taskmed/internal/outbox"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/people"
	"github.com/taskmed/taskmed/internal/people/guesses"
	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/webhooks"
	"github.com/taskmed/taskmed/models"
	"github.com/taskmed/taskmed/resolvers"
)

// graph is the schema with all that answers it.
type graph struct {
	executable graphql.ExecutableSchema
	rights     *rights.Table
	entities   *entity.Registry
	loaders    *loaders.Loaders
	calendar   *calendar.Calendar
	waitlist   *scheduling.Waitlist
	mutations  *mutations.Runner
	talk       *messaging.Correspondence
	files      *attachments.Files
	webhooks   *webhooks.Webhooks
}

// graphParts are what a graph is made of.
type graphParts struct {
	db      *database.DB
	cursors *paging.Cursors
	server  entity.Server
	now     func() time.Time
	// keys remember mutations; nil where each of them is a rehearsal.
	keys *idempotency.Keys
	// guesses are CPFs that are tried at any instance.
	guesses guesses.Shared
	// offers are told what becomes of those of waiting lists.
	offers scheduling.Counted
	// channels are the ways to the channels' providers.
	channels map[models.Channel]channel.Adapter
	// files say what attachments are made of beside the rest.
	files attachments.Config
	// hooks are how webhooks are sent, but for the database, the secret and the clock.
	hooks webhooks.Config
	// fetching is told of relations that are fetched; nil if nobody wants to know.
	fetching func(ctx context.Context, place *selection.Field, parents int) func(error)
}

func newGraph(parts graphParts) (*graph, error) {
	if err := outbox.Check(); err != nil {
		return nil, err
	}
	schema := schemaAlone()
	if err := live.Check(schema); err != nil {
		return nil, err
	}
	table, err := rights.New(schema)
	if err != nil {
		return nil, fmt.Errorf("read the rights: %w", err)
	}
	objects, err := generated.Objects()
	if err != nil {
		return nil, err
	}
	entities, err := entity.New(entity.Config{
		DB: parts.db, Cursors: parts.cursors, Schema: schema, Objects: objects, Rights: table, Server: parts.server, Roots: generated.RootRelations(),
	}, nouns.All()...)
	if err != nil {
		return nil, err
	}
	fetchers, err := loaders.New(loaders.Config{
		DB: parts.db, Registry: entities, Schema: schema, Objects: objects, Now: parts.now, Fetching: parts.fetching,
	})
	if err != nil {
		return nil, err
	}
	talk, err := messaging.New(parts.db, parts.server.Secret, parts.channels, parts.now)
	if err != nil {
		return nil, err
	}
	members := auth.NewStore(parts.db)
	of := parts.files
	of.DB, of.Server, of.Now, of.Standing = parts.db, parts.server, parts.now, members.Standing
	of.May = func(role models.Role) bool { return table.May(role, "Attachment", "url") && models.ReadsRecords(role) }
	files := attachments.New(of)
	parts.hooks.DB, parts.hooks.Secret, parts.hooks.Now = parts.db, parts.server.Secret, parts.now
	hooks, err := webhooks.New(parts.hooks)
	if err != nil {
		return nil, err
	}
	calendars := calendar.New(parts.db, entities, parts.cursors, parts.server, parts.now)
	diary := scheduling.New(parts.db, parts.now)
	waitlist := scheduling.NewWaitlist(diary, parts.offers)
	root := resolvers.New(resolvers.Packages{
		People: people.New(parts.db, entities, parts.cursors, parts.now, parts.guesses), Diary: diary, Waitlist: waitlist,
		Chart: records.New(parts.db, parts.now), Calendar: calendars, Ledger: billing.New(parts.db, parts.now), Keys: members,
		Talk: talk, Files: files, Webhooks: hooks, Objects: objects, Rights: table,
	})
	runner, err := mutations.New(mutations.Config{
		DB: parts.db, Keys: parts.keys, Rehearse: parts.keys == nil, Schema: schema, MayRead: table.MayRead, Resolvers: reflect.TypeFor[generated.MutationResolver](),
		Calling: []string{"testWebhookEndpoint"},
	})
	if err != nil {
		return nil, err
	}
	return &graph{
		executable: generated.NewExecutableSchema(generated.Config{Resolvers: root, Schema: schema}),
		rights:     table, entities: entities, loaders: fetchers, calendar: calendars, waitlist: waitlist, mutations: runner, talk: talk, files: files, webhooks: hooks,
	}, nil
}

// schemaAlone is the schema without anything that answers it.
func schemaAlone() *ast.Schema { return generated.NewExecutableSchema(generated.Config{}).Schema() }
