package writer_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/writer"
	"github.com/taskmed/taskmed/models"
)

const dayView = `query DayView($range: DateTimeRange!) {
  appointments(filter: { range: $range }, first: 50) {
    nodes {
      id startsAt endsAt status
      contact { id name phone }
      practitioner { id name }
      service { id name }
    }
    pageInfo { hasNextPage endCursor }
  }
}`

// day is a clinic's diary for a day, with all that the day view shows kept.
func day(root *selection.Field) *models.AppointmentConnection {
	phone, cursor := "+5511987654321", "eyJzIjoiMjAyNi0xMS0yMlQwOTowMDowMFoifQ"
	nodes := make([]*models.Appointment, 39)
	for i := range nodes {
		appointment := &models.Appointment{
			ID: models.NewID(), StartsAt: time.Date(2026, 11, 22, 9, i, 0, 0, time.UTC), EndsAt: time.Date(2026, 11, 22, 9, i+30, 0, 0, time.UTC),
			Status: models.AppointmentStatusConfirmed,
		}
		for nodesAt := range selection.Named(root.Below(), "nodes") {
			for _, at := range nodesAt.Below() {
				switch at.Name {
				case "contact":
					appointment.Keep(at, &models.Contact{ID: models.NewID(), Name: fmt.Sprintf("Maria da Conceição %d", i), Phone: &phone}, nil)
				case "practitioner":
					appointment.Keep(at, &models.Practitioner{ID: models.NewID(), Name: "Dra. Helena Prado"}, nil)
				case "service":
					appointment.Keep(at, &models.Service{ID: models.NewID(), Name: "Consulta"}, nil)
				}
			}
		}
		nodes[i] = appointment
	}
	return &models.AppointmentConnection{
		Nodes: nodes, Edges: []*models.AppointmentEdge{}, PageInfo: &models.PageInfo{HasNextPage: true, EndCursor: &cursor},
	}
}

// BenchmarkDayView is what answering from prefetched entities costs: by the
// writer alone, and by executing the operation with and without it.
func BenchmarkDayView(b *testing.B) {
	s := newStage(b)
	variables := map[string]any{"range": map[string]any{"from": "2026-11-22T00:00:00Z"}}
	p := s.prepare(b, dayView, variables, 1, true)
	root := p.plan.Fields[0]
	value := day(root)
	p.given[root] = given{value: value}
	out, ok := writer.Append(nil, s.table, root, value, nil)
	require.True(b, ok)
	stock, _ := p.stock()
	require.JSONEq(b, string(stock.Data), `{"appointments":`+string(out)+`}`)
	note := func([]writer.Written) {}

	b.Run("Append", func(b *testing.B) {
		buffer := make([]byte, 0, 32<<10)
		b.ReportAllocs()
		for b.Loop() {
			buffer, _ = writer.Append(buffer[:0], s.table, root, value, note)
		}
	})
	execute := func(b *testing.B, fields graphql.FieldMiddleware) {
		b.Helper()
		e := executor.New(s.schema)
		e.AroundFields(fields)
		ctx := graphql.StartOperationTrace(context.Background())
		operation, problems := e.CreateOperationContext(ctx, &graphql.RawParams{Query: dayView, Variables: variables})
		require.Empty(b, problems)
		b.ReportAllocs()
		for b.Loop() {
			next, ctx := e.DispatchOperation(ctx, operation)
			next(ctx)
		}
	}
	b.Run("Stock", func(b *testing.B) {
		execute(b, func(ctx context.Context, next graphql.Resolver) (any, error) {
			fc := graphql.GetFieldContext(ctx)
			if !fc.IsResolver {
				return next(ctx)
			}
			return p.resolved(fc)
		})
	})
	b.Run("Compiled", func(b *testing.B) {
		execute(b, func(context.Context, graphql.Resolver) (any, error) {
			out, _ := writer.Append(make([]byte, 0, 32<<10), s.table, root, value, note)
			return text(out), nil
		})
	})
}
