package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../../.."

// makefile is the Makefile with its continued lines joined.
func makefile(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	return strings.ReplaceAll(string(text), "\\\n", " ")
}

// listed are the packages that a variable of the Makefile names.
func listed(t *testing.T, variable string) []string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + variable + ` := (.*)$`).FindStringSubmatch(makefile(t))
	require.NotNil(t, found, variable)
	names := strings.Fields(found[1])
	for _, name := range names {
		require.DirExists(t, filepath.Join(root, name), variable)
	}
	return names
}

// Only tests of other people's programs may run again when they fail. That a test of
// isolation or staleness does not is seen to by what it is made of: a package that may
// run again imports nothing that judges answers.
func TestMakefile_WhatJudgesAnswersNeverRunsAgain(t *testing.T) {
	t.Parallel()
	again := listed(t, "AGAIN")
	require.Equal(t, []string{"internal/devstack", "internal/e2e"}, again, "who adds one says why in docs/decisions/0008")
	judges := []string{
		"internal/load", "internal/answers", "internal/coherence", "internal/trust", "internal/touched", "internal/testkit/compose", "internal/testkit/conform", "porcupine",
	}
	judged := regexp.MustCompile(`^Test\w*(Isolat|Foreign|Stale|Coheren|Canary|Conform|Composed)`)
	for _, folder := range again {
		for _, file := range parsed(t, folder, func(name string) bool { return strings.HasSuffix(name, "_test.go") }) {
			for _, of := range file.Imports {
				for _, judge := range judges {
					require.False(t, strings.HasSuffix(strings.Trim(of.Path.Value, `"`), judge), "%s may run again and imports %s", folder, judge)
				}
			}
			for _, made := range file.Decls {
				if function, ok := made.(*ast.FuncDecl); ok {
					require.False(t, judged.MatchString(function.Name.Name), "%s is in %s, which may run again", function.Name.Name, folder)
				}
			}
		}
	}
	// And nothing but those packages is run so that it may.
	runs := 0
	for line := range strings.Lines(makefile(t)) {
		for command := range strings.SplitSeq(line, ";") {
			if strings.Contains(command, "--rerun-fails") {
				runs++
				require.Regexp(t, `--packages "\$\(AGAIN_PACKAGES\)" `, command)
			}
		}
	}
	require.Equal(t, 1, runs)
	require.Regexp(t, `AGAIN_PACKAGES = \$\(addprefix \$\(MODULE\)/,\$\(AGAIN\)\)`, makefile(t))
}

// unshared are packages whose code has goroutines or locks and that run without the
// race detector all the same, and why.
func unshared() map[string]string {
	return map[string]string{
		"bench/uncached":            "a tool that measures",
		"bench/uncached/limit":      "a tool that measures",
		"cmd/taskmed":               "its goroutines are two servers' beginnings and ends; chaos starts it with the detector",
		"graph/generated":           "gqlgen's; chaos and gqlserver run it with the detector",
		"internal/answering":        "the program's name, which is read once; chaos runs it with the detector",
		"internal/availability":     "one zone's cache, by sync.Map; chaos runs it with the detector",
		"internal/devstack":         "it waits for programs",
		"internal/loaders":          "it has no tests of its own; chaos and entity run it with the detector",
		"internal/rehearsal":        "one lock around a list, of one command",
		"internal/seed":             "a command's, which tells how far it is",
		"internal/sockets":          "it has no tests of its own; gqlserver runs it with the detector",
		"internal/telemetry/alerts": "it has no tests of its own; telemetry runs it with the detector",
		"internal/testkit":          "tests' own",
		"internal/testkit/conform":  "tests' own",
		"internal/touched":          "the collector has one lock; answers, entity and chaos run it with the detector",
		"web":                       "one page, made once",
	}
}

// Whatever shares state between goroutines runs with the race detector, or says here
// why not.
func TestMakefile_WhatGoroutinesShareRunsWithTheRaceDetector(t *testing.T) {
	t.Parallel()
	race := listed(t, "RACE")
	excused := unshared()
	for folder := range concurrent(t) {
		_, why := excused[folder]
		require.NotEqual(t, why, slices.Contains(race, folder), "%s has goroutines or locks: it is either in RACE or excused here", folder)
	}
	for folder := range maps.Keys(excused) {
		require.Contains(t, concurrent(t), folder, "nothing to excuse")
	}
}

// concurrent are the packages whose own code starts goroutines or locks.
func concurrent(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, folder := range folders(t) {
		for _, file := range parsed(t, folder, func(name string) bool { return strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") }) {
			for _, of := range file.Imports {
				if slices.Contains([]string{`"sync"`, `"sync/atomic"`, `"golang.org/x/sync/errgroup"`}, of.Path.Value) {
					found[folder] = true
				}
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if _, starts := n.(*ast.GoStmt); starts {
					found[folder] = true
				}
				return true
			})
		}
	}
	return found
}

// parsed are those of a folder's Go files that have a name of some kind.
func parsed(t *testing.T, folder string, named func(name string) bool) []*ast.File {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(root, folder))
	require.NoError(t, err)
	var files []*ast.File
	for _, entry := range entries {
		if entry.IsDir() || !named(entry.Name()) {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, folder, entry.Name()), nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		files = append(files, file)
	}
	return files
}
