package gqlserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/internal/requestid"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

const (
	internalMessage        = "internal error"
	unavailableMessage     = "the answer took too long; try again"
	unauthenticatedMessage = "send a valid token as Authorization: Bearer"
	inputMessage           = "a value is not of its type"
)

// presenter turns errors into what a client may see: a code, words that are
// meant for it, and the request's id. What it does not know is an internal
// error, and its words go to the log alone.
type presenter struct {
	log *slog.Logger
}

// errRecovered is a panic that is in the log already.
var errRecovered = errors.New("a panic, which is in the log")

// recovered implements graphql.RecoverFunc. A panic's words are not logged:
// they may hold what a client sent; its type and stack are.
func (p *presenter) recovered(ctx context.Context, reason any) error {
	words := fmt.Sprintf("%T", reason)
	if fault, ok := reason.(interface{ RuntimeError() }); ok {
		words = fmt.Sprint(fault)
	}
	p.log.LogAttrs(ctx, slog.LevelError, "panic", append(p.where(ctx),
		slog.String("reason", words), slog.String("stack", string(debug.Stack())))...)
	return errRecovered
}

// present implements graphql.ErrorPresenterFunc. The error it returns is new:
// those of the operation check are shared between requests.
func (p *presenter) present(ctx context.Context, err error) *gqlerror.Error {
	shown := &gqlerror.Error{Err: err}
	var located *gqlerror.Error
	if errors.As(err, &located) {
		shown.Path, shown.Locations = located.Path, located.Locations
	}
	if shown.Path == nil {
		shown.Path = graphql.GetPath(ctx)
	}
	code, message := p.translate(ctx, err, located)
	shown.Message = message
	shown.Extensions = map[string]any{"code": code, "requestId": requestid.From(ctx)}
	return shown
}

func (p *presenter) translate(ctx context.Context, err error, located *gqlerror.Error) (models.Code, string) {
	var known *models.Error
	var invalid models.Invalid
	switch {
	case errors.As(err, &known):
		return p.known(ctx, err, known)
	case errors.As(err, &invalid) && len(invalid) > 0:
		return models.BadUserInput, invalid[0].Message
	case errors.Is(err, tenant.ErrNoScope):
		return models.Unauthenticated, unauthenticatedMessage
	case isInput(ctx, located):
		return models.BadUserInput, inputMessage
	case errors.Is(err, errRecovered):
		return models.Internal, internalMessage
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled),
		errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(ctx.Err(), context.Canceled):
		return models.Unavailable, unavailableMessage
	default:
		p.logError(ctx, slog.LevelError, "internal error", err)
		return models.Internal, internalMessage
	}
}

func (p *presenter) known(ctx context.Context, err error, known *models.Error) (models.Code, string) {
	switch known.Code {
	case models.Internal:
		p.logError(ctx, slog.LevelError, "internal error", err)
		return known.Code, internalMessage
	case models.Unavailable, models.OutcomeUnknown:
		p.logError(ctx, slog.LevelWarn, "unavailable", err)
	case models.Unauthenticated, models.Forbidden, models.BadUserInput, models.CostLimit, models.RateLimited, models.Expired, models.Conflict:
	}
	return known.Code, known.Message
}

// isInput tells whether an error is about a field's argument: gqlgen puts the
// argument's name behind the field's path.
func isInput(ctx context.Context, located *gqlerror.Error) bool {
	field := graphql.GetFieldContext(ctx)
	return located != nil && field != nil && len(located.Path) > len(field.Path())
}

// longestLogged bounds what an error may add to a line of the log.
const longestLogged = 500

func (p *presenter) logError(ctx context.Context, level slog.Level, what string, err error) {
	text := err.Error()
	if len(text) > longestLogged {
		text = text[:longestLogged] + "…"
	}
	p.log.LogAttrs(ctx, level, "fault", append(p.where(ctx), slog.String("what", what), slog.String("error", text))...)
}

// where says which request and operation a line is about.
func (p *presenter) where(ctx context.Context) []slog.Attr {
	attrs := []slog.Attr{slog.String("request_id", requestid.From(ctx))}
	if scope, err := tenant.From(ctx); err == nil {
		attrs = append(attrs, slog.String("clinic_id", scope.ClinicID.String()))
	}
	if graphql.HasOperationContext(ctx) {
		attrs = append(attrs, slog.String("operation", operationName(graphql.GetOperationContext(ctx))))
	}
	if path := graphql.GetPath(ctx); path != nil {
		attrs = append(attrs, slog.String("path", path.String()))
	}
	return attrs
}

// longestName bounds an operation's name in a line of the log.
const longestName = 80

// operationName is the document's own name of the operation: what the client
// sent beside it is no name unless the document has it.
func operationName(op *graphql.OperationContext) string {
	if op.Operation == nil {
		return ""
	}
	return op.Operation.Name[:min(len(op.Operation.Name), longestName)]
}
