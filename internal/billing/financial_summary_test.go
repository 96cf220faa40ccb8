package billing_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

type money struct{ AmountMinor int64 }

type groupTotal struct {
	Key              string
	Billed, Received money
	Count            int
}

type summary struct {
	Billed, Received, Refunded, Outstanding, Overdue money

	Groups []groupTotal
}

const summaryFields = `billed { amountMinor } received { amountMinor } refunded { amountMinor } outstanding { amountMinor } overdue { amountMinor }`

func summarize(t testing.TB, client *api.Client, span map[string]any, by string) *summary {
	t.Helper()
	var got struct{ FinancialSummary *summary }
	variables := map[string]any{"r": span, "by": nil}
	if by != "" {
		variables["by"] = by
	}
	client.Must(t, `query ($r: DateRange!, $by: FinancialGroup) { financialSummary(range: $r, groupBy: $by) { `+summaryFields+` groups { key billed { amountMinor } received { amountMinor } count } } }`, variables, &got)
	return got.FinancialSummary
}

func allGroups() []string {
	return []string{"DAY", "WEEK", "MONTH", "PRACTITIONER", "SERVICE", "METHOD"}
}

// Random writes, most of them by the API and some by hand, and after each what the API
// says beside SQL by hand: of the whole and of random ranges, of a server that keeps answers.
func TestSummary_IsThatOfSQLByHandWhateverIsWritten(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	conn := d.Connect(t, d.SuperuserURL)
	other := d.NewClinic(t, "boreal")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 1))
	h := &history{desk: d, conn: conn, dice: dice}
	d.Exec(t, `INSERT INTO invoices (clinic_id, id, number, contact_id, status, due_date, total_minor, issued_at) VALUES ($1, gen_random_uuid(), '1', $2, 'aberta', '2026-11-01', 777, now())`, other.ID, other.Contacts[0])
	const rounds = 120
	for n := range rounds {
		what := h.write(t)
		for _, span := range []map[string]any{{}, h.span()} {
			by := allGroups()[dice.IntN(len(allGroups()))]
			h.compare(t, fmt.Sprintf("%d: after %s", n, what), span, by)
		}
	}
	for _, by := range append(allGroups(), "") {
		for range 6 {
			h.compare(t, "at the end", h.span(), by)
		}
	}
	h.balances(t)
	before := h.sums(t)
	d.Exec(t, "SELECT rebuild_financial_sums($1)", d.clinic.ID)
	require.Equal(t, before, h.sums(t), "sums that are made anew")
	require.EqualValues(t, 777, summarize(t, d.server.As(t, other, models.RoleOwner), map[string]any{}, "").Billed.AmountMinor, "another clinic's are its own")
}

// history writes a clinic's money at random.
type history struct {
	*desk

	conn     *pgx.Conn
	dice     *rand.Rand
	invoices []string
	payments []string
	booked   []uuid.UUID
}

func (h *history) sums(t *testing.T) string {
	t.Helper()
	var text string
	require.NoError(t, h.conn.QueryRow(t.Context(), `SELECT string_agg(s::text, E'\n' ORDER BY part, span, starts, key) FROM financial_sums s
		WHERE clinic_id = $1 AND (billed_minor, received_minor, refunded_minor, owed_minor, invoices, payments) <> (0, 0, 0, 0, 0, 0)`, h.clinic.ID).Scan(&text))
	return text
}

func (h *history) span() map[string]any {
	from := time.Now().AddDate(0, 0, h.dice.IntN(140)-120)
	span := map[string]any{"from": from.Format(time.DateOnly), "to": from.AddDate(0, 0, h.dice.IntN(100)).Format(time.DateOnly)}
	switch h.dice.IntN(6) {
	case 0:
		delete(span, "from")
	case 1:
		delete(span, "to")
	case 2:
		span["from"] = from.AddDate(0, 0, 1-from.Day()).Format(time.DateOnly)
	}
	return span
}

