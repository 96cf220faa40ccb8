// Package migrations holds the database's schema as goose SQL files, numbered
// in the order they are applied.
package migrations

import "embed"

// Files are the numbered migrations, for goose's Provider.
//
//go:embed 0*.sql
var Files embed.FS
