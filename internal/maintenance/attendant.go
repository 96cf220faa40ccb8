package maintenance

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const (
	// looks is how often an Attendant looks whether something is due that nobody told.
	looks = time.Second
	// ranges is how many looks apart it asks for entries whose time is over, and counts
	// those that wait.
	ranges = 60
	// longestConnect bounds a connection's making, and longestAttend what is done for one
	// clinic at a time.
	longestConnect, longestAttend = 5 * time.Second, 10 * time.Second
)

// AttendantConfig is what an Attendant needs.
type AttendantConfig struct {
	// URL reaches the database as the application's role, past any pooler: LISTEN needs
	// that.
	URL string
	Log *slog.Logger
	// Fit tells whether the database may be written; nil is always.
	Fit func() error
	// Attend does what is due in a clinic's waiting list. Whatever others do at the same
	// time, nothing is done twice.
	Attend func(ctx context.Context, clinic uuid.UUID) error
	// Waiting is told how many wait in all clinics; nil if nobody wants to know.
	Waiting func(entries int64)
	// Look is how often it looks; 0 is a second.
	Look time.Duration
}

// Attendant has the clinics' waiting lists attended to: at once when a time becomes free
// anywhere, of which Postgres tells, and in any case once a second, when offers expire
// and when whoever was told is gone. All instances have one; what one has in hand the
// others pass over.
type Attendant struct {
	config AttendantConfig
	stop   context.CancelFunc
	done   chan struct{}
}

// NewAttendant begins to attend; Close ends it.
func NewAttendant(config AttendantConfig) *Attendant {
	if config.Look == 0 {
		config.Look = looks
	}
	if config.Waiting == nil {
		config.Waiting = func(int64) {}
	}
	if config.Fit == nil {
		config.Fit = func() error { return nil }
	}
	ctx, stop := context.WithCancel(context.Background())
	a := &Attendant{config: config, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.keep(ctx)
	}()
	return a
}

// Close ends it; what was begun is rolled back, and is due for others.
func (a *Attendant) Close() {
	a.stop()
	<-a.done
}

// keep listens, and begins again where that ends.
func (a *Attendant) keep(ctx context.Context) {
	well := true
	for ctx.Err() == nil {
		err := a.listen(ctx, func() { well = true })
		if ctx.Err() == nil && well {
			a.config.Log.WarnContext(ctx, "waiting lists are not attended to by this server until Postgres answers", slog.Any("error", err))
		}
		well = false
		wait(ctx, a.config.Look)
	}
}

func wait(ctx context.Context, period time.Duration) {
	timer := time.NewTimer(period)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// listen attends for as long as the connection lasts.
func (a *Attendant) listen(ctx context.Context, well func()) error {
	settings, err := pgx.ParseConfig(a.config.URL)
	if err != nil {
		return fmt.Errorf("the URL of Postgres cannot be read")
	}
	settings.ConnectTimeout = longestConnect
	settings.RuntimeParams["application_name"] = "taskmed waiting lists"
	settings.RuntimeParams["statement_timeout"] = fmt.Sprint(longestConnect.Milliseconds())
	conn, err := pgx.ConnectConfig(ctx, settings)
	if err != nil {
		return fmt.Errorf("connect to listen: %w", err)
	}
	defer func() {
		closing, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer done()
		_ = conn.Close(closing) // it is given up either way
	}()
	if _, err := conn.Exec(ctx, "LISTEN taskmed_waitlist"); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	for n := 0; ; n++ {
		if a.config.Fit() == nil {
			all := n%ranges == 0
			if err := a.count(ctx, conn, all); err != nil {
				return err
			}
			if err := a.look(ctx, conn, all); err != nil {
				return err
			}
			well()
		}
		waiting, done := context.WithTimeout(ctx, a.config.Look)
		_, err := conn.WaitForNotification(waiting)
		late := waiting.Err() != nil
		done()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && (!late || conn.IsClosed()) {
			return fmt.Errorf("listen: %w", err)
		}
	}
}

// count tells how many wait, at a look at all there is.
func (a *Attendant) count(ctx context.Context, conn *pgx.Conn, all bool) error {
	if !all {
		return nil
	}
	var waiting int64
	if err := conn.QueryRow(ctx, "SELECT waiting FROM waitlist_figures()").Scan(&waiting); err != nil {
		return fmt.Errorf("count who waits: %w", err)
	}
	a.config.Waiting(waiting)
	return nil
}

// look attends to each clinic in which something is due. What fails there is due again.
func (a *Attendant) look(ctx context.Context, conn *pgx.Conn, ranges bool) error {
	rows, err := conn.Query(ctx, "SELECT clinic FROM waitlist_due($1)", ranges)
	if err != nil {
		return fmt.Errorf("ask what is due: %w", err)
	}
	clinics, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return fmt.Errorf("ask what is due: %w", err)
	}
	for _, clinic := range clinics {
		bounded, done := context.WithTimeout(ctx, longestAttend)
		err := a.config.Attend(bounded, clinic)
		done()
		if err != nil && ctx.Err() == nil {
			a.config.Log.WarnContext(ctx, "a waiting list could not be attended to and is tried again", slog.Any("error", err))
		}
	}
	return nil
}
