package entity

import (
	"fmt"
	"maps"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/models"
)

// Any is a relation to one entity of one of several kinds: null where it is gone, or
// where the role may not read it.
type Any struct {
	// Column holds its id. No two entities have the same, of whatever kinds, so that
	// nobody has to say which of them it is.
	Column string
	Kinds  []models.Kind
}

type anyOf struct {
	column   string
	of       []*noun
	registry *Registry
}

// anyOf makes a declared relation.
func (r *Registry) anyOf(object, field string, declared Any) (*anyOf, error) {
	made := &anyOf{column: declared.Column, registry: r}
	for _, kind := range declared.Kinds {
		target := r.byKind[kind]
		if target == nil {
			return nil, fmt.Errorf("entity: %s.%s points at the kind %q, which nobody declares", object, field, kind)
		}
		made.of = append(made.of, target)
	}
	return made, nil
}

func (a *anyOf) key() string                      { return a.column }
func (a *anyOf) target() *noun                    { return nil }
func (a *anyOf) known(*Reading, *Ask) []uuid.UUID { return nil }

func (a *anyOf) ask(r *Reading, ask *Ask) (func() (*Found, error), error) {
	picks := make([]func() (*Found, error), 0, len(a.of))
	for _, of := range a.of {
		if a.registry.rights.MayRead(r.scope.Role, of.object) {
			picks = append(picks, r.byID(of, ask.Keys, of.columnsFor(objectWanted(ask, of))))
		}
	}
	return func() (*Found, error) {
		all := &Found{Values: make(map[uuid.UUID]any, len(ask.Keys))}
		for _, pick := range picks {
			found, err := pick()
			if err != nil {
				return nil, err
			}
			maps.Copy(all.Values, found.Values)
			all.Entities = append(all.Entities, found.Entities...)
		}
		return all, nil
	}, nil
}
