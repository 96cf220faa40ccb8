// Package entity is what a noun of the clinic's is: one declaration in its clinic
// package, from which follow how it is read by its id, in lists, below others and
// page by page, what such a read depends on, which of its columns a role sees, and
// the checks that nothing of it was forgotten.
//
// Statements are built by GORM, once for each shape that is asked for, so that the
// tenant plugin puts the clinic into each of them; pgx sends them, those of one
// level of an answer together, and their rows are read by columns' types.
package entity

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"gorm.io/gorm/schema"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// Noun declares an entity whose rows are read into T, a struct with GORM's tags.
// T that has relations embeds models.Prefetched.
type Noun[T any] struct {
	// Kind is the prefix of its global ids; empty for what is no Node.
	Kind models.Kind
	// Type is the schema's object type; T's name if empty.
	Type string
	// Columns says which columns a field is made of where that is not the one column
	// of the field's name.
	Columns map[string][]string
	// One are the fields that give one entity, which a column points at.
	One map[string]One
	// Any are the fields that give one entity of one of several kinds.
	Any map[string]Any
	// Lists, All and First are where the schema shows it below others.
	Lists []List
	All   []All
	First []First
	// Only is a condition that the rows meet which the scope's role may see, wherever
	// they are read; others are absent, as if there were none.
	Only func(q *Query) error
	// Values are what is worked out of it for others.
	Values []Value
	// Mask hides of a row what the scope's role may not see, before anybody else sees
	// it. Of a row that was masked already it must change nothing.
	Mask func(scope *tenant.Scope, row *T)
	// Derive fills in what of a row follows from the server's secret and address, and from
	// who reads it, and is in no column. The fields that it fills are declared in Columns by
	// what it looks at. What follows from the reader or the instant must not be kept:
	// @cacheControl says so.
	Derive func(server Server, to Reader, row *T)
	// Age turns a row into what it is at the answer's instant, and gives when it will be
	// something else though nobody writes it; the zero time where it will not. Of a row
	// that was turned already it must change nothing.
	Age func(now time.Time, row *T) (until time.Time)
	// NoTable is set for values that are computed and not read, and yet have
	// relations: only One and Columns count.
	NoTable bool
}

// Server is what rows may show of the server that gives them.
type Server struct {
	// Secret is the one that all instances share.
	Secret []byte
	// URL is where clients reach the server, without a slash at its end.
	URL string
}

// Reader is whom a row is shown to, and when.
type Reader struct {
	Scope *tenant.Scope
	// Now is the answer's instant.
	Now time.Time
}

// One is a relation to one entity.
type One struct {
	// Kind is what is pointed at, and Column the column that holds its id.
	Kind   models.Kind
	Column string
}

// Declaration is a Noun of any type.
type Declaration interface {
	declared(server Server) (*noun, error)
}

// noun is a declaration made ready.
type noun struct {
	kind    models.Kind
	object  string
	table   string
	columns map[string][]string
	one     map[string]One
	any     map[string]Any
	only    func(q *Query) error
	lists   []List
	all     []All
	first   []First
	values  []Value
	noTable bool

	// fields are the columns of a row by their names, in the struct's order.
	fields map[string]*column
	names  []string
	parsed *schema.Schema
	// holds is whether a row can hold what was fetched below it.
	holds bool
	// target is what GORM is to read into, for its types alone.
	target func() any
	// reader reads rows of which some columns were asked for, each into a new *T.
	reader func(ctx context.Context, scope *tenant.Scope, columns []*column, described []pgconn.FieldDescription, types *pgtype.Map, expected int) reader
	// show hides of a row what a role may not see, and turns it into what it is at the
	// answer's instant; nil where there is nothing to do.
	show func(ctx context.Context, scope *tenant.Scope, row any)
	// slice makes a []*T of rows; an empty one is not nil.
	slice func(rows []any) any
}

// column is one column of a noun's rows.
type column struct {
	name  string
	index []int
	at    int
	kind  reflect.Type
	decoders
}

// holder is an entity that can hold what was fetched below it.
type holder interface {
	Keep(place, child any, err error)
	Kept(place any) (child any, found bool, err error)
}

