package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDoctor_PlansWhatRegisteredOperationsSend(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.d.Exec(t, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements; GRANT pg_read_all_stats TO taskmed_owner")
	s.d.NewClinic(t, "aurora")
	const unfit = "query Old { noLongerThere }"
	s.d.Exec(t, `INSERT INTO registered_operations (id, hash, name, kind, body)
		SELECT h, h, 'Old', 'query', $1 FROM encode(sha256(convert_to($1, 'UTF8')), 'hex') AS h`, unfit)
	status, out, complaint := s.run("doctor indexes")
	require.Equal(t, exitOK, status, "%s %s", out, complaint)
	require.Regexp(t, `plans of \d+ statements \([1-9]\d* of them what 10 operations send\)`, out)
	require.Contains(t, out, "note: not so: every registered operation can be rehearsed\n  Old\n")
	require.Contains(t, out, "rehearsed read-only")
}
