package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/people"
	"github.com/taskmed/taskmed/internal/people/guesses"
	"github.com/taskmed/taskmed/models"
)

type memberCommand struct {
	Add    memberAdd    `cmd:"" help:"Make somebody a member, and print the member's id."`
	List   memberList   `cmd:"" help:"List the members, those whose membership ended included."`
	Revoke memberRevoke `cmd:"" help:"End a membership: the next request is refused."`
}

type memberAdd struct {
	ownerFlag

	Clinic  string `required:"" placeholder:"SLUG" help:"The clinic."`
	Subject string `required:"" help:"The sub of the person's tokens, letter for letter."`
	Role    string `required:"" help:"What they may do: ${enum}." enum:"OWNER,ADMIN,PRACTITIONER,RECEPTIONIST,FINANCE,PARTNER"`
	Name    string `help:"The name that the clinic knows them by."`
}

// Run prints the member's id and nothing else on standard output.
func (c *memberAdd) Run(ctx context.Context, s streams) error {
	return inClinic(ctx, c.ownerFlag, c.Clinic, func(ctx context.Context, db *database.DB) error {
		member, err := directory(db).AddMember(ctx, models.AddMemberInput{Subject: c.Subject, Role: models.Role(c.Role), Name: &c.Name})
		if err != nil {
			return inWords(err)
		}
		_, _ = fmt.Fprintln(s.out, member.GetID())
		return nil
	})
}

type memberList struct {
	ownerFlag

	Clinic string `required:"" placeholder:"SLUG" help:"The clinic."`
}

// Run prints a line for each member.
func (c *memberList) Run(ctx context.Context, s streams) error {
	return inClinic(ctx, c.ownerFlag, c.Clinic, func(ctx context.Context, db *database.DB) error {
		members, err := directory(db).AllMembers(ctx)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(table, "MEMBER\tROLE\tSINCE\tENDED\tSUBJECT\tNAME")
		for _, member := range members {
			ended, name := "", ""
			if member.RevokedAt != nil {
				ended = member.RevokedAt.UTC().Format(time.DateOnly)
			}
			if member.Name != nil {
				name = *member.Name
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", member.GetID(), member.Role, member.CreatedAt.UTC().Format(time.DateOnly), ended, member.Subject, name)
		}
		return table.Flush()
	})
}

type memberRevoke struct {
	ownerFlag

	Clinic string `required:"" placeholder:"SLUG" help:"The clinic."`
	Member string `arg:"" help:"The member's id, member_…, or their subject."`
}

// Run says what ended on standard error.
func (c *memberRevoke) Run(ctx context.Context, s streams) error {
	return inClinic(ctx, c.ownerFlag, c.Clinic, func(ctx context.Context, db *database.DB) error {
		people := directory(db)
		members, err := people.AllMembers(ctx)
		if err != nil {
			return err
		}
		for _, member := range members {
			if member.GetID() != c.Member && member.Subject != c.Member {
				continue
			}
			if _, err := people.RevokeMember(ctx, models.RevokeMemberInput{ID: member.GetID()}); err != nil {
				return inWords(err)
			}
			_, _ = fmt.Fprintf(s.err, "%s is no member of %s any more\n", member.Subject, c.Clinic)
			return nil
		}
		return fmt.Errorf("%s has no member %s", c.Clinic, c.Member)
	})
}

// directory writes members over a connection of the database's owner.
func directory(db *database.DB) *people.Directory {
	return people.New(db, nil, nil, time.Now, guesses.Alone{})
}
