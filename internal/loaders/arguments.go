package loaders

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/records"
	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/models"
)

// The look-ahead meets a nested field's arguments before the GraphQL library
// reads them for the field's resolver, so it reads them itself.

func appointmentQuery(field selection.Field) (scheduling.AppointmentQuery, error) {
	request, err := requestArguments(field)
	if err != nil {
		return scheduling.AppointmentQuery{}, err
	}
	query := scheduling.AppointmentQuery{Request: request, Count: PlaceOf(field.Set).Count}
	if field.Args["range"] != nil {
		span, err := rangeArgument(field)
		if err != nil {
			return query, err
		}
		query.Range = &span
	}
	query.Status, err = enumsArgument[models.AppointmentStatus](field, "status")
	return query, err
}

func recordQuery(field selection.Field) (records.RecordQuery, error) {
	request, err := requestArguments(field)
	if err != nil {
		return records.RecordQuery{}, err
	}
	kinds, err := enumsArgument[models.RecordKind](field, "kind")
	return records.RecordQuery{Kinds: kinds, Request: request, Count: PlaceOf(field.Set).Count}, err
}

func requestArguments(field selection.Field) (paging.Request, error) {
	var request paging.Request
	var err error
	if request.First, err = intArgument(field, "first"); err != nil {
		return request, err
	}
	if request.Last, err = intArgument(field, "last"); err != nil {
		return request, err
	}
	request.After, request.Before = textArgument(field, "after"), textArgument(field, "before")
	return request, nil
}

func intArgument(field selection.Field, name string) (*int, error) {
	var number int
	switch value := field.Args[name].(type) {
	case nil:
		return nil, nil //nolint:nilnil // absent is an argument's value
	case int64:
		number = int(value)
	case int:
		number = value
	case float64:
		number = int(value)
	case json.Number:
		whole, err := value.Int64()
		if err != nil {
			return nil, models.BadInput("%s must be a whole number", name)
		}
		number = int(whole)
	default:
		return nil, models.BadInput("%s must be a whole number", name)
	}
	return &number, nil
}

func textArgument(field selection.Field, name string) *string {
	if text, ok := field.Args[name].(string); ok {
		return &text
	}
	return nil
}

func rangeArgument(field selection.Field) (models.DateTimeRange, error) {
	var span models.DateTimeRange
	ends, ok := field.Args["range"].(map[string]any)
	if !ok {
		return span, nil
	}
	for name, end := range map[string]**time.Time{"from": &span.From, "to": &span.To} {
		if ends[name] == nil {
			continue
		}
		instant, err := models.UnmarshalDateTime(ends[name])
		if err != nil {
			return span, err
		}
		*end = &instant
	}
	return span, nil
}

// enum is a generated enum type.
type enum[E any] interface {
	*E
	UnmarshalGQL(value any) error
}

func enumsArgument[E any, P enum[E]](field selection.Field, name string) ([]E, error) {
	var values []any
	switch given := field.Args[name].(type) {
	case nil:
		return nil, nil
	case []any:
		values = given
	default:
		// GraphQL takes a single value for a list of one.
		values = []any{given}
	}
	enums := make([]E, len(values))
	for i, value := range values {
		if err := P(&enums[i]).UnmarshalGQL(value); err != nil {
			return nil, models.BadInput("%s holds %s, which is none of its values", name, fmt.Sprintf("%.50q", fmt.Sprint(value)))
		}
	}
	return enums, nil
}
