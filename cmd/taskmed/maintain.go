package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/taskmed/taskmed/internal/maintenance"
)

type maintainCommand struct {
	ownerFlag

	JSON bool `name:"json" help:"Print what was done as JSON."`
}

// Help says when to run it.
func (maintainCommand) Help() string {
	return "Makes the audit trail's coming months, deletes what is kept for a time and no longer (idempotency keys, holds, " +
		"changes, webhooks' deliveries, what providers posted), and takes statistics that are out of date. Servers go on meanwhile. Run it daily, from cron: of two at once the second does nothing."
}

// Run does what is due.
func (c *maintainCommand) Run(ctx context.Context, s streams) error {
	owner, err := c.ownerURL()
	if err != nil {
		return err
	}
	result, err := maintenance.Run(ctx, owner)
	if err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(s.out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(result); err != nil {
			return fmt.Errorf("print what was done: %w", err)
		}
		return nil
	}
	if result.Busy {
		_, _ = fmt.Fprintln(s.out, "another taskmed maintain is at it; nothing was done")
		return nil
	}
	for _, warning := range result.Warnings {
		_, _ = fmt.Fprintln(s.err, "look at this:", warning)
	}
	_, _ = io.WriteString(s.out, maintained(result))
	return nil
}

// maintained tells a person what was done.
func maintained(result maintenance.Result) string {
	return fmt.Sprintf("audit partitions made: %s\nexpired in %d clinics: %d idempotency keys, %d holds, %d changes, %d deliveries of webhooks, %d posts of providers\nstatistics taken: %s\nin %s\n",
		listed(result.Partitions), result.Clinics, result.Keys, result.Holds, result.Changes, result.Deliveries, result.Posts, listed(result.Analyzed), result.Took.Round(time.Millisecond))
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
