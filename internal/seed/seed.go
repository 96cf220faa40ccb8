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
	// Rows are made while those before them are being written.
	type portion struct {
		clinic *clinic
		rows   []batch
	}
	made := make(chan portion, 4)
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(made)
		for _, i := range wanted {
			if err := makeClinic(l, o, i, func(c *clinic, rows []batch) error {
				select {
				case made <- portion{c, rows}:
					return nil
				case <-groupCtx.Done():
					return groupCtx.Err()
				}
			}); err != nil {
				return err
			}
		}
		return nil
	})
	var t *tables
	group.Go(func() error {
		about := expected(o, len(wanted))
		var err error
		if t, err = openTables(groupCtx, tx, about); err != nil {
			return err
		}
		w := writer{tables: t, progress: progress, result: result, clinics: len(wanted)}
		for _, rows := range about {
			w.expected += rows
		}
		for p := range made {
			if err := w.write(groupCtx, p.clinic, p.rows); err != nil {
				return err
			}
		}
		return w.finish(groupCtx)
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return t.close(ctx, progress)
}

// writer writes clinics one after the other and keeps count.
type writer struct {
	tables   *tables
	progress Progress
	result   *Result
	// expected is about how many rows there will be, clinics how many exactly.
	expected int
	clinics  int
	current  *clinic
}

func (w *writer) write(ctx context.Context, c *clinic, rows []batch) error {
	if c != w.current {
		if err := w.finish(ctx); err != nil {
			return err
		}
		w.current = c
		w.result.Clinics = append(w.result.Clinics, Clinic{ID: c.id.Bytes, Slug: c.slug, Name: c.name, TimeZone: c.zoneName})
	}
	for _, b := range rows {
		w.progress.Total(max(w.expected, w.result.Rows+b.count))
		if err := w.tables.copy(ctx, b, w.progress); err != nil {
			return err
		}
		w.result.Tables[b.table] += b.count
		w.result.Rows += b.count
	}
	return nil
}

// finish ends the clinic that was written last, if there is one.
func (w *writer) finish(ctx context.Context) error {
	if w.current == nil {
		return nil
	}
	done := len(w.result.Clinics)
	w.expected = w.result.Rows * w.clinics / done
	w.progress.Total(w.expected)
	if err := w.tables.makeSearchable(ctx, w.current, w.progress); err != nil {
		return err
	}
	return w.tables.sumMoney(ctx, w.current, w.progress)
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
	names := slices.Concat(searchTables(), seededTables(), []string{"financial_sums"})
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
