package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/people"
	"github.com/taskmed/taskmed/internal/scheduling"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

type clinicCommand struct {
	Create clinicCreate `cmd:"" help:"Make a clinic and its first owner, and print the clinic's id."`
	List   clinicList   `cmd:"" help:"List the clinics."`
}

type clinicCreate struct {
	ownerFlag

	Name     string `required:"" help:"The clinic's name, 1 to 200 characters."`
	Slug     string `required:"" help:"Its short name in commands: lower-case letters, digits and hyphens."`
	TimeZone string `default:"America/Sao_Paulo" help:"The IANA zone of its working hours and days (${default})."`
	Owner    string `required:"" placeholder:"SUBJECT" help:"Its first owner: the sub of the person's tokens, letter for letter."`
}

// Run prints the clinic's id and nothing else on standard output.
func (c *clinicCreate) Run(ctx context.Context, s streams) error {
	db, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	made, err := people.Found(ctx, db, people.Founding{Name: c.Name, Slug: c.Slug, TimeZone: c.TimeZone, Owner: c.Owner}, scheduling.KnownZone)
	if err != nil {
		return inWords(err)
	}
	_, _ = fmt.Fprintf(s.err, "made %s, in %s; %s is its owner\n", made.Slug, made.TimeZone, c.Owner)
	_, _ = fmt.Fprintln(s.out, made.GetID())
	return nil
}

type clinicList struct{ ownerFlag }

// Run prints a line for each clinic.
func (c *clinicList) Run(ctx context.Context, s streams) error {
	db, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	known, err := database.Lookup[struct{ Clinic uuid.UUID }](ctx, db, "SELECT clinic FROM clinic_slugs ORDER BY slug")
	if err != nil {
		return fmt.Errorf("list the clinics: %w", err)
	}
	table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "SLUG\tCLINIC\tTIME ZONE\tNAME")
	for _, one := range known {
		// Row-level security binds the owner, too: each clinic is asked for by itself.
		scope := &tenant.Scope{Subject: "taskmed", ClinicID: one.Clinic, Role: models.RoleOwner}
		clinics, err := database.Rows[models.Clinic](tenant.With(ctx, scope), db,
			"SELECT id, slug, time_zone, name FROM clinics WHERE id = app_clinic()")
		if err != nil {
			return fmt.Errorf("read the clinic: %w", err)
		}
		for _, clinic := range clinics {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", clinic.Slug, clinic.GetID(), clinic.TimeZone, clinic.Name)
		}
	}
	return table.Flush()
}
