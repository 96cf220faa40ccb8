package conform

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Omission is one thing that a migration could have left out of what a noun's table
// announces.
type Omission struct {
	Object, What string
	// SQL leaves it out, as long as the database is there.
	SQL string
}

var (
	// A tag in the function that cache_announce makes, and the columns whose change
	// moves a row from list to list.
	announcedTag  = regexp.MustCompile(`'[a-z_]+[/:][^']*'`)
	movingColumns = regexp.MustCompile(`\(o\.[^)]*\) IS DISTINCT FROM \(n\.[^)]*\)`)
)

// Omissions are all that can be left out of what a noun's table announces: each tag,
// and each column whose change is told to lists.
func (s *Suite) Omissions(t testing.TB, object string) (all []Omission) {
	t.Helper()
	table := s.described(t, object).Table
	var function string
	require.NoError(t, s.psql.QueryRow(t.Context(), "SELECT pg_get_functiondef(format('cache_tags_%s()', $1::text)::regprocedure)", table).Scan(&function))
	tags := announcedTag.FindAllString(function, -1)
	require.NotEmpty(t, tags, "%s announces nothing", table)
	slices.Sort(tags)
	for _, tag := range slices.Compact(tags) {
		all = append(all, Omission{object, table + " without " + tag, strings.ReplaceAll(function, tag, "'nobody/"+tag[1:])})
	}
	moves := movingColumns.FindString(function)
	if moves == "" {
		return all
	}
	was, is, _ := strings.Cut(moves, " IS DISTINCT FROM ")
	olds, news := listed(was), listed(is)
	for i, column := range olds {
		rest := "false"
		if len(olds) > 1 {
			rest = fmt.Sprintf("(%s) IS DISTINCT FROM (%s)", strings.Join(slices.Delete(slices.Clone(olds), i, i+1), ", "),
				strings.Join(slices.Delete(slices.Clone(news), i, i+1), ", "))
		}
		all = append(all, Omission{object, table + " without its column " + strings.TrimPrefix(column, "o."), strings.ReplaceAll(function, moves, rest)})
	}
	return all
}

// listed are the parts of a row of SQL.
func listed(row string) []string { return strings.Split(strings.Trim(row, "()"), ", ") }