func (n Noun[T]) declared(server Server) (*noun, error) {
	n = n.deriving(server)
	var row T
	parsed, err := schema.Parse(&row, &sync.Map{}, schema.NamingStrategy{})
	if err != nil {
		return nil, fmt.Errorf("entity: %T: %w", row, err)
	}
	made := &noun{
		kind: n.Kind, object: n.Type, table: parsed.Table, columns: n.Columns, one: n.One, any: n.Any, only: n.Only,
		lists: n.Lists, all: n.All, first: n.First, values: n.Values, noTable: n.NoTable,
		fields: map[string]*column{}, parsed: parsed,
		target: func() any { return &[]T{} },
		reader: func(ctx context.Context, scope *tenant.Scope, columns []*column, described []pgconn.FieldDescription, types *pgtype.Map, expected int) reader {
			return readerOf(columns, described, types, expected, n.shown(ctx, scope))
		},
		slice: sliceOf[T],
	}
	if n.shows() {
		made.show = func(ctx context.Context, scope *tenant.Scope, row any) {
			if typed, ok := row.(*T); ok {
				n.shown(ctx, scope)(typed)
			}
		}
	}
	if made.object == "" {
		made.object = reflect.TypeFor[T]().Name()
	}
	_, made.holds = any(&row).(holder)
	for _, field := range parsed.Fields {
		if field.DBName == "" {
			continue
		}
		made.fields[field.DBName] = &column{
			name: field.DBName, index: field.StructField.Index, at: len(made.names), kind: field.FieldType, decoders: decodersFor(field.FieldType),
		}
		made.names = append(made.names, field.DBName)
	}
	return made, made.check()
}

// deriving is the noun that knows its server.
func (n Noun[T]) deriving(server Server) Noun[T] {
	if derive := n.Derive; derive != nil {
		n.Derive = func(_ Server, to Reader, row *T) { derive(server, to, row) }
	}
	return n
}

// shows tells whether something is done to a row before anybody sees it.
func (n Noun[T]) shows() bool { return n.Derive != nil || n.Mask != nil || n.Age != nil }

// shown is what is done to a row before anybody sees it; nil if nothing is.
func (n Noun[T]) shown(ctx context.Context, scope *tenant.Scope) func(*T) {
	if !n.shows() {
		return nil
	}
	now := touched.Now(ctx)
	return func(row *T) {
		if n.Derive != nil {
			n.Derive(Server{}, Reader{scope, now}, row)
		}
		if n.Mask != nil {
			n.Mask(scope, row)
		}
		if n.Age == nil {
			return
		}
		if until := n.Age(now, row); !until.IsZero() {
			touched.Until(ctx, until)
		}
	}
}

// check looks at what the declaration says by itself.
func (n *noun) check() error {
	if len(n.names) > mostColumns {
		return fmt.Errorf("entity: %s has %d columns, and %d at most can be read", n.object, len(n.names), mostColumns)
	}
	if n.kind != "" {
		if _, err := n.kind.Parse(n.kind.Global(uuid.Nil)); err != nil {
			return fmt.Errorf("entity: ids of %s cannot begin with %q: declare it as a models.Kind of lower case letters, and run make generate", n.object, n.kind)
		}
	}
	for field, columns := range n.columns {
		for _, name := range columns {
			if n.fields[name] == nil {
				return fmt.Errorf("entity: %s.%s is declared to be made of the column %q, which %s has not", n.object, field, name, n.table)
			}
		}
	}
	for field, one := range n.one {
		if n.fields[one.Column] == nil {
			return fmt.Errorf("entity: %s.%s is declared to be found by the column %q, which %s has not", n.object, field, one.Column, n.table)
		}
	}
	for field, declared := range n.any {
		if n.fields[declared.Column] == nil {
			return fmt.Errorf("entity: %s.%s is declared to be found by the column %q, which %s has not", n.object, field, declared.Column, n.table)
		}
	}
	return nil
}

func sliceOf[T any](rows []any) any {
	typed := make([]*T, len(rows))
	for i, row := range rows {
		typed[i], _ = row.(*T) // scan has made them
	}
	return typed
}

// id reads an id column of a row; false where it is null.
func (c *column) id(row any) (uuid.UUID, bool) {
	switch id := reflect.ValueOf(row).Elem().FieldByIndex(c.index).Addr().Interface().(type) {
	case *uuid.UUID:
		return *id, *id != uuid.Nil
	case **uuid.UUID:
		if *id != nil {
			return **id, true
		}
	}
	return uuid.Nil, false
}

// idOf is a row's own id.
func (n *noun) idOf(row any) uuid.UUID {
	id, _ := n.fields["id"].id(row)
	return id
}