func (h *history) compare(t *testing.T, what string, span map[string]any, by string) {
	t.Helper()
	from, to := cmp.Or(span["from"], any("-infinity")), cmp.Or(span["to"], any("infinity"))
	want := byHand(t, h.conn, h.clinic.ID, from, to, time.Now())
	want.Groups = []groupTotal{}
	if by != "" {
		want.Groups = groupsByHand(t, h.conn, h.clinic.ID, from, to, by)
	}
	require.Equal(t, want, summarize(t, h.finance, span, by), "%s: %v by %s", what, span, by)
}

// mark is the name of a contact who owes nothing, as the server has it.
func (h *history) mark(t *testing.T) string {
	t.Helper()
	var got struct{ Contact struct{ Name string } }
	h.finance.Must(t, "query ($id: ID!) { contact(id: $id) { name } }", map[string]any{"id": models.KindContact.Global(h.clinic.Contacts[1])}, &got)
	return got.Contact.Name
}

// settle waits until the server has heard of what psql wrote, which is a moment later:
// Postgres keeps the order of what it tells. The mark must have been kept before.
func (h *history) settle(t *testing.T) {
	t.Helper()
	name := fmt.Sprintf("Mark %d", h.dice.Uint32())
	h.Exec(t, "UPDATE contacts SET name = $1 WHERE clinic_id = $2 AND id = $3", name, h.clinic.ID, h.clinic.Contacts[1])
	require.Eventually(t, func() bool { return h.mark(t) == name }, 20*time.Second, time.Millisecond)
}

func (h *history) balances(t *testing.T) {
	t.Helper()
	for _, contact := range h.clinic.Contacts {
		var want int64
		require.NoError(t, h.conn.QueryRow(t.Context(), "SELECT coalesce(sum(total_minor - paid_minor), 0) FROM invoices WHERE clinic_id = $1 AND contact_id = $2 AND status NOT IN ('rascunho', 'anulada')", h.clinic.ID, contact).Scan(&want))
		var got struct{ Contact struct{ Balance money } }
		h.finance.Must(t, "query ($id: ID!) { contact(id: $id) { balance { amountMinor currency } } }", map[string]any{"id": models.KindContact.Global(contact)}, &got)
		require.Equal(t, want, got.Contact.Balance.AmountMinor)
	}
}

// some is one of those there are; false if there is none.
func some[T any](dice *rand.Rand, of []T) (one T, ok bool) {
	if len(of) == 0 {
		return one, false
	}
	return of[dice.IntN(len(of))], true
}

func (h *history) ago(days int) time.Time {
	return time.Now().Add(-time.Duration(h.dice.IntN(days*24*60)) * time.Minute)
}

// write does one thing, and says what.
func (h *history) write(t *testing.T) string {
	t.Helper()
	bill, billed := some(h.dice, h.invoices)
	paid, received := some(h.dice, h.payments)
	switch n := h.dice.IntN(20); {
	case n < 6 || !billed:
		return h.create(t)
	case n < 11:
		if id, _ := h.pay(t, bill, 1+h.dice.Int64N(9000), map[string]any{"paidAt": h.ago(90).Format(time.RFC3339), "method": models.AllPaymentMethod[h.dice.IntN(7)]}); id != "" {
			h.payments = append(h.payments, id)
		}
		return "a payment"
	case n < 13 && received:
		h.refund(t, paid, 1+h.dice.Int64N(5000))
		return "a refund"
	case n < 14:
		h.desk.write(t, h.finance, "issueInvoice", "", map[string]any{"id": bill})
		return "issuing"
	case n < 15:
		h.desk.write(t, h.finance, "voidInvoice", []string{"", "@dryRun"}[h.dice.IntN(2)], map[string]any{"id": bill, "reason": "Engano"})
		return "voiding"
	default:
		h.mark(t)
		defer h.settle(t)
		return h.byHand(t, n, bill)
	}
}

