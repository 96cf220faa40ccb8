// Package seed fills clinics with plausible data: the same for the same
// numbers, by COPY, in one transaction.
package seed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// Result is what was written.
type Result struct {
	// Clinics are those that were made, in order; existing ones that were
	// skipped are not among them.
	Clinics []Clinic
	// Skipped are the slugs that were there already.
	Skipped []string
	// Rows by table, and altogether.
	Tables map[string]int
	Rows   int
	// Took is from the first statement to the commit, with indexes, foreign keys
	// and what contacts are searched by; Analyzed is what ANALYZE took after that.
	Took     time.Duration
	Analyzed time.Duration
}

// RowsPerSecond is the rate from the first statement to the commit. Rows that
// Postgres derives, such as those of the contacts' search, are not counted,
// though the time they take is.
func (r Result) RowsPerSecond() float64 {
	if r.Rows == 0 {
		return 0
	}
	return float64(r.Rows) / r.Took.Seconds()
}

// Clinic is a clinic that was made.
type Clinic struct {
	ID       uuid.UUID
	Slug     string
	Name     string
	TimeZone string
}

// Run makes the clinics that the options ask for. databaseURL must name the
// role that owns the tables. Either all clinics are written or none; while they
// are, other sessions wait at the tables, so that nobody ever sees one that is
// not protected. A slug that is taken is ErrSlugTaken. Where the result is not
// empty beside an error, the rows are there and only ANALYZE failed. progress
// may be nil.
func Run(ctx context.Context, databaseURL string, o Options, progress Progress) (Result, error) {
	result, err := run(ctx, databaseURL, o, progress)
	if err != nil {
		return result, fmt.Errorf("seed: %w", err)
	}
	return result, nil
}

func run(ctx context.Context, databaseURL string, o Options, progress Progress) (Result, error) {
	if err := o.validate(); err != nil {
		return Result{}, err
	}
	l, err := readLists()
	if err != nil {
		return Result{}, err
	}
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if progress == nil {
		progress = silent{}
	}

	result := Result{Tables: map[string]int{}}
	begun := time.Now()
	if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return write(ctx, tx, l, o, progress, &result) }); err != nil {
		return Result{}, err
	}
	result.Took = time.Since(begun)
	if result.Rows == 0 {
		return result, nil
	}
	progress.Stage("analyze")
	begun = time.Now()
	if err := analyze(ctx, databaseURL, conn); err != nil {
		return result, fmt.Errorf("the rows are there, but their statistics are not: %w", err)
	}
	result.Analyzed = time.Since(begun)
	progress.Stage("")
	return result, nil
}

// write makes and writes all clinics inside the transaction.
func write(ctx context.Context, tx pgx.Tx, l *lists, o Options, progress Progress, result *Result) error {
	// Locked first: two seeders may want the same slugs.
	if err := lockTables(ctx, tx); err != nil {
		return err
	}
	wanted, err := free(ctx, tx, o, result)
	if err != nil || len(wanted) == 0 {
		return err
	}
	tables, err := openTables(ctx, tx, expected(o, len(wanted)))
	if err != nil {
		return err
	}

	// One clinic is made while the one before it is being written.
	made := make(chan *clinic)
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(made)
		for _, i := range wanted {
			c, err := makeClinic(l, o, i)
			if err != nil {
				return err
			}
			select {
			case made <- c:
			case <-groupCtx.Done():
				return groupCtx.Err()
			}
		}
		return nil
	})
	group.Go(func() error {
		left := len(wanted)
		for c := range made {
			batches := c.batches()
			rows := 0
			for _, b := range batches {
				rows += b.count
			}
			progress.Total(result.Rows + rows*left)
			left--
			for _, b := range batches {
				if err := tables.copy(groupCtx, b, progress); err != nil {
					return err
				}
				result.Tables[b.table] += b.count
			}
			if err := tables.makeSearchable(groupCtx, c, progress); err != nil {
				return err
			}
			result.Rows += rows
			result.Clinics = append(result.Clinics, Clinic{ID: c.id.Bytes, Slug: c.slug, Name: c.name, TimeZone: c.zoneName})
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return tables.close(ctx, progress)
}

// free says which of the wanted clinics are not there yet.
func free(ctx context.Context, tx pgx.Tx, o Options, result *Result) ([]int, error) {
	slugs := make([]string, o.Clinics)
	for i := range slugs {
		slugs[i] = o.slug(i)
	}
	rows, err := tx.Query(ctx, `SELECT slug FROM clinic_slugs WHERE slug = ANY($1) ORDER BY slug`, slugs)
	if err != nil {
		return nil, err
	}
	taken, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	if len(taken) > 0 && !o.SkipExisting {
		return nil, fmt.Errorf("%w: %s", ErrSlugTaken, strings.Join(taken, ", "))
	}
	result.Skipped = taken
	var wanted []int
	for i, slug := range slugs {
		if !slices.Contains(taken, slug) {
			wanted = append(wanted, i)
		}
	}
	return wanted, nil
}

// analyze gathers statistics and marks what every transaction can see, so that
// the first readers need not. It uses a second connection, since each keeps one
// core busy.
func analyze(ctx context.Context, databaseURL string, conn *pgx.Conn) (err error) {
	second, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, second.Close(context.WithoutCancel(ctx))) }()
	// The large ones first, or they would be waited for at the end.
	names := slices.Concat(searchTables(), seededTables())
	slices.Reverse(names)
	work := make(chan string, len(names))
	for _, name := range names {
		work <- name
	}
	close(work)
	group, groupCtx := errgroup.WithContext(ctx)
	for _, c := range []*pgx.Conn{conn, second} {
		group.Go(func() error {
			for table := range work {
				if _, err := c.Exec(groupCtx, "VACUUM (ANALYZE) "+pgx.Identifier{table}.Sanitize()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}
