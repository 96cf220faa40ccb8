package billing_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// desk is a clinic with a client of its API who may do everything with money.
type desk struct {
	*testkit.Database

	clinic  *testkit.Clinic
	server  *api.Server
	finance *api.Client
}

func newDesk(t testing.TB, options ...api.Option) *desk {
	t.Helper()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	server := api.NewServer(t, d, options...)
	return &desk{Database: d, clinic: clinic, server: server, finance: server.As(t, clinic, models.RoleFinance)}
}

type mistake struct {
	Code      string
	Field     []string
	EntityIDs []string
}

type invoice struct {
	ID, Status          string
	Number              *string
	Version             int
	Total, Paid         struct{ AmountMinor int64 }
	Items               []struct{ Description string }
	VoidReason          *string
	Payments            []struct{ ID string }
	DueDate, IssuedAt   *string
	ContactID, Currency string
}

const invoiceFields = `id status number version issuedAt dueDate voidReason total { amountMinor } paid { amountMinor } items { description } payments { id }`

// write runs a mutation that gives an invoice.
func (d *desk) write(t testing.TB, client *api.Client, mutation, directive string, input map[string]any) (*invoice, []mistake) {
	t.Helper()
	var got struct {
		Got struct {
			Invoice    *invoice
			UserErrors []mistake
		}
	}
	name := map[string]string{"createInvoice": "CreateInvoiceInput", "updateInvoice": "UpdateInvoiceInput", "issueInvoice": "IssueInvoiceInput", "voidInvoice": "VoidInvoiceInput"}[mutation]
	client.Must(t, fmt.Sprintf(`mutation ($input: %s!) { got: %s(input: $input) %s { invoice { %s } userErrors { code field entityIds } } }`, name, mutation, directive, invoiceFields),
		map[string]any{"input": input}, &got)
	return got.Got.Invoice, got.Got.UserErrors
}

func (d *desk) bill(t testing.TB, total int64) *invoice {
	t.Helper()
	made, wrong := d.write(t, d.finance, "createInvoice", "", map[string]any{
		"contactId": models.KindContact.Global(d.clinic.Contacts[0]), "dueDate": "2099-01-31",
		"items": []any{map[string]any{"description": "Consulta", "unitPrice": map[string]any{"amountMinor": total}}},
	})
	require.Empty(t, wrong)
	return made
}

// pay records a payment, and gives its id.
func (d *desk) pay(t testing.TB, invoice string, amount int64, more map[string]any) (string, []mistake) {
	t.Helper()
	input := map[string]any{"invoiceId": invoice, "amount": map[string]any{"amountMinor": amount}, "method": "PIX"}
	maps.Copy(input, more)
	var got struct {
		RecordPayment struct {
			Payment    *struct{ ID string }
			UserErrors []mistake
		}
	}
	d.finance.Must(t, `mutation ($input: RecordPaymentInput!) { recordPayment(input: $input) { payment { id } userErrors { code field entityIds } } }`, map[string]any{"input": input}, &got)
	if got.RecordPayment.Payment == nil {
		return "", got.RecordPayment.UserErrors
	}
	return got.RecordPayment.Payment.ID, nil
}

func (d *desk) refund(t testing.TB, payment string, amount int64) []mistake {
	t.Helper()
	var got struct {
		RefundPayment struct{ UserErrors []mistake }
	}
	d.finance.Must(t, `mutation ($input: RefundPaymentInput!) { refundPayment(input: $input) { refund { id payment { refunded { amountMinor } } } userErrors { code field entityIds } } }`,
		map[string]any{"input": map[string]any{"paymentId": payment, "amount": map[string]any{"amountMinor": amount}, "reason": "Cobrado em dobro"}}, &got)
	return got.RefundPayment.UserErrors
}

func (d *desk) read(t testing.TB, id string) *invoice {
	t.Helper()
	var got struct{ Invoice *invoice }
	d.finance.Must(t, `query ($id: ID!) { invoice(id: $id) { `+invoiceFields+` } }`, map[string]any{"id": id}, &got)
	return got.Invoice
}

func one(t testing.TB, wrong []mistake) mistake {
	t.Helper()
	require.Len(t, wrong, 1)
	return wrong[0]
}

