package gqlserver

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/profile"
)

// explainHeader asks for the plans of a request's statements: "plans". Only a
// developer's is read.
const explainHeader = "X-TaskMed-Explain"

// Statements tells a developer what a request asked of the database.
type Statements interface {
	// Count begins to count the SQL statements made under the context it returns,
	// and the round trips that they took.
	Count(ctx context.Context) (context.Context, func() (statements, roundTrips int64))
	// Explain gives statements their plans, for a clinic. It bounds the time that it
	// takes by itself.
	Explain(ctx context.Context, clinic uuid.UUID, statements []*profile.Statement)
}

// unseen is Statements where there is no database.
type unseen struct{}

// Count implements Statements.
func (unseen) Count(ctx context.Context) (context.Context, func() (statements, roundTrips int64)) {
	return ctx, func() (int64, int64) { return 0, 0 }
}

// Explain implements Statements.
func (unseen) Explain(context.Context, uuid.UUID, []*profile.Statement) {}

// watched is what is noted while a developer's request runs.
type watched struct {
	profile *profile.Profile
	// statements counts them all, and their round trips; profile tells most of them apart.
	statements func() (statements, roundTrips int64)
}

// watch begins to note. The scope must hold tenant.PermissionDeveloper.
func (q *request) watch(ctx context.Context) (context.Context, *watched) {
	w := &watched{}
	ctx, w.statements = q.config.Statements.Count(ctx)
	ctx, w.profile = profile.With(ctx)
	return ctx, w
}

// seen is extensions.taskmed.
func (q *request) seen(ctx context.Context) map[string]any {
	// The time first: what follows is the developer's own.
	took := float64(time.Since(q.started).Microseconds()) / 1000
	shown := q.watched.profile.End()
	if q.in.Header.Get(explainHeader) == "plans" && len(shown.Statements) > 0 {
		q.config.Statements.Explain(ctx, q.scope.ClinicID, shown.Statements)
	}
	statements, roundTrips := q.watched.statements()
	seen := map[string]any{
		"cost": q.estimate(), "statements": statements, "roundTrips": roundTrips, "durationMs": took, "fields": shown.Fields, "sql": shown.Statements,
	}
	if shown.MoreFields > 0 {
		seen["moreFields"] = shown.MoreFields
	}
	if shown.MoreStatements > 0 {
		seen["moreStatements"] = shown.MoreStatements
	}
	if q.told != nil {
		seen["cache"] = q.told.forDevelopers()
	}
	return seen
}
