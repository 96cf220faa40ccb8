package gqlserver

import (
	"context"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/taskmed/taskmed/internal/profile"
	"github.com/taskmed/taskmed/internal/tenant"
)

// explainHeader asks for the plans of a request's statements: "plans". Only a
// developer's is read.
const explainHeader = "X-TaskMed-Explain"

// watched is what is noted while a developer's request runs.
type watched struct {
	profile *profile.Profile
	// statements counts them all, and their round trips; profile tells most of them apart.
	statements func() (statements, roundTrips int64)
	started    time.Time
}

// watch begins to note. The scope must hold tenant.PermissionDeveloper.
func (s *Server) watch(ctx context.Context, started time.Time) (context.Context, *watched) {
	w := &watched{statements: func() (int64, int64) { return 0, 0 }, started: started}
	if s.config.CountStatements != nil {
		ctx, w.statements = s.config.CountStatements(ctx)
	}
	ctx, w.profile = profile.With(ctx)
	return ctx, w
}

// seen is extensions.taskmed.
func (s *Server) seen(
	ctx context.Context, w *watched, header http.Header, op *graphql.OperationContext, scope *tenant.Scope,
) map[string]any {
	// The time first: what follows is the developer's own.
	took := float64(time.Since(w.started).Microseconds()) / 1000
	shown := w.profile.End()
	if s.config.Explain != nil && header.Get(explainHeader) == "plans" && len(shown.Statements) > 0 {
		s.config.Explain(ctx, scope.ClinicID, shown.Statements)
	}
	statements, roundTrips := w.statements()
	seen := map[string]any{
		"cost": costOf(op), "statements": statements, "roundTrips": roundTrips, "durationMs": took, "fields": shown.Fields, "sql": shown.Statements,
	}
	if shown.MoreFields > 0 {
		seen["moreFields"] = shown.MoreFields
	}
	if shown.MoreStatements > 0 {
		seen["moreStatements"] = shown.MoreStatements
	}
	if told := noteOf(op); told != nil {
		seen["cache"] = told.forDevelopers()
	}
	return seen
}
