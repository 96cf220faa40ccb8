package main

import (
	"context"
	"encoding/json"
	"fmt"
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
	return "Makes the audit trail's coming months, deletes expired idempotency keys and holds, and takes statistics that " +
		"are out of date. Servers go on meanwhile. Run it daily, from cron: of two at once the second does nothing."
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
	_, _ = fmt.Fprintf(s.out, "audit partitions made: %s\nexpired in %d clinics: %d idempotency keys, %d holds\nstatistics taken: %s\nin %s\n",
		listed(result.Partitions), result.Clinics, result.Keys, result.Holds, listed(result.Analyzed), result.Took.Round(time.Millisecond))
	return nil
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
