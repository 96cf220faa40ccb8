package entity

import (
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/touched"
)

// List is a connection of a noun's entities, by keyset.
type List struct {
	// Field is where the schema has it: "Query.contacts", "Contact.appointments".
	Field string
	// Parent is the column that points at the object which the field is of. It is
	// empty for the clinic's lists, below Query and Clinic.
	Parent string
	// Through is the table that says which entities belong to which parent, where both
	// may have many of the other.
	Through *Link
	// Order is the column that the list is sorted by, backwards with Desc; the id
	// decides among equals. By, if set, reads another order from the arguments.
	Order string
	Desc  bool
	By    func(args Args) (column string, desc, given bool)
	// Filter turns arguments into conditions.
	Filter func(q *Query, args Args) error
	// Where is a condition, in SQL without values, that the list's rows meet unless
	// Unless says that the arguments ask for others, too.
	Where  string
	Unless func(args Args) bool
	// Standing, if set, queues what tells whether the list still goes on from the cursor
	// after, given its sort key and id; what it returns is called once that was answered,
	// and its error is the list's.
	Standing func(r *Reading, key string, id uuid.UUID) func() error
	// Depends declares what decides which entities are in the list, and in which
	// order. Without it that is the kind's list as a whole ("contact/list") or,
	// below a parent, the parent's ("appointment/contact=ID").
	Depends func(r *Reading, ask *Ask) error
}

// Link is a table whose rows each join an entity to a parent. It announces, of each
// row, the tag of the entity's kind on the parent ("service/practitioner=ID").
type Link struct {
	// Table has the columns Parent, which points at the parent, and Row, at the entity.
	Table, Parent, Row string
}

type list struct {
	List

	noun     *noun
	registry *Registry
	// connection is the name of the field's type.
	connection string
	// own is whether the parent must be the request's own clinic.
	own bool
}

func (l *list) key() string {
	if l.below() || l.own {
		return "id"
	}
	return ""
}

// below is whether the list is read per parent.
func (l *list) below() bool { return l.Parent != "" || l.Through != nil }

func (l *list) target() *noun { return l.noun }

func (l *list) known(*Reading, *Ask) []uuid.UUID { return nil }

func (l *list) order(args Args, w paging.Window) (*ordered, string) {
	column, desc := l.Order, l.Desc
	if l.By != nil {
		if other, backwards, given := l.By(args); given {
			column, desc = other, backwards
		}
	}
	name := orderNamed(l.Field, &ordered{column, desc})
	return &ordered{column, desc != w.Backward}, name
}

func (l *list) ask(r *Reading, ask *Ask) (func() (*Found, error), error) {
	w, err := requestOf(ask.Args).Window()
	if err != nil {
		return nil, err
	}
	if l.own && (len(ask.Keys) != 1 || ask.Keys[0] != r.scope.ClinicID) {
		return nil, errForeignClinic(l.Field)
	}
	q := r.query()
	if l.Filter != nil {
		if err := l.Filter(q, ask.Args); err != nil {
			return nil, err
		}
	}
	if l.Where != "" && (l.Unless == nil || !l.Unless(ask.Args)) {
		q.Where(l.Where)
	}
	wanted := shown(ask.Place, true)
	order, name := l.order(ask.Args, w)
	by := l.noun.fields[order.column]
	if by == nil || sqlType(by) == "" {
		return nil, badOrder(l.Field, order.column)
	}
	seal := &cursors{l.registry.cursors, r.scope.ClinicID, name, l.noun, by}
	counted := *q
	if err := seal.seek(w, l.forwards(order, w), q); err != nil {
		return nil, err
	}
	if err := l.depend(r, ask); err != nil {
		return nil, err
	}
	standing, err := l.standing(r, seal, w)
	if err != nil {
		return nil, err
	}
	reading := &pages{list: l, standing: standing, r: r, ask: ask, window: w, wanted: wanted, cursors: seal}
	if q.nothing {
		return reading.finish, nil
	}
	return reading.finish, reading.queue(q, &counted, order)
}

// standing queues what tells whether the list still goes on from a window's cursor.
func (l *list) standing(r *Reading, seal *cursors, w paging.Window) (func() error, error) {
	if l.Standing == nil || w.After == nil {
		return nil, nil //nolint:nilnil // nothing has to be told
	}
	key, err := seal.sealer.Decode(seal.clinic, seal.list, *w.After, 2)
	if err != nil {
		return nil, paging.BadCursor("after")
	}
	id, err := uuid.Parse(key[1])
	if err != nil {
		return nil, paging.BadCursor("after")
	}
	return l.Standing(r, key[0], id), nil
}

