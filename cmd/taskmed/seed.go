package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/taskmed/taskmed/internal/seed"
)

type seedCommand struct {
	OwnerDatabaseURL string `required:"" env:"OWNER_DATABASE_URL" help:"The database, as the role that owns it."`

	Clinics       int      `default:"2" help:"How many clinics to make (${default})."`
	Contacts      int      `default:"2000" help:"Contacts of each clinic (${default})."`
	Practitioners int      `default:"10" help:"Practitioners of each clinic (${default})."`
	Appointments  int      `default:"20000" help:"Appointments of each clinic, over two years around today (${default})."`
	Records       int      `default:"10000" help:"Medical records of each clinic (${default})."`
	Seed          uint64   `default:"1" help:"Picks the data: the same numbers give the same rows (${default})."`
	Today         string   `placeholder:"YYYY-MM-DD" help:"The day that past and future are told from (today in São Paulo)."`
	Slugs         []string `placeholder:"SLUG" help:"Names of the clinics; the rest get names of their own."`
	SkipExisting  bool     `help:"Leave out clinics that are there already, instead of refusing."`
}

// Run makes the clinics.
func (c *seedCommand) Run(ctx context.Context, s streams) error {
	today := seed.Today(time.Now())
	if c.Today != "" {
		var err error
		if today, err = time.Parse(time.DateOnly, c.Today); err != nil {
			return fmt.Errorf("--today: %w", err)
		}
	}
	result, err := seed.Run(ctx, c.OwnerDatabaseURL, seed.Options{
		Clinics: c.Clinics, Contacts: c.Contacts, Practitioners: c.Practitioners,
		Appointments: c.Appointments, Records: c.Records,
		Seed: c.Seed, Today: today, Slugs: c.Slugs, SkipExisting: c.SkipExisting,
	}, seed.NewProgress(s.err, isTerminal(s.err)))
	if errors.Is(err, seed.ErrSlugTaken) {
		return fmt.Errorf("%w (--skip-existing leaves it as it is)", err)
	} else if err != nil {
		return err
	}
	for _, slug := range result.Skipped {
		_, _ = fmt.Fprintf(s.out, "%s was there already\n", slug)
	}
	for _, clinic := range result.Clinics {
		_, _ = fmt.Fprintf(s.out, "made %s (%s)\n", clinic.Slug, clinic.Name)
	}
	_, _ = fmt.Fprintf(s.out, "%d rows in %.1f s: %.0f rows/s; ANALYZE in %.1f s\n",
		result.Rows, result.Took.Seconds(), result.RowsPerSecond(), result.Analyzed.Seconds())
	return nil
}

// isTerminal tells whether a person watches what is written.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
