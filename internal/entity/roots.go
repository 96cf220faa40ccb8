package entity

import (
	"fmt"

	"github.com/google/uuid"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/models"
)

// mostNodes bounds the ids of one nodes field.
const mostNodes = 100

// roots makes the relations of Query that follow from the schema: an entity by its
// id, and any entities by their global ids. The others were declared as lists.
func (r *Registry) roots(config Config) (faults []error) {
	for _, name := range config.Roots {
		definition := config.Schema.Query.Fields.ForName(name)
		if definition == nil {
			faults = append(faults, fmt.Errorf("entity: Query has no field %s", name))
			continue
		}
		result := config.Schema.Types[definition.Type.Name()]
		id, ids := definition.Arguments.ForName("id"), definition.Arguments.ForName("ids")
		switch {
		case r.relations["Query."+name] != nil:
		case result.Kind == ast.Interface && id != nil:
			r.relations["Query."+name] = &nodes{registry: r}
		case result.Kind == ast.Interface && ids != nil:
			r.relations["Query."+name] = &nodes{registry: r, many: true}
		case r.byObject[result.Name] != nil && id != nil && definition.Type.Elem == nil:
			r.relations["Query."+name] = &rootByID{of: r.byObject[result.Name]}
		case r.byObject[result.Name] != nil && r.byObject[result.Name].kind == models.KindClinic && len(definition.Arguments) == 0:
			r.relations["Query."+name] = &rootByID{of: r.byObject[result.Name], own: true}
		default:
			faults = append(faults, fmt.Errorf("entity: Query.%s is no declared list, finds no entity by its id, and has no resolver", name))
		}
	}
	return faults
}

// rootByID finds one entity by the global id in an argument, or the clinic that the
// request is for.
type rootByID struct {
	of  *noun
	own bool
}

func (b *rootByID) key() string   { return "" }
func (b *rootByID) target() *noun { return b.of }

func (b *rootByID) id(r *Reading, ask *Ask) (uuid.UUID, error) {
	if b.own {
		return r.scope.ClinicID, nil
	}
	id, err := b.of.kind.Parse(Arg[string](ask.Args, "id"))
	if err != nil {
		return uuid.Nil, models.BadInput("id is no id of a %s", b.of.kind.Words())
	}
	return id, nil
}

func (b *rootByID) known(r *Reading, ask *Ask) []uuid.UUID {
	if id, err := b.id(r, ask); err == nil {
		return []uuid.UUID{id}
	}
	return nil
}

func (b *rootByID) ask(r *Reading, ask *Ask) (func() (*Found, error), error) {
	id, err := b.id(r, ask)
	if err != nil {
		return nil, err
	}
	pick := r.byID(b.of, []uuid.UUID{id}, b.of.columnsFor(shown(ask.Place, false)))
	return func() (*Found, error) {
		found, err := pick()
		if err != nil {
			return nil, err
		}
		return &Found{Values: map[uuid.UUID]any{uuid.Nil: found.Of(id)}, Entities: found.Entities}, nil
	}, nil
}

// nodes finds entities of any kind by their global ids. One of a kind that the
// role may not see is absent, as if there were none.
type nodes struct {
	registry *Registry
	many     bool
}

func (n *nodes) key() string                      { return "" }
func (n *nodes) target() *noun                    { return nil }
func (n *nodes) known(*Reading, *Ask) []uuid.UUID { return nil }

func (n *nodes) ask(r *Reading, ask *Ask) (func() (*Found, error), error) {
	globals := []string{Arg[string](ask.Args, "id")}
	if n.many {
		globals = Arg[[]string](ask.Args, "ids")
	}
	if len(globals) > mostNodes {
		return nil, models.BadInput("ids may hold %d ids at most", mostNodes)
	}
	wanted := map[*noun][]uuid.UUID{}
	for _, global := range globals {
		kind, id, err := models.ParseGlobal(global)
		if err != nil || !n.registry.Known(kind) {
			return nil, models.BadInput("this is no id: ids are given by the API and not to be changed")
		}
		of := n.registry.byKind[kind]
		if n.registry.rights.MayRead(r.scope.Role, of.object) {
			wanted[of] = append(wanted[of], id)
		}
	}
	picks := make([]func() (*Found, error), 0, len(wanted))
	for of, ids := range wanted {
		picks = append(picks, r.byID(of, ids, of.columnsFor(objectWanted(ask, of))))
	}
	return func() (*Found, error) { return n.gather(globals, picks) }, nil
}

func (n *nodes) gather(globals []string, picks []func() (*Found, error)) (*Found, error) {
	all := &Found{}
	byGlobal := map[string]models.Node{}
	for _, pick := range picks {
		found, err := pick()
		if err != nil {
			return nil, err
		}
		for _, entity := range found.Entities {
			if node, ok := entity.(models.Node); ok {
				byGlobal[n.registry.table.Of(entity).GlobalID(entity)] = node
			}
		}
		all.Entities = append(all.Entities, found.Entities...)
	}
	if !n.many {
		if node, ok := byGlobal[globals[0]]; ok {
			all.Values = map[uuid.UUID]any{uuid.Nil: node}
		}
		return all, nil
	}
	list := make([]models.Node, len(globals))
	for i, global := range globals {
		list[i] = byGlobal[global]
	}
	all.Values = map[uuid.UUID]any{uuid.Nil: list}
	return all, nil
}
