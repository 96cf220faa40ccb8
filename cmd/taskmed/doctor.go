package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/doctor"
)

type doctorCommand struct {
	Isolation isolationCommand `cmd:"" help:"Whether the schema keeps every clinic's rows from every other."`
	Indexes   indexesCommand   `cmd:"" help:"Whether every statement that ran or that a registered operation sends has its index; unused, duplicate and swollen indexes."`
	Slow      slowCommand      `cmd:"" help:"Which statements take the time."`
	Cache     cacheCommand     `cmd:"" help:"Whether the answers kept in Redis are what Postgres says."`

	Attachments attachmentsCommand `cmd:"" help:"Whether files can be kept in the store that the environment names."`
}

// Help says what the exit status means.
func (doctorCommand) Help() string {
	return "Nothing is changed. The exit status is 1 where something must be mended, 0 otherwise."
}

// examination is what the examinations of a database have in common.
type examination struct {
	ownerFlag

	DatabaseURL string `env:"DATABASE_URL" help:"The database, as the role that serves (that of the taskmed dev that runs on --home)."`
	JSON        bool   `name:"json" help:"Print the report as JSON."`
}

// connect opens a connection of the owner's. The application's is opened where
// its address is known; else it is the owner's, too.
func (e examination) connect(ctx context.Context) (owner, app *pgx.Conn, done func(), err error) {
	ownerURL, err := e.ownerURL()
	if err != nil {
		return nil, nil, nil, err
	}
	appURL := e.DatabaseURL
	if appURL == "" && e.OwnerDatabaseURL == "" {
		running, err := readDevFile(e.Home)
		if err != nil {
			return nil, nil, nil, err
		}
		appURL = running.DatabaseURL
	}
	if owner, err = pgx.Connect(ctx, ownerURL); err != nil {
		return nil, nil, nil, fmt.Errorf("connect to the database as its owner: %w", err)
	}
	if appURL == "" {
		return owner, owner, func() { _ = owner.Close(context.WithoutCancel(ctx)) }, nil // nothing is left to lose
	}
	if app, err = pgx.Connect(ctx, appURL); err != nil {
		return nil, nil, nil, errors.Join(fmt.Errorf("connect to the database as the role that serves: %w", err), owner.Close(context.WithoutCancel(ctx)))
	}
	return owner, app, func() {
		_ = app.Close(context.WithoutCancel(ctx))
		_ = owner.Close(context.WithoutCancel(ctx))
	}, nil
}

// tell prints a report; it fails where that is not healthy.
func (e examination) tell(s streams, report doctor.Report) error {
	if e.JSON {
		encoder := json.NewEncoder(s.out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(report); err != nil {
			return fmt.Errorf("print the report: %w", err)
		}
	} else if err := words(s.out, report); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	if n := report.Problems(); n > 0 {
		return fmt.Errorf("doctor %s: to be mended: %d", report.Check, n)
	}
	return nil
}

func words(out io.Writer, report doctor.Report) error {
	var text strings.Builder
	if len(report.Families) > 0 {
		table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
		_, _ = fmt.Fprintln(table, "share\tcalls\tmean ms\tmax ms\trows/call\tin memory\t")
		for _, f := range report.Families {
			_, _ = fmt.Fprintf(table, "%.1f %%\t%d\t%.2f\t%.1f\t%.1f\t%.0f %%\t  %s\n",
				100*f.Share, f.Calls, f.MeanMS, f.MaxMS, float64(f.Rows)/float64(max(f.Calls, 1)), 100*f.HitShare, brief(f.Role+": "+f.Shape))
		}
		if err := table.Flush(); err != nil {
			return err
		}
		text.WriteString("\n")
	}
	for _, f := range report.Findings {
		_, _ = fmt.Fprintf(&text, "%s: not so: %s\n  %s\n", f.Level, f.Rule, f.Subject)
		for _, line := range []string{f.Detail, f.Remedy} {
			if line != "" {
				_, _ = fmt.Fprintf(&text, "  %s\n", line)
			}
		}
	}
	verdict := "nothing to mend"
	if n := report.Problems(); n > 0 {
		verdict = fmt.Sprintf("to be mended: %d", n)
	}
	_, _ = fmt.Fprintf(&text, "%s: %s; looked at %s\n", report.Check, verdict, report.Examined)
	_, err := io.WriteString(out, text.String())
	return err
}

// brief fits a statement beside its figures.
func brief(text string) string {
	const most = 110
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + " …"
	}
	return text
}

type isolationCommand struct{ examination }

// Run examines the catalogue.
func (c *isolationCommand) Run(ctx context.Context, s streams) error {
	owner, _, done, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer done()
	report, err := doctor.Isolation(ctx, owner)
	if err != nil {
		return err
	}
	return c.tell(s, report)
}

type indexesCommand struct {
	examination

	LargeRows int64  `default:"10000" help:"From how many rows a table must not be read whole (${default})."`
	LargeMiB  int64  `name:"large-mib" default:"8" help:"From what size an index or a table is worth a word (${default})."`
	Clinic    string `placeholder:"UUID" help:"The clinic to plan for (the fullest)."`
}

// Run plans what ran and what the registered operations send.
func (c *indexesCommand) Run(ctx context.Context, s streams) error {
	owner, app, done, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer done()
	options := doctor.IndexOptions{LargeRows: c.LargeRows, LargeBytes: c.LargeMiB << 20, Clinic: c.Clinic}
	if err := rehearse(ctx, owner, app, &options); err != nil {
		return err
	}
	report, err := doctor.Indexes(ctx, owner, app, options)
	if err != nil {
		return err
	}
	return c.tell(s, report)
}

type slowCommand struct {
	examination

	Limit  int     `default:"20" help:"How many families of statements to list (${default})."`
	MeanMS float64 `name:"mean-ms" default:"100" help:"What a statement may take on average (${default})."`
}

// Run reads pg_stat_statements.
func (c *slowCommand) Run(ctx context.Context, s streams) error {
	owner, _, done, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer done()
	report, err := doctor.Slow(ctx, owner, doctor.SlowOptions{Limit: c.Limit, MeanMS: c.MeanMS})
	if err != nil {
		return err
	}
	return c.tell(s, report)
}
