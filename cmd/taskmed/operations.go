package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/jackc/pgx/v5"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/graph/generated"
	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/persisted"
	"github.com/taskmed/taskmed/internal/rights"
)

type operationsCommand struct {
	Publish operationsPublish `cmd:"" help:"Publish the operations that a front end was built with."`
	List    operationsList    `cmd:"" help:"List what is published."`
	Retire  operationsRetire  `cmd:"" help:"Take published operations back."`
}

type operationsPublish struct {
	ownerFlag

	From string `arg:"" type:"path" help:"A folder of .graphql files, the manifest of @apollo/generate-persisted-query-manifest, or Relay's persisted_queries.json."`
}

// Run publishes all operations or, if any of them does not fit the schema, none.
func (c *operationsPublish) Run(ctx context.Context, s streams) error {
	operations, err := persisted.Read(c.From)
	if err != nil {
		return err
	}
	if err := fitSchema(operations); err != nil {
		return fmt.Errorf("nothing was published:\n%w", err)
	}
	return asOwner(ctx, c.ownerFlag, func(conn *pgx.Conn) error {
		done, err := persisted.Publish(ctx, conn, operations)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(s.err, "published %d operations, %d were published before\n", done.Added, done.Known)
		return nil
	})
}

// fitSchema checks documents as the server does before it runs them. What an
// operation costs is seen only with its variables, and by the server's limits.
func fitSchema(operations []*persisted.Operation) error {
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	table, err := rights.New(schema)
	if err != nil {
		return err
	}
	checker, err := operation.New(schema, table, operation.Limits{})
	if err != nil {
		return err
	}
	var faults []error
	for _, published := range operations {
		_, found := checker.Document(published.Body)
		for _, fault := range found {
			faults = append(faults, fmt.Errorf("%s%s: %s", published.Name, place(fault), fault.Message))
		}
	}
	return errors.Join(faults...)
}

func place(fault *gqlerror.Error) string {
	if len(fault.Locations) == 0 {
		return ""
	}
	return fmt.Sprintf(":%d:%d", fault.Locations[0].Line, fault.Locations[0].Column)
}

type operationsList struct{ ownerFlag }

// Run prints a line per operation: its name, kind and id.
func (c *operationsList) Run(ctx context.Context, s streams) error {
	return asOwner(ctx, c.ownerFlag, func(conn *pgx.Conn) error {
		operations, err := persisted.List(ctx, conn)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		for _, o := range operations {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", o.Name, o.Kind, o.ID)
		}
		return table.Flush()
	})
}

type operationsRetire struct {
	ownerFlag

	IDs []string `arg:"" name:"id" help:"Ids as 'taskmed operations list' has them."`
}

// Run says how many were taken back.
func (c *operationsRetire) Run(ctx context.Context, s streams) error {
	return asOwner(ctx, c.ownerFlag, func(conn *pgx.Conn) error {
		if err := persisted.Retire(ctx, conn, c.IDs); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(s.err, "retired %d operations\n", len(c.IDs))
		return nil
	})
}

func asOwner(ctx context.Context, flag ownerFlag, work func(*pgx.Conn) error) error {
	owner, err := flag.ownerURL()
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, owner)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is left to lose
	return work(conn)
}
