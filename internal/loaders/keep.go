package loaders

import (
	"context"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/models"
)

// Place is what a connection's selection wants of its entities.
type Place struct {
	// Nodes is what is selected of them, at all places of the connection.
	Nodes selection.Set
	// Shared tells that they are shown at more than one place (nodes and
	// edges.node, or aliases): a response key then does not name one thing, so
	// nothing may be kept on the entities under it.
	Shared bool
	// Count tells whether totalCount is selected.
	Count bool
}

// PlaceOf reads a connection's selection.
func PlaceOf(connection selection.Set) Place {
	var place Place
	var shown []selection.Set
	for field := range connection.All() {
		switch field.Name {
		case "nodes":
			shown = append(shown, field.Set)
		case "edges":
			for node := range field.Set.Named("node") {
				shown = append(shown, node.Set)
			}
		case "totalCount":
			place.Count = true
		}
	}
	place.Nodes, place.Shared = selection.Merge(shown...), len(shown) > 1
	return place
}

// each looks at every selected field below entities; without entities there is
// nothing to look for.
func each[T any](
	ctx context.Context, from Sources, kind string, entities []*T, sel selection.Set, look func(ctx context.Context, field selection.Field) error,
) error {
	if len(entities) == 0 {
		return nil
	}
	for field := range sel.All() {
		if from.Ahead == nil || field.Set.Leaf() {
			if err := look(ctx, field); err != nil {
				return err
			}
			continue
		}
		below, done := from.Ahead(ctx, kind+"."+field.Name, len(entities))
		err := look(below, field)
		done(err)
		if err != nil {
			return err
		}
	}
	return nil
}

// ids are the distinct keys of entities, without the nil id.
func ids[T any](entities []*T, keyOf func(*T) uuid.UUID) []uuid.UUID {
	seen := make(map[uuid.UUID]struct{}, len(entities))
	distinct := make([]uuid.UUID, 0, len(entities))
	for _, entity := range entities {
		key := keyOf(entity)
		if _, known := seen[key]; known || key == uuid.Nil {
			continue
		}
		seen[key] = struct{}{}
		distinct = append(distinct, key)
	}
	return distinct
}

// parent is an entity that keeps what was fetched below it.
type parent[T any] interface {
	*T
	Put(key string, child any)
}

// keepOne puts each parent's one child on it, also that there is none, and
// gives the children, each once.
func keepOne[P any, Ptr parent[P], C any](parents []*P, key string, keyOf func(*P) uuid.UUID, children map[uuid.UUID]*C) []*C {
	for _, p := range parents {
		Ptr(p).Put(key, children[keyOf(p)])
	}
	found := make([]*C, 0, len(children))
	for _, child := range children {
		found = append(found, child)
	}
	return found
}

// keep puts each parent's page on it and gives the pages.
func keep[P any, Ptr parent[P], C any](
	parents []*P, key string, keyOf func(*P) uuid.UUID, pages map[uuid.UUID]*paging.Page[C],
) []*paging.Page[C] {
	kept := make([]*paging.Page[C], 0, len(pages))
	for _, p := range parents {
		if page, found := pages[keyOf(p)]; found {
			Ptr(p).Put(key, page)
		}
	}
	for _, page := range pages {
		kept = append(kept, page)
	}
	return kept
}

func items[T any](pages []*paging.Page[T]) []*T {
	var all []*T
	for _, page := range pages {
		all = append(all, page.Items...)
	}
	return all
}

func orNil(id *uuid.UUID) uuid.UUID {
	if id == nil {
		return uuid.Nil
	}
	return *id
}

func contactID(c *models.Contact) uuid.UUID           { return c.ID }
func appointmentID(a *models.Appointment) uuid.UUID   { return a.ID }
func recordID(r *models.MedicalRecord) uuid.UUID      { return r.ID }
func practitionerID(p *models.Practitioner) uuid.UUID { return p.ID }
