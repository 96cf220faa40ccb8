// Command uncached measures what an answer costs that no cache has (promise
// P2): the processors' time of the server and of Postgres per request, beside a
// handler written by hand, in turns of one run on one machine. It reads /proc,
// so it needs Linux, and it runs on teststack's servers, from the repository's
// root, with bin/taskmed built: make bench-uncached.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			_, _ = fmt.Fprintln(os.Stderr, "uncached:", err)
		}
		stop()
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	taskmed  string
	requests int
	slice    int
	clients  int
	counted  int
	seed     uint64
	clinics  int
	perYears int
	json     bool
}

func parse(args []string, errs io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("uncached", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.StringVar(&o.taskmed, "taskmed", "bin/taskmed", "the server's program")
	flags.IntVar(&o.requests, "requests", 3000, "requests of each row")
	flags.IntVar(&o.slice, "slice", 150, "requests of one turn")
	flags.IntVar(&o.clients, "clients", 4, "clients, each of which asks again as soon as it is answered")
	flags.IntVar(&o.counted, "counted", 200, "requests whose statements, round trips and allocations are counted, apart from the measured ones")
	flags.Uint64Var(&o.seed, "seed", 1, "picks the data and the requests")
	flags.IntVar(&o.clinics, "clinics", 20, "clinics, of which each request picks one at random")
	flags.IntVar(&o.perYears, "appointments", 20_000, "appointments of each clinic over two years")
	flags.BoolVar(&o.json, "json", false, "print JSON instead of a table")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.requests < o.slice || o.slice < o.clients || o.clients < 1 || o.counted < 1 || o.clinics < 1 {
		return o, errors.New("each number must be at least 1, a row must have a turn's requests, and a turn a request for each client")
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, errs io.Writer) error {
	if len(args) > 0 && args[0] == byHandCommand {
		return serveByHand(ctx)
	}
	o, err := parse(args, errs)
	if err != nil {
		return err
	}
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(errs, format+"\n", args...) }
	if _, err := os.Stat(o.taskmed); err != nil {
		return fmt.Errorf("there is no %s: make build makes it", o.taskmed)
	}
	say("making %d clinics", o.clinics)
	b, err := newBench(ctx, o, say)
	if err != nil {
		return err
	}
	defer b.close(ctx)
	report, err := b.run(ctx)
	if err != nil {
		return err
	}
	if o.json {
		return report.writeJSON(out)
	}
	return report.write(out)
}

// newBench makes the data and draws the requests.
func newBench(ctx context.Context, o options, say func(string, ...any)) (*bench, error) {
	b := &bench{options: o, say: say}
	var err error
	if b.identity, err = newIdentity(ctx); err != nil {
		return nil, err
	}
	if b.database, err = newDatabase(ctx, o); err != nil {
		b.close(ctx)
		return nil, err
	}
	if b.scenes, err = b.database.scenes(ctx, o, b.identity); err != nil {
		b.close(ctx)
		return nil, err
	}
	return b, nil
}

func (o options) seedArgs() []string {
	number := strconv.Itoa
	return []string{
		"seed", "--clinics", number(o.clinics), "--contacts", "2000", "--practitioners", "5",
		"--appointments", number(o.perYears), "--records", "2000", "--seed", strconv.FormatUint(o.seed, 10),
	}
}