// byHand writes with psql, which nobody does but who mends or moves data.
func (h *history) byHand(t *testing.T, n int, bill string) string {
	t.Helper()
	_, id, err := models.ParseGlobal(bill)
	require.NoError(t, err)
	clinic := h.clinic.ID
	switch n {
	case 15:
		zone := []string{"America/Sao_Paulo", "Asia/Tokyo", "Pacific/Kiritimati", "America/Los_Angeles"}[h.dice.IntN(4)]
		h.Exec(t, "UPDATE clinics SET time_zone = $1 WHERE id = $2", zone, clinic)
		return "moving to " + zone
	case 16:
		h.Exec(t, "UPDATE invoices SET issued_at = $1, due_date = $2 WHERE clinic_id = $3 AND id = $4 AND issued_at IS NOT NULL", h.ago(90), h.ago(60), clinic, id)
		return "another day of issue"
	case 17:
		if appointment, ok := some(h.dice, h.booked); ok {
			h.Exec(t, "UPDATE appointments SET practitioner_id = $1 WHERE clinic_id = $2 AND id = $3", h.clinic.Practitioners[h.dice.IntN(2)], clinic, appointment)
		}
		return "another practitioner"
	case 18:
		switch h.dice.IntN(3) {
		case 0:
			h.Exec(t, "UPDATE invoice_items SET service_id = $1 WHERE clinic_id = $2 AND invoice_id = $3 AND position = 1", h.clinic.Services[h.dice.IntN(2)], clinic, id)
		case 1:
			h.Exec(t, "DELETE FROM invoice_items WHERE clinic_id = $1 AND invoice_id = $2 AND position = 2", clinic, id)
		default:
			h.Exec(t, "UPDATE invoices SET total_minor = total_minor + 300, status = CASE WHEN status = 'paga' THEN 'paga_parcialmente' ELSE status END WHERE clinic_id = $1 AND id = $2 AND total_minor > 0", clinic, id)
		}
		return "other items"
	default:
		h.Exec(t, "UPDATE payments SET method = 'cash', end_to_end_id = NULL, paid_at = $1 WHERE clinic_id = $2 AND invoice_id = $3", h.ago(90), clinic, id)
		h.Exec(t, "UPDATE refunds SET created_at = $1 WHERE clinic_id = $2", h.ago(90), clinic)
		return "other days of payments"
	}
}

func (h *history) create(t *testing.T) string {
	t.Helper()
	input := map[string]any{
		"contactId": models.KindContact.Global(h.clinic.Contacts[0]), "dueDate": h.ago(100).AddDate(0, 0, 50).Format(time.DateOnly), "issue": h.dice.IntN(5) > 0,
	}
	var items []any
	for range 1 + h.dice.IntN(3) {
		item := map[string]any{"description": "x", "quantity": 1 + h.dice.IntN(3), "unitPrice": map[string]any{"amountMinor": h.dice.IntN(5) * 1013}}
		if h.dice.IntN(3) > 0 {
			item["serviceId"] = models.KindService.Global(h.clinic.Services[h.dice.IntN(2)])
		}
		items = append(items, item)
	}
	input["items"] = items
	if h.dice.IntN(2) == 0 {
		appointment := h.Appointment(t, h.clinic, 0, h.dice.IntN(2), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(len(h.booked))*time.Hour), time.Hour)
		h.booked = append(h.booked, appointment)
		input["appointmentId"] = models.KindAppointment.Global(appointment)
	}
	made, wrong := h.desk.write(t, h.finance, "createInvoice", "", input)
	require.Empty(t, wrong)
	h.invoices = append(h.invoices, made.ID)
	return "a new invoice"
}

