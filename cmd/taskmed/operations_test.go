package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/persisted"
)

func TestOperations_ArePublishedListedAndRetired(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	folder := t.TempDir()
	file := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	const day = "query Day { viewer { subject } }\n"
	file("day.graphql", day)
	file("wrong.graphql", "query Wrong { viewer { shoeSize } }\n")
	status, _, complaint := s.run("operations publish", folder)
	require.Equal(t, exitFailure, status)
	require.Contains(t, complaint, `Wrong:1:24: Cannot query field "shoeSize" on type "Viewer"`)
	require.Zero(t, s.d.Count(t, "SELECT count(*) FROM registered_operations"), "all or none")

	require.NoError(t, os.Remove(filepath.Join(folder, "wrong.graphql")))
	status, _, complaint = s.run("operations publish", folder)
	require.Equal(t, exitOK, status, complaint)
	require.Contains(t, complaint, "published 1 operations")
	status, out, complaint := s.run("operations list")
	require.Equal(t, exitOK, status, complaint)
	require.Equal(t, "Day  query  "+persisted.Hash(day), out)

	status, _, complaint = s.run("operations retire", persisted.Hash(day))
	require.Equal(t, exitOK, status, complaint)
	status, _, complaint = s.run("operations retire", persisted.Hash(day))
	require.Equal(t, exitFailure, status)
	require.Contains(t, complaint, "no such operation is published")
}
