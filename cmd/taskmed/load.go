package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/taskmed/taskmed/internal/load"
	"github.com/taskmed/taskmed/models"
)

// loadCommand plays the clinic's mix against a running server.
type loadCommand struct {
	Home     string        `env:"TASKMED_HOME" default:".taskmed" help:"The folder of the taskmed dev whose clinics and tokens are used (${default})."`
	URL      []string      `name:"url" help:"Servers to ask, in turn (the one of taskmed dev)."`
	Clients  int           `default:"500" help:"Sessions (${default})."`
	Rate     float64       `default:"500" help:"Requests a second (${default})."`
	Duration time.Duration `default:"60s" help:"How long (${default})."`
	Writes   float64       `default:"1" help:"How many of 100 requests of a front desk write (${default})."`
	Mix      string        `default:"clinic" enum:"clinic" help:"What is asked: ${enum}."`
	Seed     uint64        `default:"1" help:"Makes the sequence of requests repeatable (${default})."`
	JSON     bool          `name:"json" help:"Print the report as JSON."`
}

// Help is shown by taskmed load --help.
func (loadCommand) Help() string {
	return "Requests are due at a steady rate whether or not earlier ones are answered, and latency counts from when a " +
		"request was due. Every answer is checked: an entity older than the session wrote or read, or than anybody wrote or was " +
		"shown before the request, a booking that is missing from its day, or an id of another clinic fails the run."
}

// Run makes the load; it fails if an answer was stale, foreign or an error.
func (c *loadCommand) Run(ctx context.Context, to streams) error {
	dev, err := readDevFile(c.Home)
	if err != nil {
		return err
	}
	options := load.Options{
		URLs: c.URL, Clients: c.Clients, Rate: c.Rate, Duration: c.Duration, Writes: c.Writes, Seed: c.Seed,
		Progress: func(done, due int, left time.Duration) {
			_, _ = fmt.Fprintf(to.err, "%d of %d requests, %s left\n", done, due, left.Round(time.Second))
		},
	}
	if len(options.URLs) == 0 {
		options.URLs = []string{dev.URL}
	}
	for _, clinic := range dev.Clinics {
		options.Clinics = append(options.Clinics, load.Clinic{
			ID: clinic.ID, Reception: clinic.Tokens[string(models.RoleReceptionist)], Practitioner: clinic.Tokens[string(models.RolePractitioner)],
		})
	}
	report, err := load.Run(ctx, options)
	if report == nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(to.out)
		encoder.SetIndent("", "  ")
		err = errors.Join(err, encoder.Encode(report))
	} else {
		err = errors.Join(err, report.Write(to.out))
	}
	if report.Stale > 0 || report.Foreign > 0 || report.Errors > 0 {
		err = errors.Join(err, fmt.Errorf("%d stale answers, %d foreign answers, %d errors", report.Stale, report.Foreign, report.Errors))
	}
	return err
}
