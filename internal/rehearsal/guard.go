package rehearsal

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrKept is what a statement that would keep a rehearsal's changes ends with.
var ErrKept = errors.New("rehearsal: nothing may be kept")

// Guard lets transactions write and none of them keep it. It is for connections
// whose transactions are read-only unless told otherwise: one that is begun may
// write, while a statement outside of one still cannot, and what would commit is
// not sent, so that Postgres rolls it back, with whatever was notified. It
// stands behind code that rolls back by itself (mutations.Config.Rehearse).
type Guard struct{}

var _ pgx.QueryTracer = Guard{}

type begunKey struct{}

// TraceQueryStart implements pgx.QueryTracer. A statement whose context is over
// is never sent, and pgx closes a connection that cannot commit.
func (Guard) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	text := strings.ToLower(data.SQL)
	switch verb(text) {
	case "commit", "end":
		return over(ctx)
	case "prepare":
		if strings.Contains(text, "transaction") {
			return over(ctx)
		}
	case "begin":
		return context.WithValue(ctx, begunKey{}, text == "begin")
	}
	return ctx
}

func over(ctx context.Context) context.Context {
	ctx, stop := context.WithCancelCause(ctx)
	stop(ErrKept)
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (Guard) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	if begun, ok := ctx.Value(begunKey{}).(bool); !ok || !begun || data.Err != nil {
		return
	}
	// Where it fails, as on a replica, the first write is refused, and seen.
	_, _ = conn.PgConn().Exec(ctx, "SET TRANSACTION READ WRITE").ReadAll()
}

// verb is a statement's first word, in lower case, without the semicolon that may
// follow it.
func verb(sql string) string {
	word, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(sql)), " ")
	return strings.TrimRight(word, ";")
}

// writes tells whether a statement's first word says that it changes rows.
func writes(sql string) bool {
	return slices.Contains([]string{"insert", "update", "delete", "merge"}, verb(sql))
}
