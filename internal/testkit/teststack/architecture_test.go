package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The page names each package that there is and none that is not, and its files exist.
func TestArchitecture_NamesThePackagesThatExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs/architecture.md"))
	require.NoError(t, err)
	_, table, found := strings.Cut(string(page), "## The packages")
	require.True(t, found)
	named := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?) \\|").FindAllStringSubmatch(table, -1) {
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			require.False(t, named[name[1]], "%s is named twice", name[1])
			named[name[1]] = true
		}
	}
	listing := exec.CommandContext(t.Context(), "go", "list", "./...")
	listing.Dir = root
	listed, err := listing.Output()
	require.NoError(t, err)
	for path := range strings.FieldsSeq(string(listed)) {
		name := strings.TrimPrefix(path, "github.com/taskmed/taskmed/")
		require.True(t, named[name], "docs/architecture.md does not say what %s is for", name)
		delete(named, name)
	}
	require.Empty(t, named, "docs/architecture.md names what is no package")

	for _, file := range regexp.MustCompile("`([a-z/]+\\.(?:go|sql))`").FindAllStringSubmatch(string(page), -1) {
		if strings.Contains(file[1], "/") {
			_, err := os.Stat(filepath.Join(root, file[1]))
			require.NoError(t, err)
		}
	}
}
