package doctor_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/doctor"
	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/web"
)

// busy is a database of clinics in which every example of the playground has
// run once, so that what it takes is known.
func busy(t *testing.T) *testkit.Database {
	t.Helper()
	d := counted(t)
	result, err := seed.Run(t.Context(), d.OwnerURL, seed.Options{
		Clinics: 8, Contacts: 500, Practitioners: 5, Appointments: 2500, Records: 1000, Seed: 3, Today: time.Now(),
	}, nil)
	require.NoError(t, err)
	server := api.NewServer(t, d)
	clinic := &testkit.Clinic{ID: result.Clinics[0].ID, Slug: result.Clinics[0].Slug}
	owner := server.AsSubject(t, clinic, seed.Subject(clinic.Slug, "owner"))
	values, err := web.Values(t.Context(), func(_ context.Context, query string, variables map[string]any) (json.RawMessage, error) {
		response := owner.Do(t, query, variables)
		if len(response.Errors) > 0 {
			return nil, errors.New(response.Errors[0].Message)
		}
		return response.Data, nil
	}, time.Now())
	require.NoError(t, err)
	for _, example := range web.Requests() {
		variables, err := web.Resolve(example.Variables, values)
		require.NoError(t, err)
		owner.Must(t, example.Query, variables, nil)
	}
	return d
}

// P6 of the promises: every statement has an index for a selective table.
func TestIndexes_EveryStatementOfTheExamplesHasOne(t *testing.T) {
	t.Parallel()
	d := busy(t)
	owner, app := d.Connect(t, d.OwnerURL), d.Connect(t, d.AppURL)
	options := doctor.IndexOptions{LargeRows: 3000}

	report, err := doctor.Indexes(t.Context(), owner, app, options)
	require.NoError(t, err)
	for _, f := range report.Findings {
		require.NotEqual(t, doctor.Problem, f.Level, "%+v", f)
		require.NotEqual(t, "every statement can be planned", f.Rule, "%+v", f)
	}
	require.True(t, report.Healthy)
	t.Log(report.Examined)

	// One index is made twice, another is left half built, and a statement's
	// text holds a second statement, which must not run.
	d.Exec(t, `CREATE INDEX again ON medical_records (clinic_id, contact_id, created_at)`)
	d.Exec(t, `CREATE INDEX half ON contacts (clinic_id, updated_at)`)
	d.Exec(t, `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'half'::regclass`)
	options.Statements = []string{
		`SELECT id FROM appointments WHERE clinic_id = $1 AND starts_at < $2; DROP TABLE contacts`,
	}
	report, err = doctor.Indexes(t.Context(), owner, app, options)
	require.NoError(t, err)
	require.False(t, report.Healthy)
	require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM pg_class WHERE relname = 'contacts'"))
	broken := map[string]string{}
	for _, f := range report.Findings {
		if f.Level == doctor.Problem {
			broken[f.Rule] += f.Subject + " " + f.Detail + "\n"
		}
	}
	require.Contains(t, broken["no two indexes are the same"], "again does what idx_medical_records_contact_date does")
	require.Contains(t, broken["every index is whole"], "half")
}

// A large table that a statement must read whole is found, and named.
func TestIndexes_FindsTheTableThatIsReadWhole(t *testing.T) {
	t.Parallel()
	d := counted(t)
	clinic := d.NewClinic(t, "aurora")
	d.Exec(t, `CREATE TABLE readings (clinic_id uuid NOT NULL, id bigint, device text, PRIMARY KEY (clinic_id, id));
		INSERT INTO readings SELECT CASE WHEN i % 2 = 0 THEN '`+clinic.ID.String()+`'::uuid ELSE gen_random_uuid() END, i, i::text FROM generate_series(1, 20000) i;
		GRANT SELECT ON readings TO taskmed_app; ANALYZE readings`)
	owner, app := d.Connect(t, d.OwnerURL), d.Connect(t, d.AppURL)
	statement := "SELECT id FROM readings WHERE device = $1"
	_, err := app.Exec(t.Context(), statement, "7")
	require.NoError(t, err)

	found := func() string {
		report, err := doctor.Indexes(t.Context(), owner, app, doctor.IndexOptions{})
		require.NoError(t, err)
		var all strings.Builder
		for _, f := range report.Findings {
			if f.Level == doctor.Problem {
				all.WriteString(f.Subject + ": " + f.Detail + "\n")
			}
		}
		return all.String()
	}
	require.Contains(t, found(), statement+": all 20000 rows of readings, to keep those with (device = $1)")
	d.Exec(t, `CREATE INDEX readings_device ON readings (device); ANALYZE readings`)
	require.Empty(t, found())
}
