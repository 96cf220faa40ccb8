package app_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/internal/testkit/conform"
)

// BenchmarkGrowth is what a page of each list, with each filter and each order alone,
// what counting it and what the playground's queries take of a clinic that is larger than
// another, over HTTP, answers not kept. The ratio is the large one's median by the small
// one's, asked in turns. With 42 clinics and 20 million rows:
//
//	TMPDIR=/var/tmp TASKMED_GROWTH_CLINICS=41 TASKMED_GROWTH=7 go run ./internal/testkit/teststack go test ./internal/app -run '^$' -bench BenchmarkGrowth -benchtime 1x -timeout 60m
func BenchmarkGrowth(b *testing.B) {
	small := seed.Options{
		Clinics: 1, Contacts: 2_000, Practitioners: 20, Appointments: 20_000, Records: 10_000,
		Seed: 1, Today: conform.Today(), Slugs: []string{"small"},
	}
	times := rounds(b, "TASKMED_GROWTH", 1)
	others := small
	others.Clinics, others.Seed, others.Slugs = rounds(b, "TASKMED_GROWTH_CLINICS", 1), 2, nil
	others.Contacts, others.Practitioners, others.Appointments, others.Records = times*small.Contacts, times*small.Practitioners, times*small.Appointments, times*small.Records
	suite := conform.NewGrown(b, small, others)
	for b.Loop() {
		all := suite.Growth(b, rounds(b, "TASKMED_GROWTH_ROUNDS", 11))
		require.NotEmpty(b, all)
		counts := func(one conform.Grown) bool { return strings.HasSuffix(one.Name, "totalCount") }
		counting := slices.DeleteFunc(slices.Clone(all), func(one conform.Grown) bool { return !counts(one) })
		pages := slices.DeleteFunc(slices.Clone(all), counts)
		for _, kind := range [][]conform.Grown{pages, counting} {
			fmt.Fprintf(os.Stderr, "of %d requests these have grown most: ratio, small, large\n", len(kind))
			for _, one := range kind[:20] {
				fmt.Fprintf(os.Stderr, "%5.2f %8v %8v  %s\n", one.Ratio(), one.Small.Round(10*time.Microsecond), one.Large.Round(10*time.Microsecond), one.Name)
			}
		}
		b.ReportMetric(pages[0].Ratio(), "worst-ratio")
		b.ReportMetric(pages[len(pages)/2].Ratio(), "median-ratio")
		b.ReportMetric(float64(suite.Database().Count(b, "SELECT sum(n_live_tup)::int FROM pg_stat_user_tables")), "rows")
	}
}