// forwards is the list's own order, in which cursors are before or after.
func (l *list) forwards(order *ordered, w paging.Window) *ordered {
	return &ordered{order.column, order.backwards != w.Backward}
}

func (l *list) depend(r *Reading, ask *Ask) error {
	if l.Depends != nil {
		return l.Depends(r, ask)
	}
	if l.Parent == "" {
		r.Depends(touched.Of(string(l.noun.kind) + "/list"))
	}
	if l.Through != nil {
		r.dependOnParents(l.noun, l.Through.Parent, ask.Keys)
	}
	if l.Parent == "" {
		return nil
	}
	r.dependOnParents(l.noun, l.Parent, ask.Keys)
	return nil
}

// pages reads one page per parent, or one page.
type pages struct {
	list *list
	// standing tells whether the list goes on from where it was asked to; nil if it does.
	standing func() error
	r        *Reading
	ask      *Ask
	window   paging.Window
	wanted   selection.Wanted
	cursors  *cursors

	rows []any
	// via are the parents of rows that are read through a link.
	via      []uuid.UUID
	read     *database.Statement
	totals   map[uuid.UUID]int
	counting *database.Statement
}

func (p *pages) queue(q, counted *Query, order *ordered) (err error) {
	l, n := p.list, p.list.noun
	st := &statement{
		noun: n, where: q.conditions, each: q.each, gathered: q.gathered, order: order, limit: p.window.Limit + 1, joins: p.ask.joins,
		columns: n.columnsFor(p.wanted, order.column, l.Parent),
	}
	expected := st.limit
	if l.Parent != "" {
		st.per, st.parents = l.Parent, p.ask.Keys
		st.where, st.each = q.plain(), nil
		expected = min(expected*len(p.ask.Keys), 1000)
	}
	if l.Through != nil {
		st.through, st.parents, st.via = l.Through, p.ask.Keys, &p.via
	}
	if p.read, err = p.r.rows(st, expected, &p.rows); err != nil || !p.wanted.Count {
		return err
	}
	count := &statement{noun: n, where: counted.conditions, each: counted.each, counting: true, per: st.per, through: st.through, parents: st.parents}
	p.totals = map[uuid.UUID]int{}
	p.counting, err = p.r.queue(count, func(rows pgx.Rows) error {
		for rows.Next() {
			var parent uuid.UUID
			var total int
			into := []any{&parent, &total}
			if !l.below() {
				into = into[1:]
			}
			if err := rows.Scan(into...); err != nil {
				return err
			}
			p.totals[parent] = total
		}
		return rows.Err()
	})
	return err
}

func (p *pages) finish() (*Found, error) {
	if p.standing != nil {
		if err := p.standing(); err != nil {
			return nil, err
		}
	}
	for _, statement := range []*database.Statement{p.read, p.counting} {
		if statement != nil && statement.Err != nil {
			return nil, statement.Err
		}
	}
	perParent := map[uuid.UUID][]any{}
	switch {
	case p.list.Through != nil:
		for i, row := range p.rows {
			perParent[p.via[i]] = append(perParent[p.via[i]], row)
		}
	case p.list.Parent == "":
		perParent[uuid.Nil] = p.rows
	default:
		parent := p.list.noun.fields[p.list.Parent]
		for _, row := range p.rows {
			if id, ok := parent.id(row); ok {
				perParent[id] = append(perParent[id], row)
			}
		}
	}
	found := &Found{Values: make(map[uuid.UUID]any, len(p.ask.Keys))}
	for _, key := range p.ask.Keys {
		of := key
		if p.list.own {
			of = uuid.Nil
		}
		page, rows := pageOf(p.list.noun, perParent[of], p.window, p.wanted, p.totals[of], p.cursors.of)
		connection, ok := p.list.registry.table.Connection(p.list.connection, page)
		if !ok {
			return nil, errors.New("entity: " + p.list.connection + " is no connection type of the schema")
		}
		found.Values[key] = connection
		p.r.dependOnRows(p.list.noun, rows)
		found.Entities = append(found.Entities, rows...)
	}
	return found, nil
}
