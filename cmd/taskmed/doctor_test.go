package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/doctor"
	"github.com/taskmed/taskmed/internal/maintenance"
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

// Whatever a run counts is in what a person reads of it.
func TestMaintain_TellsAllThatItCounted(t *testing.T) {
	t.Parallel()
	var result maintenance.Result
	of := reflect.ValueOf(&result).Elem()
	const first = 1_000_001
	for i := range of.NumField() {
		if kind := of.Field(i).Kind(); (kind == reflect.Int64 || kind == reflect.Int) && of.Type().Field(i).Name != "Took" {
			of.Field(i).SetInt(int64(first + i))
		}
	}
	told := maintained(result)
	for i := range of.NumField() {
		if of.Field(i).CanInt() && of.Field(i).Int() >= first {
			require.Contains(t, told, strconv.Itoa(first+i), of.Type().Field(i).Name)
		}
	}
}

// The store is the environment's, and so this test has its own.
func TestDoctor_LooksAtTheStoreOfAttachments(t *testing.T) {
	home := t.TempDir()
	run := func() (int, string, string) {
		told := taskmed(t.Context(), "doctor", "attachments", "--home", home)
		return told.status, told.out, told.err
	}
	dir := filepath.Join(t.TempDir(), "files")
	t.Setenv("TASKMED_ATTACHMENTS_DIR", "")
	status, out, complaint := run()
	require.Equal(t, exitOK, status, complaint)
	require.Contains(t, out, "none are taken")

	t.Setenv("TASKMED_ATTACHMENTS_DIR", dir)
	status, out, complaint = run()
	require.Equal(t, exitOK, status, complaint)
	require.Contains(t, out, "attachments: nothing to mend; looked at the store of attachments, "+dir)

	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.WriteFile(dir, nil, 0o600))
	status, out, complaint = run()
	require.Equal(t, exitFailure, status)
	require.Contains(t, out, "problem: not so: files can be kept in the store of attachments\n  "+dir)
	require.Contains(t, complaint, "to be mended: 1")

	// A store that takes connections and says nothing is not waited for without end.
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	t.Setenv("TASKMED_ATTACHMENTS_DIR", "")
	for name, value := range map[string]string{"ENDPOINT": "http://" + listener.Addr().String(), "BUCKET": "files", "KEY": "key", "SECRET": "canary"} {
		t.Setenv("TASKMED_ATTACHMENTS_S3_"+name, value)
	}
	status, out, _ = run()
	require.Equal(t, exitFailure, status)
	require.Contains(t, out, "deadline exceeded")
	require.NotContains(t, out, "canary")
}
