package profile

import (
	"context"
	"strings"
	"time"

	"github.com/taskmed/taskmed/internal/selection"
)

// Fetching notes relations that are fetched for the developer who asked, around those
// who are told of everybody's. The fields of Query are noted by their resolvers.
func Fetching(told func(ctx context.Context, place *selection.Field, parents int) func(error)) func(ctx context.Context, place *selection.Field, parents int) func(error) {
	return func(ctx context.Context, place *selection.Field, parents int) func(error) {
		ended := told(ctx, place, parents)
		noted := From(ctx)
		if noted == nil || place.Above == nil {
			return ended
		}
		began := time.Now()
		return func(err error) {
			noted.fetched(strings.Join(place.Path(), "."), place.Of.Object+"."+place.Name, time.Since(began))
			ended(err)
		}
	}
}
