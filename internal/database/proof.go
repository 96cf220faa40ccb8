package database

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/tenant"
)

// proven is how long a proof holds, the difference of two machines' clocks included.
const proven = 5 * time.Minute

// Prove tells the functions that change members and keys, to the transaction's end, that
// this server knows who asks (docs/decisions/0012): who has the connection string alone
// cannot. Without Config.AskerProofs it tells them nothing, and they refuse.
func (db *DB) Prove(ctx context.Context, tx *gorm.DB) error {
	scope, err := tenant.From(ctx)
	if err != nil || db.proofs == nil {
		return err
	}
	until := strconv.FormatInt(time.Now().Add(proven).Unix(), 10)
	sum := db.proofs.Sum([]byte(scope.ClinicID.String() + "\n" + until + "\n" + scope.Subject))
	if err := tx.Exec("SELECT set_config('app.asker_proof', $1, true)", until+":"+hex.EncodeToString(sum[:])).Error; err != nil {
		return fmt.Errorf("prove who asks: %w", err)
	}
	return nil
}
