package billing_test

import (
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

// Clients that write at once leave numbers from 1 without a gap, and sums that hold. For
// how long: TASKMED_MONEY (2s).
func TestLedger_HoldsUnderManyClients(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	lasting, err := time.ParseDuration(os.Getenv("TASKMED_MONEY"))
	if err != nil {
		lasting = 2 * time.Second
	}
	until := time.Now().Add(lasting)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(n)))
			for time.Now().Before(until) {
				made, wrong := d.write(t, d.finance, "createInvoice", []string{"", "", "@dryRun"}[random.IntN(3)], map[string]any{
					"contactId": models.KindContact.Global(d.clinic.Contacts[random.IntN(2)]), "dueDate": "2099-01-31", "issue": random.IntN(4) > 0,
					"items": []any{map[string]any{"description": "x", "unitPrice": map[string]any{"amountMinor": 100}}},
				})
				if made == nil {
					t.Error(wrong)
					return
				}
				d.settleTogether(t, made.ID, random)
			}
		})
	}
	wg.Wait()
	issued := d.Count(t, "SELECT count(*) FROM invoices WHERE number IS NOT NULL")
	require.Positive(t, issued)
	require.Equal(t, issued, d.Count(t, "SELECT count(DISTINCT number::integer) FROM invoices WHERE number::integer BETWEEN 1 AND $1", issued), "1 to n, none missing, none twice")
	require.Zero(t, d.Count(t, "SELECT count(*) FROM invoices i WHERE paid_minor <> (SELECT coalesce(sum(p.amount_minor - p.refunded_minor), 0) FROM payments p WHERE p.invoice_id = i.id)"))
	require.Zero(t, d.Count(t, "SELECT count(*) FROM payments p WHERE refunded_minor <> (SELECT coalesce(sum(r.amount_minor), 0) FROM refunds r WHERE r.payment_id = p.id)"))
	require.Positive(t, d.Count(t, "SELECT count(*) FROM refunds"))
	t.Logf("%d invoices issued", issued)
}

// settleTogether pays one invoice twice at once, for more than it is, and gives back
// twice at once more than came in.
func (d *desk) settleTogether(t *testing.T, invoice string, random *rand.Rand) {
	t.Helper()
	amount := 51 + random.Int64N(49)
	var paid [2]string
	var both sync.WaitGroup
	for i := range paid {
		both.Go(func() { paid[i], _ = d.pay(t, invoice, amount, nil) })
	}
	both.Wait()
	if paid[0] != "" && paid[1] != "" {
		t.Errorf("both of two payments of %d were taken for 100", amount)
	}
	for _, payment := range paid {
		if payment == "" {
			continue
		}
		for range 2 {
			both.Go(func() { d.refund(t, payment, amount/2+1) })
		}
		both.Wait()
	}
}