// The whole course: a draft is written, changed, issued, paid in parts, given back, void.
func TestInvoice_FromADraftToVoid(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	contact := models.KindContact.Global(d.clinic.Contacts[0])
	draft, wrong := d.write(t, d.finance, "createInvoice", "", map[string]any{
		"contactId": contact, "dueDate": "2099-01-31", "issue": false,
		"items": []any{map[string]any{"serviceId": models.KindService.Global(d.clinic.Services[0]), "quantity": 2}, map[string]any{"description": "Curativo", "unitPrice": map[string]any{"amountMinor": 1050}}},
	})
	require.Empty(t, wrong)
	require.Equal(t, "DRAFT", draft.Status)
	require.Nil(t, draft.Number)
	require.Len(t, draft.Items, 2)
	require.NotEmpty(t, draft.Items[0].Description, "the service's name")
	require.Equal(t, "Curativo", draft.Items[1].Description)
	require.EqualValues(t, 2*d.Count(t, "SELECT price_minor::integer FROM services WHERE id = $1", d.clinic.Services[0])+1050, draft.Total.AmountMinor)
	require.Equal(t, "CONFLICT", one(t, second(d.pay(t, draft.ID, 1, nil))).Code, "nobody owes a draft")

	changed, wrong := d.write(t, d.finance, "updateInvoice", "", map[string]any{
		"id": draft.ID, "expectedVersion": draft.Version, "items": []any{map[string]any{"description": "Consulta", "unitPrice": map[string]any{"amountMinor": 20000}}},
	})
	require.Empty(t, wrong)
	require.EqualValues(t, 20000, changed.Total.AmountMinor)
	require.Len(t, changed.Items, 1)
	require.Equal(t, "STALE", one(t, second2(d.write(t, d.finance, "issueInvoice", "", map[string]any{"id": draft.ID, "expectedVersion": draft.Version}))).Code)

	dry, wrong := d.write(t, d.finance, "issueInvoice", "@dryRun", map[string]any{"id": draft.ID})
	require.Empty(t, wrong)
	require.Equal(t, "1", *dry.Number)
	require.Equal(t, "DRAFT", d.read(t, draft.ID).Status, "a dry run issues nothing")
	issued, wrong := d.write(t, d.finance, "issueInvoice", "", map[string]any{"id": draft.ID})
	require.Empty(t, wrong)
	require.Equal(t, "1", *issued.Number, "a dry run takes no number")
	require.Equal(t, "OPEN", issued.Status)
	require.NotNil(t, issued.IssuedAt)
	require.Equal(t, "IMMUTABLE", one(t, second2(d.write(t, d.finance, "updateInvoice", "", map[string]any{"id": draft.ID, "dueDate": "2099-02-01"}))).Code)
	require.Equal(t, "CONFLICT", one(t, second2(d.write(t, d.finance, "issueInvoice", "", map[string]any{"id": draft.ID}))).Code)

	first, wrong := d.pay(t, draft.ID, 5000, nil)
	require.Empty(t, wrong)
	require.Equal(t, "PARTIALLY_PAID", d.read(t, draft.ID).Status)
	require.Equal(t, "LIMIT", one(t, second(d.pay(t, draft.ID, 15001, nil))).Code, "never more than is owed")
	require.Equal(t, "INVALID", one(t, second(d.pay(t, draft.ID, 0, nil))).Code)
	require.Equal(t, "INVALID", one(t, second(d.pay(t, draft.ID, 1, map[string]any{"amount": map[string]any{"amountMinor": 1, "currency": "USD"}}))).Code)
	require.Equal(t, "INVALID", one(t, second(d.pay(t, draft.ID, 1, map[string]any{"paidAt": "2199-01-01T00:00:00Z"}))).Code)
	rest, wrong := d.pay(t, draft.ID, 15000, nil)
	require.Empty(t, wrong)
	require.Equal(t, "PAID", d.read(t, draft.ID).Status)
	require.Equal(t, "CONFLICT", one(t, second(d.pay(t, draft.ID, 1, nil))).Code)
	require.Equal(t, "CONFLICT", one(t, second2(d.write(t, d.finance, "voidInvoice", "", map[string]any{"id": draft.ID, "reason": "Engano"}))).Code)

	require.Equal(t, "LIMIT", one(t, d.refund(t, first, 5001)).Code, "never more than came in")
	require.Empty(t, d.refund(t, first, 2000))
	require.Equal(t, "LIMIT", one(t, d.refund(t, first, 3001)).Code)
	require.Empty(t, d.refund(t, first, 3000))
	require.EqualValues(t, 15000, d.read(t, draft.ID).Paid.AmountMinor)
	require.Empty(t, d.refund(t, rest, 15000))
	require.Equal(t, "OPEN", d.read(t, draft.ID).Status)
	void, wrong := d.write(t, d.finance, "voidInvoice", "", map[string]any{"id": draft.ID, "reason": "Engano"})
	require.Empty(t, wrong)
	require.Equal(t, "VOID", void.Status)
	require.Equal(t, "Engano", *void.VoidReason)
	require.Equal(t, "CONFLICT", one(t, second(d.pay(t, draft.ID, 1, nil))).Code)
}

