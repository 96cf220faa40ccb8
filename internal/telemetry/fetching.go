package telemetry

import (
	"context"
	"time"

	"github.com/taskmed/taskmed/internal/selection"
)

// Fetching counts and traces a relation that is about to be fetched, once for all of
// its parents, before their resolvers are asked; what it gives is called at the end. The
// fields of Query are counted by their resolvers.
func (t *Telemetry) Fetching(ctx context.Context, place *selection.Field, parents int) func(error) {
	began := time.Now()
	loader := place.Of.Object + "." + place.Name
	if parents > 0 {
		t.batches.WithLabelValues(loader).Observe(float64(parents))
	}
	_, span := t.Fetch(ctx, loader, parents)
	return func(err error) {
		span.End(err != nil)
		if place.Above != nil {
			t.fetched(ctx, place, time.Since(began), err != nil)
		}
	}
}

func (t *Telemetry) fetched(ctx context.Context, place *selection.Field, took time.Duration, failed bool) {
	f := t.fields.Named(place.Of.Object, place.Name)
	if f == nil {
		return
	}
	f.Count(took, failed)
	if r := requestOf(ctx); r != nil && took >= noticeable {
		r.addField(f, took)
	}
}
