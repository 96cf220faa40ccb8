// Package migrations holds the database's schema as goose SQL files, numbered
// in the order they are applied.
package migrations

import (
	"embed"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Files are the numbered migrations, for goose's Provider.
//
//go:embed 0*.sql
var Files embed.FS

// Versions are the numbers of the migrations, in ascending order.
func Versions() []int64 {
	names, err := fs.Glob(Files, "*.sql")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	versions := make([]int64, 0, len(names))
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			panic(err) // a file without a number: goose refuses it, too
		}
		versions = append(versions, version)
	}
	slices.Sort(versions)
	return versions
}
