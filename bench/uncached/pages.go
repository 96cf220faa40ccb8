package main

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/paging"
)

// secret seals the cursors of every server of the run.
const secret = "be9cbe9cbe9cbe9cbe9cbe9cbe9cbe9cbe9cbe9cbe9cbe9cbe9cbe9cbe9cbe9c" //nolint:gosec // it guards nothing

func secretBytes() ([]byte, error) { return config.Config{Secret: secret}.SecretBytes() }

// pages are the cursors of the first pages of the list of active contacts.
func (d *database) pages(ctx context.Context, clinic uuid.UUID) ([]string, error) {
	key, err := secretBytes()
	if err != nil {
		return nil, err
	}
	cursors, err := paging.NewCursors(key)
	if err != nil {
		return nil, err
	}
	rows, err := d.conn.Query(ctx, `SELECT name_key, id::text FROM (
		SELECT name_key, id, row_number() OVER (ORDER BY name_key, id) AS place FROM contacts WHERE clinic_id = $1 AND status = 'ativo') AS listed
		WHERE place IN (50, 100, 150) ORDER BY place`, clinic)
	if err != nil {
		return nil, err
	}
	type place struct{ Name, ID string }
	ends, err := pgx.CollectRows(rows, pgx.RowToStructByPos[place])
	pages := []string{""}
	for _, end := range ends {
		pages = append(pages, cursors.Encode(clinic, "Query.contacts by name_key", []string{end.Name, end.ID}))
	}
	return pages, err
}
