package loaders

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/vikstrous/dataloadgen"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/selection"
)

const (
	// wait is how long a batch collects keys. It is the last resort's price.
	wait = time.Millisecond
	// batch bounds the keys of one statement.
	batch = 1000
)

// load finds what nobody fetched ahead, by the data loader of its place.
func (r *Response) load(ctx context.Context, place *selection.Field, object string, parent any) (any, error) {
	relation, ok := r.from.Registry.Relation(object, place.Name)
	if !ok {
		return nil, fmt.Errorf("loaders: %s.%s is fetched by nobody", object, place.Name)
	}
	key, points := relation.Key(parent)
	if !points {
		return nil, nil //nolint:nilnil // null is the field's answer
	}
	value, err := r.loader(ctx, place, relation).Load(ctx, key)
	if errors.Is(err, dataloadgen.ErrNotFound) {
		return nil, nil //nolint:nilnil // likewise
	}
	return value, err
}

// loader is the place's data loader. Its statements run in the context of the
// response, which the first who waits has a part of.
func (r *Response) loader(ctx context.Context, place *selection.Field, relation entity.Relation) *dataloadgen.Loader[uuid.UUID, any] {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.loaders[place]; known != nil {
		return known
	}
	if r.loaders == nil {
		r.loaders = map[*selection.Field]*dataloadgen.Loader[uuid.UUID, any]{}
	}
	// Values find their keys by id, not by their place in a list.
	made := dataloadgen.NewMappedLoader(func(_ context.Context, keys []uuid.UUID) (map[uuid.UUID]any, error) {
		a := &asked{place: place, relation: relation}
		a.ask.Keys = keys
		r.descend(ctx, &level{r: r, asked: []*asked{a}})
		if a.err != nil {
			return nil, a.err
		}
		values := make(map[uuid.UUID]any, len(keys))
		for _, key := range keys {
			values[key] = a.value(key)
		}
		return values, nil
	}, dataloadgen.WithWait(wait), dataloadgen.WithBatchCapacity(batch))
	r.loaders[place] = made
	return made
}
