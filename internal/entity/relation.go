package entity

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
)

// Ask is what is to be fetched for one place of an answer, for all of its parents.
type Ask struct {
	Place *selection.Field
	Args  Args
	// Keys are the parents' keys, each once; without parents there is one, the nil
	// UUID.
	Keys []uuid.UUID

	// joins are what is read beside the rows; rows is how many there are at most, where
	// they are themselves read beside others.
	joins []*join
	rows  int
}

// Found is what was fetched for a place: by the parents' keys, the value that the
// field has, in the Go type that the GraphQL library expects, and all entities in
// them, below which the answer goes on.
type Found struct {
	Values   map[uuid.UUID]any
	Entities []any
	// Absent is the value for a key that is not in Values.
	Absent any
}

// Of is the value for a parent's key.
func (f *Found) Of(key uuid.UUID) any {
	if value, ok := f.Values[key]; ok {
		return value
	}
	return f.Absent
}

// Reading is one round trip: relations queue what they need to know, and say
// what to make of it.
type Reading struct {
	batch    database.Batch
	ctx      context.Context //nolint:containedctx // it lives as long as the call that it stands for
	scope    *tenant.Scope
	db       *database.DB
	registry *Registry
	merged   []*byID
	finding  []*database.Statement
}

// Begin begins a round trip for the context's clinic.
func (r *Registry) Begin(ctx context.Context) (*Reading, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	return &Reading{ctx: ctx, scope: scope, db: r.db, registry: r}, nil
}

// Look begins a round trip of statements that are written by hand alone.
func Look(ctx context.Context, db *database.DB) (*Reading, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	return &Reading{ctx: ctx, scope: scope, db: db}, nil
}

// Send sends what was queued and waits until all of it has been answered.
func (r *Reading) Send() {
	for _, ids := range r.merged {
		ids.queue(r)
	}
	r.db.Run(r.ctx, &r.batch)
	for _, statement := range r.finding {
		if statement.Err != nil {
			touched.Poison(r.ctx, "could not find out what it depends on")
		}
	}
}

// Empty is whether nothing was queued.
func (r *Reading) Empty() bool { return len(r.merged) == 0 && r.batch.Len() == 0 }

// Now is the operation's clock.
func (r *Reading) Now() time.Time { return touched.Now(r.ctx) }

// Scope is who asks.
func (r *Reading) Scope() *tenant.Scope { return r.scope }

// Kept tells whether somebody may keep the answer, and so wants to know as
// narrowly as possible what it depends on.
func (r *Reading) Kept() bool { return touched.Collecting(r.ctx) }

// Depends declares what the answer depends on.
func (r *Reading) Depends(tags ...touched.Tag) { touched.Add(r.ctx, tags...) }

// Until declares that the answer may become another one at an instant.
func (r *Reading) Until(at time.Time) { touched.Until(r.ctx, at) }

// Find queues a statement, written by hand, that finds out what the answer depends
// on or how long it holds; the clinic is $1, values follow. If it fails, the answer
// is one that nobody may keep.
func (r *Reading) Find(sql string, read func(pgx.Rows) error, values ...any) {
	r.finding = append(r.finding, r.batch.Queue(sql, append([]any{r.scope.ClinicID}, values...), read))
}

// Check is Find for what an answer cannot go without: failed gives the statement's error,
// once Send has been called.
func (r *Reading) Check(sql string, read func(pgx.Rows) error, values ...any) (failed func() error) {
	statement := r.batch.Queue(sql, append([]any{r.scope.ClinicID}, values...), read)
	return func() error { return statement.Err }
}

// query begins the conditions of a list.
func (r *Reading) query() *Query {
	return &Query{now: r.Now(), mayRead: func(object string) bool { return r.registry.rights.MayRead(r.scope.Role, object) }}
}

// queue queues a statement that GORM builds.
func (r *Reading) queue(st *statement, read func(pgx.Rows) error) (*database.Statement, error) {
	if st.noun.only != nil {
		q := r.query()
		if err := st.noun.only(q); err != nil {
			return nil, err
		}
		st.where = append(slices.Clone(st.where), q.conditions...)
	}
	sql, args, err := r.registry.statements.sql(r.ctx, r.registry.db, st)
	if err != nil {
		return nil, err
	}
	return r.batch.Queue(sql, args, read), nil
}

// rows queues a statement that reads a noun's rows.
func (r *Reading) rows(st *statement, expected int, into *[]any) (*database.Statement, error) {
	parts := []*part{{noun: st.noun, columns: st.noun.named(st.columns)}}
	eachJoin(st.joins, func(j *join) {
		j.read = &part{noun: j.of, columns: j.of.named(j.columns), seen: map[uuid.UUID]any{}}
		parts = append(parts, j.read)
	})
	return r.queue(st, func(rows pgx.Rows) (err error) {
		*into, err = scan(r.ctx, rows, r.scope, parts, expected, st.via)
		return err
	})
}

func (n *noun) named(names []string) []*column {
	columns := make([]*column, len(names))
	for i, name := range names {
		columns[i] = n.fields[name]
	}
	return columns
}

// relation is how a field's value is fetched.
type relation interface {
	// key is the column of the parent that the field is found by; "" without parents.
	key() string
	// target is the noun that the field's entities are of; nil if they are of several.
	target() *noun
	// known are the ids of the entities that will be read, where they are known
	// before: what hangs below them by their ids can be read in the same round trip.
	known(r *Reading, ask *Ask) []uuid.UUID
	// ask queues what is needed; finish is called once it has been answered.
	ask(r *Reading, ask *Ask) (finish func() (*Found, error), err error)
}

// shown are what is selected of the entities that a field gives.
func shown(of *selection.Field, connection bool) selection.Wanted {
	if connection {
		return selection.Connection(of)
	}
	return selection.Object(of.Below())
}

// Relation is how the value of one of the schema's fields is fetched.
type Relation struct {
	relation

	parent *noun
}

// Relation finds what a field of an object type stands for; false if nobody
// declared it.
func (r *Registry) Relation(object, field string) (Relation, bool) {
	found, ok := r.relations[object+"."+field]
	return Relation{found, r.byObject[object]}, ok
}

// Key is what a parent is found by; false where the parent points at nothing.
func (r Relation) Key(parent any) (uuid.UUID, bool) {
	column := r.key()
	if column == "" {
		return uuid.Nil, true
	}
	return r.parent.fields[column].id(parent)
}

// ByOwnID is whether the field is found by its parent's own id.
func (r Relation) ByOwnID() bool { return r.key() == "id" }

// Ask queues what is needed; finish is to be called once Send has been.
func (r Relation) Ask(reading *Reading, ask *Ask) (finish func() (*Found, error), err error) {
	return r.ask(reading, ask)
}

// Ahead are the ids of the entities that will be read, where they are known.
func (r Relation) Ahead(reading *Reading, ask *Ask) []uuid.UUID { return r.known(reading, ask) }

// Object is the type of the entities that will be read; "" if they are of several.
func (r Relation) Object() string {
	if n := r.target(); n != nil {
		return n.object
	}
	return ""
}

// Paged is whether the field gives a connection.
func (r Relation) Paged() bool {
	_, paged := r.relation.(*list)
	return paged
}
