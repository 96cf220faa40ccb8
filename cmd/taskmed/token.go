package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/models"
)

// homeFlag is the folder of a developer's machine.
type homeFlag struct {
	Home string `default:".taskmed" env:"TASKMED_HOME" type:"path" help:"Folder of the development data and key (${default})."`
}

// devKeyPath is where `taskmed dev` and `taskmed token` find the same key.
func (h homeFlag) devKeyPath() string { return filepath.Join(h.Home, "dev-key.pem") }

// ownerFlag finds the database and the role that owns it.
type ownerFlag struct {
	homeFlag

	OwnerDatabaseURL string `env:"OWNER_DATABASE_URL" help:"The database, as the role that owns it (that of the taskmed dev that runs on --home)."`
}

func (o ownerFlag) ownerURL() (string, error) {
	if o.OwnerDatabaseURL != "" {
		return o.OwnerDatabaseURL, nil
	}
	running, err := readDevFile(o.Home)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("no taskmed dev runs on %s: start it, or set OWNER_DATABASE_URL", o.Home)
	}
	return running.OwnerDatabaseURL, err
}

type tokenCommand struct {
	ownerFlag

	Clinic  string        `required:"" placeholder:"SLUG" help:"The clinic."`
	Role    string        `required:"" help:"The member's role there: ${enum}." enum:"OWNER,ADMIN,PRACTITIONER,RECEPTIONIST,FINANCE,PARTNER"`
	Subject string        `help:"Whose token it is; made a member with that role if need be (the demo's member of that role)."`
	TTL     time.Duration `name:"ttl" default:"1h" help:"How long the token is good for (${default})."`
}

// Run prints the token and nothing else on standard output.
func (c *tokenCommand) Run(ctx context.Context, s streams) error {
	owner, err := c.ownerURL()
	if err != nil {
		return err
	}
	if c.Subject == "" {
		c.Subject = seed.Subject(c.Clinic, strings.ToLower(c.Role))
	}
	key, err := auth.LoadOrCreateDevKey(c.devKeyPath())
	if err != nil {
		return err
	}
	member, err := auth.EnsureMember(ctx, owner, auth.Member{
		Slug: c.Clinic, Subject: c.Subject, Role: models.Role(c.Role),
	})
	if err != nil {
		return err
	}
	token, err := key.Sign(auth.DevClaims{Subject: c.Subject, TTL: c.TTL})
	if err != nil {
		return err
	}
	if member.Change != "" {
		_, _ = fmt.Fprintln(s.err, member.Change)
	}
	if !member.First {
		_, _ = fmt.Fprintln(s.err, "send X-Clinic-Id:", models.KindClinic.Global(member.ClinicID), "too, since the subject belongs to several clinics")
	}
	_, _ = fmt.Fprintln(s.out, token)
	return nil
}
