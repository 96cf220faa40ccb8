package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

type keyCommand struct {
	Create keyCreate `cmd:"" help:"Make a key and print it, once."`
	List   keyList   `cmd:"" help:"List the keys, without their secrets."`
	Revoke keyRevoke `cmd:"" help:"End a key: it is refused from the next request on."`
}

type keyCreate struct {
	ownerFlag

	Clinic string        `required:"" placeholder:"SLUG" help:"The clinic the key acts for."`
	Role   string        `default:"PARTNER" help:"What the key may do: ${enum} (${default})." enum:"OWNER,ADMIN,PRACTITIONER,RECEPTIONIST,FINANCE,PARTNER"`
	Name   string        `required:"" help:"What the key is for, 1 to 100 characters."`
	TTL    time.Duration `name:"ttl" help:"How long the key is good for (until it is revoked)."`
}

// Run prints the key and nothing else on standard output.
func (c *keyCreate) Run(ctx context.Context, s streams) error {
	return inClinic(ctx, c.ownerFlag, c.Clinic, func(ctx context.Context, db *database.DB) error {
		store := auth.NewStore(db)
		wanted := auth.NewKey{Name: c.Name, Role: models.Role(c.Role)}
		if c.TTL != 0 {
			expires := time.Now().Add(c.TTL)
			wanted.ExpiresAt = &expires
		}
		key, text, err := store.CreateKey(ctx, wanted)
		if err != nil {
			return inWords(err)
		}
		_, _ = fmt.Fprintln(s.err, models.KindAPIKey.Global(key.ID), "is shown this once; keep it where secrets are kept")
		_, _ = fmt.Fprintln(s.out, text)
		return nil
	})
}

type keyList struct {
	ownerFlag

	Clinic string `required:"" placeholder:"SLUG" help:"The clinic the keys act for."`
}

// Run prints a line for each key.
func (c *keyList) Run(ctx context.Context, s streams) error {
	return inClinic(ctx, c.ownerFlag, c.Clinic, func(ctx context.Context, db *database.DB) error {
		keys, err := auth.NewStore(db).AllKeys(ctx)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "KEY\tROLE\tENDS IN\tSTATE\tLAST USED\tNAME")
		for _, key := range keys {
			state := "good"
			switch {
			case key.RevokedAt != nil:
				state = "revoked " + key.RevokedAt.UTC().Format(time.RFC3339)
			case key.ExpiresAt != nil && !key.ExpiresAt.After(time.Now()):
				state = "expired " + key.ExpiresAt.UTC().Format(time.RFC3339)
			case key.ExpiresAt != nil:
				state = "good until " + key.ExpiresAt.UTC().Format(time.RFC3339)
			}
			used := "never"
			if key.LastUsedAt != nil {
				used = key.LastUsedAt.UTC().Format(time.RFC3339)
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", models.KindAPIKey.Global(key.ID), key.Role, key.LastFour, state, used, key.Name)
		}
		return table.Flush()
	})
}

type keyRevoke struct {
	ownerFlag

	Clinic string `required:"" placeholder:"SLUG" help:"The clinic the key acts for."`
	ID     string `arg:"" help:"The key's id, api_key_…"`
}

// Run says what was revoked on standard error.
func (c *keyRevoke) Run(ctx context.Context, s streams) error {
	id, err := models.KindAPIKey.Parse(c.ID)
	if err != nil {
		return fmt.Errorf("%s is no key's id, which begins with api_key_: %w", c.ID, err)
	}
	return inClinic(ctx, c.ownerFlag, c.Clinic, func(ctx context.Context, db *database.DB) error {
		store := auth.NewStore(db)
		key, err := store.RevokeKey(ctx, id)
		if errors.Is(err, models.ErrNotFound) {
			return fmt.Errorf("%s has no key %s", c.Clinic, c.ID)
		}
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(s.err, "revoked %q, which ended in %s\n", key.Name, key.LastFour)
		return nil
	})
}

// inClinic works as an owner of a clinic, by right of the database's owner.
func inClinic(ctx context.Context, flag ownerFlag, slug string, work func(context.Context, *database.DB) error) error {
	db, err := flag.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	found, err := database.Lookup[struct{ Clinic uuid.UUID }](ctx, db, "SELECT clinic FROM clinic_slugs WHERE slug = $1", slug)
	if err != nil {
		return fmt.Errorf("look for the clinic: %w", err)
	}
	if len(found) == 0 {
		return fmt.Errorf("%w: %s", auth.ErrUnknownClinic, slug)
	}
	scope := &tenant.Scope{Subject: "taskmed", ClinicID: found[0].Clinic, Role: models.RoleOwner}
	return work(tenant.With(ctx, scope), db)
}

// open is the database's door, as the role that owns it.
func (o ownerFlag) open(ctx context.Context) (*database.DB, error) {
	owner, err := o.ownerURL()
	if err != nil {
		return nil, err
	}
	return database.Open(ctx, database.Config{URL: owner, MaxConns: 1, AcquireTimeout: 10 * time.Second})
}

// inWords gives the first mistake's own words, which models.Invalid keeps to
// itself.
func inWords(err error) error {
	var invalid models.Invalid
	if errors.As(err, &invalid) && len(invalid) > 0 {
		return errors.New(invalid[0].Message)
	}
	return err
}
