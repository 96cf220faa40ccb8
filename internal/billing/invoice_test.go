package billing_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// Whatever every noun promises is TestConform's; this is what only invoices are.
func TestInvoices_SayWhatIsOwed(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	server := api.NewServer(t, d)
	appointment := d.Appointment(t, clinic, 0, 0, time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC), time.Hour)
	add := func(number any, status, due string, total, paid int) {
		d.Exec(t, `INSERT INTO invoices (clinic_id, id, number, contact_id, appointment_id, status, due_date, total_minor, paid_minor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			clinic.ID, models.NewID(), number, clinic.Contacts[0], appointment, status, due, total, paid)
	}
	add("1", "anulada", "2026-12-01", 100, 0)
	add("2", "paga_parcialmente", "2026-12-02", 15000, 4000)
	d.Exec(t, "UPDATE invoices SET appointment_id = NULL WHERE number = '1'")
	add("3", "anulada", "2026-12-03", 100, 0)
	finance := server.As(t, clinic, models.RoleFinance)

	t.Run("the balance is what is not paid yet", func(t *testing.T) {
		t.Parallel()
		var got struct {
			Appointment struct {
				Invoice struct {
					Number  string
					Balance struct {
						AmountMinor int64
						Currency    string
					}
				}
			}
		}
		finance.Must(t, `query ($id: ID!) { appointment(id: $id) { invoice { number balance { amountMinor currency } } } }`,
			map[string]any{"id": models.KindAppointment.Global(appointment)}, &got)
		require.Equal(t, "2", got.Appointment.Invoice.Number, "of an appointment's invoices the one that is not void")
		require.EqualValues(t, 11000, got.Appointment.Invoice.Balance.AmountMinor)
		require.Equal(t, "BRL", got.Appointment.Invoice.Balance.Currency)
	})
	for span, want := range map[string]string{
		`{from: "2026-12-01", to: "2026-12-02"}`: "[1 2]",
		`{from: "2026-12-02", to: "2026-12-02"}`: "[2]",
		`{from: "2026-12-03"}`:                   "[3]",
		`{to: "2026-12-01"}`:                     "[1]",
		`{}`:                                     "[1 2 3]",
	} {
		t.Run("both days of a range are in: "+span, func(t *testing.T) {
			t.Parallel()
			var got struct {
				Invoices struct{ Nodes []struct{ Number string } }
			}
			finance.Must(t, "{ invoices(dueDate: "+span+") { nodes { number } } }", nil, &got)
			var numbers []string
			for _, invoice := range got.Invoices.Nodes {
				numbers = append(numbers, invoice.Number)
			}
			require.Equal(t, want, fmt.Sprint(numbers))
		})
	}
	t.Run("a range that ends before it begins is refused", func(t *testing.T) {
		t.Parallel()
		answer := finance.Do(t, `{ invoices(dueDate: {from: "2026-12-02", to: "2026-12-01"}) { totalCount } }`, nil)
		require.Len(t, answer.Errors, 1, "%s", answer.Body)
		require.Equal(t, "BAD_USER_INPUT", answer.Errors[0].Extensions.Code)
	})
}
