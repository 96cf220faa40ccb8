package auth_test

import (
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/migrations"
	"github.com/taskmed/taskmed/models"
)

// What who has the application's connection string can do as an owner whom they know:
// nothing, without a proof that a server made for that owner, in that clinic, now.
func TestProof_IsWantedOfWhoeverSpeaksForAnOwner(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	here, there := d.NewClinic(t, "aurora"), d.NewClinic(t, "horizonte")
	owner := testkit.Subject("aurora", models.RoleOwner)
	secret, err := hex.DecodeString(testkit.Secret)
	require.NoError(t, err)
	proof := func(secret []byte, clinic uuid.UUID, until time.Time, asker string) string {
		sum := migrations.AskerProofs(secret).Sum(fmt.Appendf(nil, "%s\n%d\n%s", clinic, until.Unix(), asker))
		return fmt.Sprintf("%d:%x", until.Unix(), sum)
	}
	soon := time.Now().Add(time.Minute)
	conn := d.Connect(t, d.AppURL)
	adding := func(proven string) error {
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
		_, err = tx.Exec(t.Context(), "SELECT set_config('app.clinic', $1, true), set_config('app.asker_proof', $2, true)", here.ID.String(), proven)
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "SELECT member_add($1, gen_random_uuid(), 'new', NULL, 'owner')", owner)
		return err
	}
	require.NoError(t, adding(proof(secret, here.ID, soon, owner)), "a server's own")
	for name, proven := range map[string]string{
		"none":                  "",
		"of another secret":     proof(append([]byte{1}, secret...), here.ID, soon, owner),
		"of another clinic":     proof(secret, there.ID, soon, owner),
		"of another asker":      proof(secret, here.ID, soon, testkit.Subject("aurora", models.RoleAdmin)),
		"of earlier":            proof(secret, here.ID, time.Now().Add(-time.Second), owner),
		"for ever":              proof(secret, here.ID, time.Now().AddDate(1, 0, 0), owner),
		"with another end":      fmt.Sprintf("%d%s", soon.Unix()+1, proof(secret, here.ID, soon, owner)[10:]),
		"with a number too big": "999999999999" + proof(secret, here.ID, soon, owner)[10:],
	} {
		require.ErrorContains(t, adding(proven), "it is not proven who asks", name)
	}

	d.Exec(t, "DELETE FROM asker_proof_key")
	require.ErrorContains(t, adding(proof(secret, here.ID, soon, owner)), "it is not proven who asks", "a database that no secret was told to")
}
