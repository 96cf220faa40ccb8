package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// What nobody reads whole nobody knows: a file is short, and a package has few files of
// its own. Generated files are read by nobody.
func TestTree_FilesAreShortAndPackagesSmall(t *testing.T) {
	t.Parallel()
	const mostLines, mostFiles = 400, 20
	seen := 0
	for _, folder := range folders(t) {
		entries, err := os.ReadDir(filepath.Join(root, folder))
		require.NoError(t, err)
		production := 0
		for _, entry := range entries {
			if entry.IsDir() || !strings.HasSuffix(entry.Name(), ".go") {
				continue
			}
			text, err := os.ReadFile(filepath.Join(root, folder, entry.Name()))
			require.NoError(t, err)
			if generated.Match(text) {
				continue
			}
			seen++
			assert.LessOrEqual(t, bytes.Count(text, []byte("\n")), mostLines, "%s/%s is too long: split it by what it is about", folder, entry.Name())
			if !strings.HasSuffix(entry.Name(), "_test.go") {
				production++
			}
		}
		assert.LessOrEqual(t, production, mostFiles, "%s has too many files: put those together that are about one thing, or make it two packages", folder)
	}
	require.Greater(t, seen, 500, "it looks at the whole tree")
}

// folders are those of the tree that may be packages.
func folders(t *testing.T) []string {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if name := entry.Name(); path != root && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata") {
			return filepath.SkipDir
		}
		folder, err := filepath.Rel(root, path)
		found = append(found, folder)
		return err
	}))
	return found
}
