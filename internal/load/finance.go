package load

import (
	"context"
	"fmt"
	"time"
)

const (
	invoiceList = `query Owed { invoices(status: [OPEN, PARTIALLY_PAID, OVERDUE], first: 50) { nodes { id version number status dueDate total { amountMinor } balance { amountMinor } contact { id version name } } pageInfo { hasNextPage endCursor } } }`
	billsOf     = `query Bills($id: ID!) { contact(id: $id) { id version name invoices(first: 10) { nodes { id version number status dueDate total { amountMinor } balance { amountMinor } } } } }`
	createBill  = `mutation Bill($input: CreateInvoiceInput!) { createInvoice(input: $input) { invoice { id version } userErrors { code message } } }`
	recordPaid  = `mutation Paid($input: RecordPaymentInput!) { recordPayment(input: $input) { payment { id } userErrors { code message } } }`
)

// What the desk looks at of money, of 100 requests; the rest are patients' bills.
const lookingAtOwed = 40

// finance is the till: what is owed, what a patient's bills are, and now and then a new
// one, or money for one.
func finance(ctx context.Context, t *turn) {
	switch drawn := t.dice.Float64() * 100; {
	case drawn < t.world.options.Writes/2:
		t.write(ctx, createBill, map[string]any{
			"contactId": t.caller().ID, "dueDate": time.Now().AddDate(0, 0, 30).Format(time.DateOnly),
			"items": []any{map[string]any{"description": fmt.Sprint("load ", t.dice.IntN(1e6)), "unitPrice": map[string]any{"amountMinor": 15000}}},
		}, "createInvoice", "invoice")
	case drawn < t.world.options.Writes:
		owed := t.owed(ctx)
		if len(owed) == 0 {
			return
		}
		t.at = time.Now()
		t.write(ctx, recordPaid, map[string]any{
			"invoiceId": owed[t.dice.IntN(len(owed))], "amount": map[string]any{"amountMinor": 100}, "method": "CASH",
		}, "recordPayment", "payment")
	case drawn < t.world.options.Writes+lookingAtOwed:
		t.owed(ctx)
	default:
		var shown struct {
			Contact struct {
				entity
				Invoices struct{ Nodes []entity }
			}
		}
		t.read(ctx, billsOf, map[string]any{"id": t.patient(expectedAtReception).ID}, &shown, func(c *check) {
			c.entities(shown.Contact.entity)
			c.entities(shown.Contact.Invoices.Nodes...)
		})
	}
}

// owed gives the first invoices that are owed.
func (t *turn) owed(ctx context.Context) (ids []string) {
	var shown struct {
		Invoices struct {
			Nodes []struct {
				entity
				Contact entity
			}
		}
	}
	t.read(ctx, invoiceList, nil, &shown, func(c *check) {
		for _, node := range shown.Invoices.Nodes {
			ids = append(ids, node.ID)
			c.entities(node.entity, node.Contact)
		}
	})
	return ids
}