func second(_ string, wrong []mistake) []mistake    { return wrong }
func second2(_ *invoice, wrong []mistake) []mistake { return wrong }

// One appointment has one invoice at a time, and one transfer is taken once.
func TestInvoice_NothingIsBilledOrTakenTwice(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	appointment := d.Appointment(t, d.clinic, 0, 0, time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC), time.Hour)
	input := map[string]any{
		"contactId": models.KindContact.Global(d.clinic.Contacts[0]), "appointmentId": models.KindAppointment.Global(appointment), "dueDate": "2099-01-31",
		"items": []any{map[string]any{"description": "Consulta", "unitPrice": map[string]any{"amountMinor": 100}}},
	}
	first, wrong := d.write(t, d.finance, "createInvoice", "", input)
	require.Empty(t, wrong)
	taken := one(t, second2(d.write(t, d.finance, "createInvoice", "", input)))
	require.Equal(t, "TAKEN", taken.Code)
	require.Equal(t, []string{first.ID}, taken.EntityIDs)
	other := map[string]any{"contactId": models.KindContact.Global(d.clinic.Contacts[1])}
	for name, value := range input {
		if name != "contactId" {
			other[name] = value
		}
	}
	require.Equal(t, []string{"appointmentId"}, one(t, second2(d.write(t, d.finance, "createInvoice", "", other))).Field)
	_, wrong = d.write(t, d.finance, "voidInvoice", "", map[string]any{"id": first.ID, "reason": "Engano"})
	require.Empty(t, wrong)
	again, wrong := d.write(t, d.finance, "createInvoice", "", input)
	require.Empty(t, wrong)
	require.Equal(t, "2", *again.Number, "the refused ones took no number")

	const transfer = "E12345678202611291317abcdefghijk"
	payment, wrong := d.pay(t, again.ID, 10, map[string]any{"endToEndId": transfer})
	require.Empty(t, wrong)
	twice := one(t, second(d.pay(t, again.ID, 10, map[string]any{"endToEndId": transfer})))
	require.Equal(t, "TAKEN", twice.Code)
	require.Equal(t, []string{payment}, twice.EntityIDs)
	require.Equal(t, "INVALID", one(t, second(d.pay(t, again.ID, 10, map[string]any{"endToEndId": "E1"}))).Code)
	require.Equal(t, "INVALID", one(t, second(d.pay(t, again.ID, 10, map[string]any{"endToEndId": transfer, "method": "CASH"}))).Code)
	require.EqualValues(t, 10, d.read(t, again.ID).Paid.AmountMinor)
}

// An open invoice says how to pay it by PIX, to the key that the clinic has now.
func TestInvoice_IsPaidByPix(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	made := d.bill(t, 12345)
	pix := func() (payload string) {
		var got struct {
			Invoice struct {
				Pix *struct{ Payload, QrSvg, Txid string }
			}
		}
		d.finance.Must(t, `query ($id: ID!) { invoice(id: $id) { pix { payload qrSvg txid amount { amountMinor } } } }`, map[string]any{"id": made.ID}, &got)
		if got.Invoice.Pix == nil {
			return ""
		}
		require.Contains(t, got.Invoice.Pix.QrSvg, "<svg")
		require.Len(t, got.Invoice.Pix.Txid, 25)
		return got.Invoice.Pix.Payload
	}
	owner := d.server.As(t, d.clinic, models.RoleOwner)
	become := func(key any) {
		var got struct {
			UpdateClinic struct{ UserErrors []mistake }
		}
		owner.Must(t, `mutation ($key: String) { updateClinic(input: {pixKey: $key}) { userErrors { code field } } }`, map[string]any{"key": key}, &got)
		require.Empty(t, got.UpdateClinic.UserErrors)
	}
	require.Empty(t, pix(), "the clinic has no key")
	become("pix@aurora.example")
	require.Contains(t, pix(), "0118pix@aurora.example")
	require.Contains(t, pix(), "5406123.45")
	become("+5511987654321")
	require.Contains(t, pix(), "0114+5511987654321", "what was kept is forgotten")
	_, wrong := d.pay(t, made.ID, 345, nil)
	require.Empty(t, wrong)
	require.Contains(t, pix(), "5406120.00", "the balance")
	_, wrong = d.pay(t, made.ID, 12000, nil)
	require.Empty(t, wrong)
	require.Empty(t, pix(), "nothing is owed")
}

