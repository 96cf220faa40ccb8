// Command taskmed is TaskMed's one binary: the server and everything that
// operates it, a command per file.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	// Clinics name their zones, and a machine may have none installed.
	_ "time/tzdata"

	"github.com/alecthomas/kong"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// commands is the command line, as `taskmed --help` shows it.
type commands struct {
	Dev        devCommand        `cmd:"" help:"Run everything on this machine: a private Postgres and Redis, two demo clinics, the API and its playground."`
	Serve      serveCommand      `cmd:"" help:"Serve the API, configured by the environment."`
	Migrate    migrateCommand    `cmd:"" help:"Bring the database's schema up, take it down, or show where it is."`
	Seed       seedCommand       `cmd:"" help:"Fill clinics with plausible data, the same for the same numbers."`
	Token      tokenCommand      `cmd:"" help:"Print a token for a member of a clinic, signed by the development key."`
	Clinic     clinicCommand     `cmd:"" help:"Make a clinic, or list all of them."`
	Member     memberCommand     `cmd:"" help:"Say who belongs to a clinic, and in which role."`
	Key        keyCommand        `cmd:"" help:"Make, list or revoke partners' keys."`
	Operations operationsCommand `cmd:"" help:"Publish, list and retire the operations of front ends."`
	Load       loadCommand       `cmd:"" help:"Play a clinic's day against a running server, and check every answer."`
	Doctor     doctorCommand     `cmd:"" help:"Look the database over and say what is wrong with it."`
	Maintain   maintainCommand   `cmd:"" help:"Do what a database needs regularly; run it daily."`
}

// streams are where a command writes: out is its result, err is for a person.
type streams struct{ out, err io.Writer }

// The exit statuses.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2   // the command line was not understood
	exitStopped = 130 // a signal came before the work was done, as shells have it for Ctrl-C
)

// run is the whole program but for its arguments, its streams and its end.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// After the first signal a second one ends the process at once.
	context.AfterFunc(ctx, stop)

	var cli commands
	parser, err := kong.New(&cli,
		kong.Name("taskmed"),
		kong.Description("TaskMed is the back end of clinics: a GraphQL API to patients, the diary, records and money."),
		kong.UsageOnError(),
		kong.Writers(stdout, stderr),
		// --help would end the process from inside the parser.
		kong.Exit(func(code int) { panic(exitCode(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		return complain(stderr, err)
	}
	defer func() {
		if code, ok := recover().(exitCode); ok {
			status = int(code)
		}
	}()
	parsed, err := parser.Parse(args)
	if err != nil {
		complain(stderr, err)
		if _, misuse := errors.AsType[*kong.ParseError](err); misuse {
			return exitUsage
		}
		return exitFailure
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.Bind(streams{out: stdout, err: stderr})
	if err := parsed.Run(); err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			complain(stderr, errors.New("stopped"))
			return exitStopped
		}
		return complain(stderr, err)
	}
	return exitOK
}

type exitCode int

func complain(stderr io.Writer, err error) int {
	_, _ = fmt.Fprintln(stderr, "taskmed:", err)
	return exitFailure
}
