package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/doctor"
)

// rehearse adds the statements that the registered operations send to those that
// have run. Nothing is kept: see app.Rehearse.
func rehearse(ctx context.Context, owner, serving *pgx.Conn, options *doctor.IndexOptions) error {
	if options.Clinic == "" {
		clinic, err := doctor.Clinic(ctx, owner)
		if err != nil || clinic == "" { // The report says so.
			return err
		}
		options.Clinic = clinic
	}
	clinic, err := uuid.Parse(options.Clinic)
	if err != nil {
		return fmt.Errorf("--clinic is no UUID: %w", err)
	}
	// Its limits are the servers'; the secret is not, and no cursor leaves.
	settings, err := config.Development(environment(os.Environ()), serving.Config().ConnString(), strings.Repeat("00", 32))
	if err != nil {
		return fmt.Errorf("the environment is not right:\n%w", err)
	}
	found, err := app.Rehearse(ctx, settings, clinic)
	if err != nil {
		return fmt.Errorf("run the registered operations: %w", err)
	}
	options.Statements, options.Operations = append(options.Statements, found.Statements...), found.Operations
	for _, name := range slices.Sorted(maps.Keys(found.Failed)) {
		options.Notes = append(options.Notes, doctor.Finding{
			Level: doctor.Note, Rule: "every registered operation can be rehearsed", Subject: name, Detail: found.Failed[name],
			Remedy: "look at its statements with the playground's plans, or publish the operation anew",
		})
	}
	if len(found.Unfinished) > 0 {
		options.Notes = append(options.Notes, doctor.Finding{
			Level: doctor.Note, Rule: "every operation that writes can be rehearsed to its end", Subject: fmt.Sprintf("%d of %d operations that write", len(found.Unfinished), len(found.Writing)),
			Detail: "refused before their last statement, so that what follows is planned only where it has run: " + strings.Join(found.Unfinished, ", "),
			Remedy: "--clinic with one that has what they need: practitioners with free hours, appointments and records in every state",
		})
	}
	return nil
}