// Mistakes are named at their place, all at once.
func TestInvoice_NamesTheItemThatIsWrong(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	_, wrong := d.write(t, d.finance, "createInvoice", "", map[string]any{
		"contactId": models.KindContact.Global(d.clinic.Contacts[0]), "dueDate": "2099-01-31",
		"items": []any{
			map[string]any{"description": "Consulta", "unitPrice": map[string]any{"amountMinor": -1}},
			map[string]any{"description": "\u200b"},
			map[string]any{"description": "x", "unitPrice": map[string]any{"amountMinor": 1}, "quantity": 0},
		},
	})
	var at []string
	for _, one := range wrong {
		at = append(at, one.Code+" "+fmt.Sprint(one.Field))
	}
	require.Equal(t, []string{"INVALID [items 0 unitPrice amountMinor]", "REQUIRED [items 1 description]", "REQUIRED [items 1 unitPrice]", "INVALID [items 2 quantity]"}, at)
	_, wrong = d.write(t, d.finance, "createInvoice", "", map[string]any{
		"contactId": models.KindContact.Global(models.NewID()), "dueDate": "2099-01-31", "items": []any{map[string]any{"description": "x", "unitPrice": map[string]any{"amountMinor": 1}}},
	})
	require.Equal(t, "NOT_FOUND", one(t, wrong).Code)
}

// An invoice becomes overdue at its clinic's midnight, without a write, kept answers
// included.
func TestInvoice_IsOverdueByTheClinicsClock(t *testing.T) {
	t.Parallel()
	began := time.Now()
	// Midnight in São Paulo after the due date is some seconds ahead.
	midnight := time.Date(2099, 2, 1, 3, 0, 0, 0, time.UTC)
	const ahead = 5 * time.Second
	now := func() time.Time { return midnight.Add(time.Since(began) - ahead) }
	d := newDesk(t, api.Clock(now))
	made := d.bill(t, 100)
	list := func(status string) (ids []string) {
		var got struct {
			Invoices struct{ Nodes []struct{ ID string } }
		}
		d.finance.Must(t, `{ invoices(status: [`+status+`]) { nodes { id } } }`, nil, &got)
		for _, node := range got.Invoices.Nodes {
			ids = append(ids, node.ID)
		}
		return ids
	}
	for range 3 {
		// Read, kept and read from what is kept; on a busy machine it may be past already.
		status, open, overdue := d.read(t, made.ID).Status, list("OPEN"), list("OVERDUE")
		if now().Before(midnight) {
			require.Equal(t, "OPEN", status)
			require.Equal(t, []string{made.ID}, open)
			require.Empty(t, overdue)
		}
	}
	require.Equal(t, []string{made.ID}, list("OPEN, OVERDUE"))
	require.Eventually(t, func() bool { return !now().Before(midnight) }, time.Minute, 10*time.Millisecond)
	require.Equal(t, "OVERDUE", d.read(t, made.ID).Status)
	require.Empty(t, list("OPEN"))
	require.Empty(t, list("OPEN, PARTIALLY_PAID, PAID, DRAFT, VOID"))
	require.Equal(t, []string{made.ID}, list("OVERDUE"))
	require.Equal(t, []string{made.ID}, list("PAID, OVERDUE"))
	_, wrong := d.pay(t, made.ID, 40, nil)
	require.Empty(t, wrong)
	require.Equal(t, "OVERDUE", d.read(t, made.ID).Status, "a part of it is still owed")
	_, wrong = d.pay(t, made.ID, 60, nil)
	require.Empty(t, wrong)
	require.Equal(t, "PAID", d.read(t, made.ID).Status)
}

// Who may not void or give back is told so.
func TestMoney_RolesMayWhatTheSchemaSays(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	made := d.bill(t, 100)
	reception := d.server.As(t, d.clinic, models.RoleReceptionist)
	answer := reception.Do(t, `mutation ($id: ID!) { voidInvoice(input: {id: $id, reason: "x"}) { invoice { id } } }`, map[string]any{"id": made.ID})
	require.Len(t, answer.Errors, 1)
	require.Equal(t, "FORBIDDEN", answer.Errors[0].Extensions.Code)
	answer = d.server.As(t, d.clinic, models.RolePractitioner).Do(t, `query ($id: ID!) { node(id: $id) { ... on Invoice { number } } }`, map[string]any{"id": made.ID})
	require.NotContains(t, string(answer.Body), `"number":"1"`)
	var whole map[string]any
	require.NoError(t, json.Unmarshal(answer.Body, &whole))
}
