package attachments

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/attachments/store"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/models"
)

const (
	// mostClinics are swept in a round, and mostObjects of each.
	mostClinics = 100
	mostObjects = 100
	// oneObject bounds how long the store may take.
	oneObject = 10 * time.Second
	// tidies is how often what processes have left in the store is looked for.
	tidies = time.Hour
	// mostHanging are the removals that may hang at once: one object that cannot be removed
	// does not keep the others.
	mostHanging = 4
)

// Sweeper removes objects of which no row tells any more, and rows of uploads of which
// nothing came. Several work side by side, on as many servers: what one removed is not
// there for another.
type Sweeper struct {
	files *Files
	every time.Duration
	// patience is how long the store may take.
	patience time.Duration

	checking, tidying, removing calls

	tidied time.Time
	// up is what was last known of the store.
	up bool
}

// NewSweeper makes a Sweeper that looks so often for what nobody tells it of.
func NewSweeper(files *Files, every time.Duration) *Sweeper {
	s := &Sweeper{files: files, every: every, patience: files.Patience, checking: newCalls(1), tidying: newCalls(1), removing: newCalls(mostHanging), up: true}
	if s.patience == 0 {
		s.patience = oneObject
	}
	return s
}

// Beside works while something serves, and gives its error.
func (s *Sweeper) Beside(ctx context.Context, serve func() error) error {
	if s.files.Store == nil {
		return serve()
	}
	working, done := context.WithCancel(ctx)
	var own sync.WaitGroup
	// Each by itself: a store that hangs keeps none of the others.
	own.Go(func() { s.repeat(working, nil, s.look) })
	own.Go(func() { s.repeat(working, nil, s.count) })
	own.Go(func() {
		s.repeat(working, s.files.woken, func(ctx context.Context) {
			if _, err := s.Round(ctx); err != nil && ctx.Err() == nil {
				s.files.Log.WarnContext(ctx, "attachments cannot be cleared now", slog.Any("error", err))
			}
		})
	})
	defer own.Wait()
	defer done()
	return serve()
}

// repeat does something again and again, and at once where it is woken, until the context
// ends.
func (s *Sweeper) repeat(ctx context.Context, woken <-chan struct{}, do func(context.Context)) {
	for ctx.Err() == nil {
		do(ctx)
		wait := time.NewTimer(s.every)
		select {
		case <-ctx.Done():
		case <-wait.C:
		case <-woken:
		}
		wait.Stop()
	}
}

// count tells for how long what is to go has been to, whatever becomes of the store.
func (s *Sweeper) count(ctx context.Context) {
	figures, err := database.Lookup[struct{ Oldest float64 }](ctx, s.files.DB, "SELECT oldest FROM attachment_figures()")
	if err == nil && len(figures) == 1 {
		s.files.Counted.Waits(time.Duration(figures[0].Oldest * float64(time.Second)))
	}
}

// look tells operators whether files can be kept.
func (s *Sweeper) look(ctx context.Context) {
	err := s.checking.call(ctx, s.patience, s.files.Store.Check)
	if ctx.Err() != nil {
		return
	}
	s.files.Counted.Reached(err == nil)
	if up := err == nil; up != s.up {
		s.up = up
		if up {
			s.files.Log.InfoContext(ctx, "the store of attachments can be reached again")
		} else {
			s.files.Log.ErrorContext(ctx, "the store of attachments cannot be reached: files are neither taken nor served", slog.Any("error", err))
		}
	}
	if err == nil && time.Since(s.tidied) >= tidies {
		s.tidied = time.Now()
		if err := s.tidying.call(ctx, s.patience, s.files.Store.Tidy); err != nil && ctx.Err() == nil {
			s.files.Log.WarnContext(ctx, "the store of attachments could not be tidied", slog.Any("error", err))
		}
	}
}

// Round clears once what is due in each clinic, and tells how many objects are gone.
func (s *Sweeper) Round(ctx context.Context) (gone int, err error) {
	clinics, err := database.Lookup[struct{ Clinic uuid.UUID }](ctx, s.files.DB, "SELECT clinic FROM attachment_work($1)", mostClinics)
	if err != nil {
		return 0, err
	}
	for _, of := range clinics {
		of := forClinic(ctx, of.Clinic)
		some, failed := s.sweep(of)
		gone += some
		if failed != nil && err == nil {
			err = failed
		}
	}
	return gone, err
}

// sweep clears one clinic's: first rows, of which triggers note the objects, then these.
func (s *Sweeper) sweep(ctx context.Context) (gone int, err error) {
	err = s.files.DB.InTenant(ctx, func(tx *gorm.DB) error {
		return tx.Exec(`DELETE FROM attachment_uploads WHERE clinic_id = app_clinic() AND id = ANY (ARRAY(
			SELECT u.id FROM attachment_uploads u WHERE u.clinic_id = app_clinic() AND u.expires_at <= clock_timestamp() - interval '1 hour'
			LIMIT ? FOR UPDATE SKIP LOCKED))`, mostObjects).Error
	})
	if err != nil {
		return 0, err
	}
	// Never an attachment's: its upload was decided by its row.
	due, err := database.Rows[struct{ ClinicID, ID uuid.UUID }](ctx, s.files.DB, `SELECT r.clinic_id, r.id FROM attachment_removals r
		WHERE r.clinic_id = app_clinic() AND r.due_at <= clock_timestamp()
		AND NOT EXISTS (SELECT FROM attachments a WHERE a.clinic_id = r.clinic_id AND a.id = r.id) ORDER BY r.due_at LIMIT $1`, mostObjects)
	if err != nil {
		return 0, err
	}
	for _, one := range due {
		if err := s.remove(ctx, store.Name{Clinic: one.ClinicID, ID: one.ID}); err != nil {
			return gone, err
		}
		gone++
	}
	return gone, nil
}

// remove removes an object, and then the row that tells of it. One that cannot be removed
// is put off, for others come after it.
func (s *Sweeper) remove(ctx context.Context, name store.Name) error {
	s.files.at("removing")
	failed := s.removing.call(ctx, s.patience, func(ctx context.Context) error { return s.files.Store.Remove(ctx, name) })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(failed, errHanging) {
		return failed // it was not tried
	}
	s.files.at("removed")
	statement := "DELETE FROM attachment_removals WHERE clinic_id = ? AND id = ?"
	if failed != nil {
		s.files.Log.WarnContext(ctx, "an object of attachments could not be removed: tried again in five minutes",
			slog.String("attachment", models.KindAttachment.Global(name.ID)), slog.Any("error", failed))
		statement = "UPDATE attachment_removals SET due_at = clock_timestamp() + interval '5 minutes' WHERE clinic_id = ? AND id = ?"
	} else {
		s.files.Counted.Removed()
	}
	return s.files.DB.InTenant(ctx, func(tx *gorm.DB) error { return tx.Exec(statement, name.Clinic, name.ID).Error })
}
