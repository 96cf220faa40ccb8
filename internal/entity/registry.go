package entity

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/objects"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// Registry holds all nouns and the relations between them. It does not change
// and may be shared.
type Registry struct {
	db      *database.DB
	cursors *paging.Cursors
	table   *objects.Table
	rights  *rights.Table

	byKind   map[models.Kind]*noun
	byObject map[string]*noun
	// relations are found by the field's place in the schema: "Contact.appointments".
	relations  map[string]relation
	statements statements
}

// Config is what a Registry reads by.
type Config struct {
	DB      *database.DB
	Cursors *paging.Cursors
	Schema  *ast.Schema
	Objects *objects.Table
	Rights  *rights.Table
	Server  Server
	// Roots are the fields of Query that no resolver answers by itself.
	Roots []string
}

// New puts the nouns together. It fails, naming all that is missing, unless the
// schema and the declarations say the same.
func New(config Config, declarations ...Declaration) (*Registry, error) {
	r := &Registry{
		db: config.DB, cursors: config.Cursors, table: config.Objects, rights: config.Rights,
		byKind: map[models.Kind]*noun{}, byObject: map[string]*noun{}, relations: map[string]relation{},
	}
	var faults []error
	for _, declaration := range declarations {
		n, err := declaration.declared(config.Server)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if r.byObject[n.object] != nil {
			faults = append(faults, fmt.Errorf("entity: %s is declared twice", n.object))
			continue
		}
		if other := r.byKind[n.kind]; n.kind != "" && other != nil {
			faults = append(faults, fmt.Errorf("entity: %s and %s are both declared with the kind %q: an id would stand for two things", other.object, n.object, n.kind))
			continue
		}
		r.byObject[n.object] = n
		if n.kind != "" {
			r.byKind[n.kind] = n
		}
	}
	for _, n := range r.byObject {
		faults = append(faults, r.relate(n)...)
	}
	faults = append(faults, r.roots(config)...)
	faults = append(faults, r.complete(config.Schema)...)
	return r, errors.Join(faults...)
}

// relate makes the relations that a noun declares.
func (r *Registry) relate(n *noun) (faults []error) {
	add := func(field string, made relation) {
		object, name, _ := strings.Cut(field, ".")
		known := r.table.Named(object)
		switch {
		case known == nil || known.Fields[name] == nil:
			faults = append(faults, fmt.Errorf("entity: %s declares the field %s, which the schema has not", n.object, field))
		case !known.Fields[name].Relation():
			faults = append(faults, fmt.Errorf("entity: %s declares the field %s, which its Go type holds already", n.object, field))
		case r.relations[field] != nil:
			faults = append(faults, fmt.Errorf("entity: the field %s is declared twice", field))
		default:
			r.relations[field] = made
		}
	}
	for field, declared := range n.one {
		target := r.byKind[declared.Kind]
		if target == nil {
			faults = append(faults, fmt.Errorf("entity: %s.%s points at the kind %q, which nobody declares", n.object, field, declared.Kind))
			continue
		}
		add(n.object+"."+field, &one{column: declared.Column, of: target})
	}
	for field, declared := range n.any {
		made, err := r.anyOf(n.object, field, declared)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		add(n.object+"."+field, made)
	}
	for _, declared := range n.lists {
		made := &list{List: declared, noun: n, registry: r, own: strings.HasPrefix(declared.Field, "Clinic.")}
		if object, name, _ := strings.Cut(declared.Field, "."); r.table.Named(object) != nil && r.table.Named(object).Fields[name] != nil {
			made.connection = r.table.Named(object).Fields[name].Result
		}
		faults = append(faults, n.has(declared.Field, declared.Order, declared.Parent)...)
		if declared.Through != nil && declared.Parent != "" {
			faults = append(faults, fmt.Errorf("entity: %s is declared with a parent and a link: one of them says whose the rows are", declared.Field))
		}
		add(declared.Field, made)
	}
	for _, declared := range n.all {
		faults = append(faults, n.has(declared.Field, declared.Order, declared.Parent)...)
		made := &all{some{n, declared.Parent, ordered{declared.Order, false}, mostPerParent, declared.Finder}, declared}
		if declared.Finder != "" {
			made.order.column = foundPlace
		}
		add(declared.Field, made)
	}
	for _, declared := range n.first {
		faults = append(faults, n.has(declared.Field, declared.Order, declared.Parent)...)
		add(declared.Field, &first{some{n, declared.Parent, ordered{declared.Order, declared.Desc}, 1, ""}, declared})
	}
	for _, declared := range n.values {
		faults = append(faults, n.has(declared.Field, declared.Parent)...)
		add(declared.Field, &value{n, declared})
	}
	return faults
}

func (n *noun) has(field string, columns ...string) (faults []error) {
	for name := range strings.SplitSeq(strings.Join(columns, ","), ",") {
		if name != "" && n.fields[name] == nil {
			faults = append(faults, fmt.Errorf("entity: %s needs the column %q, which %s has not", field, name, n.table))
		}
	}
	return faults
}

// Known tells whether ids of a kind stand for something that node may give.
func (r *Registry) Known(kind models.Kind) bool { return r.byKind[kind] != nil }

// Nouns tells what is declared, for who checks it against other things: the
// object type, the kind and the table of each.
func (r *Registry) Nouns() []Described {
	var all []Described
	for _, n := range r.byObject {
		if !n.noTable {
			all = append(all, Described{Object: n.object, Kind: n.kind, Table: n.table, Columns: n.names})
		}
	}
	return all
}

// Described is a noun as others see it.
type Described struct {
	Object  string
	Kind    models.Kind
	Table   string
	Columns []string
}

func errForeignClinic(field string) error {
	_, name, _ := strings.Cut(field, ".")
	return &models.Error{
		Code:    models.Forbidden,
		Message: name + " can be read for the request's own clinic only: pick the clinic with the X-Clinic-Id header",
	}
}

// Columns are those that a selection of an object type's entities needs, for who
// reads them by a statement of its own.
func (r *Registry) Columns(object string, wanted selection.Wanted) []string {
	return r.byObject[object].columnsFor(wanted)
}

// Show hides of an entity that somebody else read, or wrote, what the scope's role may
// not see, and turns it into what it is at the answer's instant. What was shown already
// stays as it is.
func (r *Registry) Show(ctx context.Context, scope *tenant.Scope, object string, entity any) {
	if n := r.byObject[object]; n != nil && n.show != nil {
		n.show(ctx, scope, entity)
	}
}
