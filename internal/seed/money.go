package seed

import (
	"fmt"
	"sort"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

type invoice struct {
	id          pgtype.UUID
	number      string
	contact     int
	appointment int
	status      string
	due         date
	total, paid int64
	voidReason  string
	version     int
	created     time.Time
	updated     time.Time
}

type invoiceItem struct {
	id          pgtype.UUID
	invoice     int
	position    int
	service     int
	description string
	quantity    int
	price       int64
}

type payment struct {
	id      pgtype.UUID
	invoice int
	amount  int64
	method  string
	paidAt  time.Time
	// refunded is what of it was given back, all at once.
	refunded int64
}

type refund struct {
	id      pgtype.UUID
	payment int
	amount  int64
	at      time.Time
}

// makeInvoices bills about half of what was done in the last half year; the
// rest went through health plans.
func (c *clinic) makeInvoices() {
	s := c.source("invoices")
	since := c.midnight.AddDate(0, -6, 0)
	var billed []int
	for i := range c.appointments {
		a := &c.appointments[i]
		if a.status == "concluido" && a.end.After(since) && a.end.Before(c.midnight) && c.services[a.service].price > 0 && s.chance(50) {
			billed = append(billed, i)
		}
	}
	sort.Slice(billed, func(i, j int) bool {
		a, b := &c.appointments[billed[i]], &c.appointments[billed[j]]
		return a.end.Before(b.end) || a.end.Equal(b.end) && a.practitioner < b.practitioner
	})
	for n, i := range billed {
		a := &c.appointments[i]
		what := c.services[a.service]
		bill := invoice{
			id: s.id(a.end), number: strconv.Itoa(n + 1),
			contact: a.contact, appointment: i, due: a.day + date(pick(s, []int{0, 0, 7, 15, 30})),
			total: what.price, version: 1, created: a.end, updated: a.end,
		}
		c.items = append(c.items, invoiceItem{
			id: s.id(a.end), invoice: n, position: 1, service: a.service, description: what.name, quantity: 1, price: what.price,
		})
		if s.chance(12) {
			extra := invoiceItem{
				id: s.id(a.end), invoice: n, position: 2, service: none,
				description: "Material descartável", quantity: s.between(1, 4), price: 1500,
			}
			bill.total += int64(extra.quantity) * extra.price
			c.items = append(c.items, extra)
		}
		c.settle(s, n, &bill)
		c.invoices = append(c.invoices, bill)
	}
}

// settle pays the n-th invoice, wholly, in part or not at all.
func (c *clinic) settle(s source, n int, bill *invoice) {
	pay := func(amount int64) {
		at := s.moment(bill.created, earlier((bill.due+1).at(0, c.zone), c.midnight))
		c.payments = append(c.payments, payment{
			id: s.id(at), invoice: n, amount: amount, paidAt: at,
			method: pick(s, []string{"pix", "pix", "pix", "credit_card", "credit_card", "debit_card", "cash", "boleto", "bank_transfer", "health_plan"}),
		})
		bill.paid += amount
		bill.version, bill.updated = bill.version+1, at
	}
	switch drawn := s.IntN(100); {
	case drawn < 78:
		pay(bill.total)
		bill.status = "paga"
		if len(c.refunds) == 0 || drawn < 2 {
			c.giveBack(bill)
		}
	case drawn < 84 && bill.due >= c.today:
		pay(bill.total / 2)
		bill.status = "paga_parcialmente"
	case drawn >= 97:
		bill.status, bill.voidReason, bill.version = "anulada", "Emitida em duplicidade", 2
	default:
		bill.status = "aberta"
	}
}

// giveBack refunds half of the last payment.
func (c *clinic) giveBack(bill *invoice) {
	s := c.source(fmt.Sprint("refund ", len(c.refunds)))
	last := len(c.payments) - 1
	p := &c.payments[last]
	p.refunded = p.amount / 2
	at := s.moment(p.paidAt, c.midnight)
	c.refunds = append(c.refunds, refund{id: s.id(at), payment: last, amount: p.refunded, at: at})
	bill.paid -= p.refunded
	bill.status = "paga_parcialmente"
	bill.version, bill.updated = bill.version+1, at
}

// pixKey is the clinic's key at the Banco Central: a mail address that nobody can have.
func (c *clinic) pixKey() string { return "pix@" + c.slug + ".example" }
