package migrations

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/taskmed/taskmed/internal/keyed"
)

// askerPurpose is what the key is for by which servers prove who asks.
const askerPurpose = "taskmed asker proofs"

// AskerProofs hashes what servers prove to the functions that change members and keys.
func AskerProofs(secret []byte) *keyed.Hash { return keyed.New(secret, askerPurpose) }

// TellSecret has the database know the servers' proofs of who asks, as the role that owns
// it: it keeps the two halves of HMAC-SHA-256's key (RFC 2104, section 2) and so no
// secret of another purpose. Proofs by an earlier secret are worth nothing afterwards.
func TellSecret(ctx context.Context, db *sql.DB, secret []byte) error {
	const block, inner, outer = 64, 0x36, 0x5c
	pads := [2][]byte{make([]byte, block), make([]byte, block)}
	copy(pads[0], keyed.Derive(secret, askerPurpose))
	copy(pads[1], pads[0])
	for i := range block {
		pads[0][i] ^= inner
		pads[1][i] ^= outer
	}
	_, err := db.ExecContext(ctx, `INSERT INTO asker_proof_key AS k (inner_pad, outer_pad) VALUES ($1, $2)
		ON CONFLICT (alone) DO UPDATE SET inner_pad = excluded.inner_pad, outer_pad = excluded.outer_pad
		WHERE (k.inner_pad, k.outer_pad) IS DISTINCT FROM (excluded.inner_pad, excluded.outer_pad)`, pads[0], pads[1])
	if err != nil {
		return fmt.Errorf("tell the database how servers prove who asks: %w", err)
	}
	return nil
}
