package outbox_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/fitness"
	"github.com/taskmed/taskmed/internal/outbox"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
)

// Each trigger that raises an event is disabled, spoiled and dropped, alone, and is named
// by what is found.
func TestRaised_MissesEachTrigger(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	super, app := d.Connect(t, d.SuperuserURL), d.Connect(t, d.AppURL)
	require.Empty(t, found(t, app))
	catalogue, err := fitness.Look(t.Context(), app)
	require.NoError(t, err)
	require.Greater(t, len(catalogue.Raises), len(outbox.Events()))
	spoiled := func(raise fitness.Raise, sql string) []fitness.Finding {
		tx, err := super.Begin(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
		_, err = tx.Exec(t.Context(), strings.NewReplacer("{t}", raise.Table, "{g}", raise.Trigger, "{e}", raise.Event, "{k}", raise.Kind, "{by}", raise.By).Replace(sql))
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "SET LOCAL SESSION AUTHORIZATION taskmed_app")
		require.NoError(t, err)
		return found(t, tx)
	}
	const again = "DROP TRIGGER {g} ON {t}; CREATE TRIGGER {g} "
	for _, raise := range catalogue.Raises {
		off := "the trigger " + raise.Trigger + " on " + raise.Table + ", which raises " + raise.Event + ", is disabled"
		gone := "no trigger raises " + raise.Event + " where a " + raise.Kind + " is written by " + raise.By
		for sql, what := range map[string]string{
			"ALTER TABLE {t} DISABLE TRIGGER {g}":                                                               off,
			"ALTER TABLE {t} ENABLE REPLICA TRIGGER {g}":                                                        off,
			"DROP TRIGGER {g} ON {t}":                                                                           gone,
			again + "AFTER {by} ON {t} EXECUTE FUNCTION outbox_raise('{e}', '{k}')":                             gone,
			again + "AFTER DELETE ON {t} FOR EACH ROW EXECUTE FUNCTION outbox_raise('{e}', '{k}')":              gone,
			again + "AFTER {by} ON {t} FOR EACH ROW EXECUTE FUNCTION outbox_raise('{e}', 'nothing')":            gone,
			again + "AFTER UPDATE OF clinic_id ON {t} FOR EACH ROW EXECUTE FUNCTION outbox_raise('{e}', '{k}')": gone,
		} {
			findings := spoiled(raise, sql)
			require.Len(t, findings, 1, "%s: %s", raise.Trigger, sql)
			require.Equal(t, what, findings[0].What, sql)
			require.NotEmpty(t, findings[0].Why)
			require.NotEmpty(t, findings[0].Do)
		}
		require.Empty(t, spoiled(raise, again+"AFTER {by} ON {t} FOR EACH ROW EXECUTE FUNCTION outbox_raise('{e}', '{k}')"), "the control: it is made again")
	}
	require.Len(t, spoiled(fitness.Raise{}, "DROP FUNCTION outbox_raise() CASCADE"), len(catalogue.Raises), "none is left")
}

func found(t *testing.T, db fitness.Querier) []fitness.Finding {
	t.Helper()
	findings, err := fitness.Examine(t.Context(), db, outbox.Raised)
	require.NoError(t, err)
	return findings
}

// A server does not serve while a trigger is off, and serves again once it is on.
func TestRaised_IsARuleOfTheServers(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	server := api.NewServer(t, d)
	d.Exec(t, "ALTER TABLE contacts DISABLE TRIGGER contacts_raise_created")
	require.Eventually(t, func() bool {
		unfit, is := errors.AsType[*fitness.UnfitError](server.App.Fit())
		return is && strings.Contains(unfit.Error(), "contacts_raise_created")
	}, time.Minute, 10*time.Millisecond)
	d.Exec(t, "ALTER TABLE contacts ENABLE TRIGGER contacts_raise_created")
	require.Eventually(t, func() bool { return server.App.Fit() == nil }, time.Minute, 10*time.Millisecond)
}