// Money is for those who keep it, a balance also for the front desk.
func TestSummary_IsForWhoKeepsTheMoney(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	contact := map[string]any{"id": models.KindContact.Global(d.clinic.Contacts[0])}
	for _, role := range models.AllRole {
		client := d.server.As(t, d.clinic, role)
		figures := client.Do(t, "{ financialSummary(range: {}) { billed { amountMinor } } }", nil)
		require.Equal(t, slices.Contains([]models.Role{models.RoleOwner, models.RoleAdmin, models.RoleFinance}, role), len(figures.Errors) == 0, "%s: %s", role, figures.Body)
		balance := client.Do(t, "query ($id: ID!) { contact(id: $id) { balance { amountMinor } } }", contact)
		require.Equal(t, slices.Contains([]models.Role{models.RoleOwner, models.RoleAdmin, models.RoleFinance, models.RoleReceptionist}, role), len(balance.Errors) == 0, "%s: %s", role, balance.Body)
	}
	backwards := d.finance.Do(t, `{ financialSummary(range: {from: "2026-12-02", to: "2026-12-01"}) { billed { amountMinor } } }`, nil)
	require.Len(t, backwards.Errors, 1)
	require.Equal(t, "BAD_USER_INPUT", backwards.Errors[0].Extensions.Code)
}

// What is owed is overdue on the clinic's next day, though nobody writes anything and the
// answer was kept; sums beyond 64 bits are refused and never told wrongly.
func TestSummary_IsOverdueByTheClinicsClock(t *testing.T) {
	t.Parallel()
	var at atomic.Pointer[time.Time]
	at.Store(new(time.Date(2026, 12, 2, 2, 58, 0, 0, time.UTC))) // the first of December, 23:58 in São Paulo
	d := newDesk(t, api.Clock(func() time.Time { return *at.Load() }))
	made, wrong := d.write(t, d.finance, "createInvoice", "", map[string]any{
		"contactId": models.KindContact.Global(d.clinic.Contacts[0]), "dueDate": "2026-12-01",
		"items": []any{map[string]any{"description": "Consulta", "unitPrice": map[string]any{"amountMinor": 700}}},
	})
	require.Empty(t, wrong)
	december := map[string]any{"from": "2026-12-01", "to": "2026-12-31"}
	for range 2 {
		got := summarize(t, d.finance, december, "DAY")
		require.Equal(t, &summary{Billed: money{700}, Outstanding: money{700}, Groups: []groupTotal{{Key: "2026-12-01", Billed: money{700}, Count: 1}}}, got)
	}
	at.Store(new(time.Date(2026, 12, 2, 3, 0, 0, 0, time.UTC))) // midnight
	require.EqualValues(t, 700, summarize(t, d.finance, december, "").Overdue.AmountMinor)
	d.pay(t, made.ID, 200, nil)
	got := summarize(t, d.finance, december, "")
	require.EqualValues(t, 500, got.Overdue.AmountMinor)
	require.EqualValues(t, 200, got.Received.AmountMinor)

	for range 5 {
		_, wrong := d.write(t, d.finance, "createInvoice", "", map[string]any{
			"contactId": models.KindContact.Global(d.clinic.Contacts[1]), "dueDate": "2026-12-31",
			"items": slices.Repeat([]any{map[string]any{"description": "x", "quantity": 10_000, "unitPrice": map[string]any{"amountMinor": 1_000_000_000_000}}}, 200),
		})
		require.Empty(t, wrong)
	}
	for _, query := range []string{
		`{ financialSummary(range: {from: "2026-12-01", to: "2026-12-31"}) { billed { amountMinor } } }`,
		fmt.Sprintf(`{ contact(id: %q) { balance { amountMinor } } }`, models.KindContact.Global(d.clinic.Contacts[1])),
	} {
		answer := d.finance.Do(t, query, nil)
		require.Len(t, answer.Errors, 1, "%s", answer.Body)
		require.Equal(t, "BAD_USER_INPUT", answer.Errors[0].Extensions.Code)
	}
}
