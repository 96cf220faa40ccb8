package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/doctor"
)

func TestDoctor_SaysWhatIsWrongAndFails(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	status, out, complaint := s.run("doctor isolation")
	require.Equal(t, exitOK, status, complaint)
	require.Contains(t, out, "isolation: nothing to mend; looked at")

	s.d.Exec(t, "ALTER TABLE contacts DISABLE ROW LEVEL SECURITY")
	status, out, complaint = s.run("doctor isolation")
	require.Equal(t, exitFailure, status)
	require.Contains(t, out, "problem: not so: row-level security is enabled and forced\n  contacts")
	require.Contains(t, complaint, "to be mended: 1")

	status, out, _ = s.run("doctor isolation --json")
	require.Equal(t, exitFailure, status)
	var report doctor.Report
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Equal(t, []doctor.Finding{{
		Level: doctor.Problem, Rule: "row-level security is enabled and forced", Subject: "contacts",
	}}, report.Findings)
	require.False(t, report.Healthy)
}

func TestDoctor_NamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	for _, check := range []string{"slow", "indexes"} {
		status, out, complaint := s.run("doctor " + check)
		require.Equal(t, exitFailure, status, complaint)
		require.Contains(t, out, "CREATE EXTENSION pg_stat_statements", check)
	}
}

func TestMaintain_TellsWhatItDid(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	clinic := s.d.NewClinic(t, "serra")
	s.d.Exec(t, `INSERT INTO idempotency_keys (clinic_id, subject, key, request_hash, expires_at)
		VALUES ($1, 's', 'k', decode(repeat('00', 32), 'hex'), now() - interval '1 second')`, clinic.ID)
	status, out, complaint := s.run("maintain")
	require.Equal(t, exitOK, status, complaint)
	require.Contains(t, out, "1 idempotency keys, 0 holds")
	status, out, complaint = s.run("maintain --json")
	require.Equal(t, exitOK, status, complaint)
	require.Contains(t, out, `"expiredIdempotencyKeys": 0`)
}
