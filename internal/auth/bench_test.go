package auth_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// BenchmarkCheck is what a request pays before anything of it is answered; the
// memberships' statement is part of it.
func BenchmarkCheck(b *testing.B) {
	w := newWorld(b)
	claims := w.claims(testkit.Subject("aurora", models.RoleOwner))
	_, keyText := makeKey(b, w, w.a, models.RolePartner)
	credentials := map[string]string{"key": keyText}
	algorithms := []string{"RS256", "ES256", "EdDSA"}
	signers := make([]*signer, len(algorithms))
	for i, alg := range algorithms {
		signers[i] = newSigner(b, alg, alg)
		credentials[alg] = signers[i].token(b, claims, nil)
	}
	w.provider.publish(b, signers...)
	for name, credential := range credentials {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := w.auth.Check(b.Context(), bearer(credential))
				require.NoError(b, err)
			}
		})
	}
}
