package billing_test

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

// byHand sums a clinic's money from its invoices, payments and refunds, in the plainest
// SQL.
func byHand(t testing.TB, conn *pgx.Conn, clinic uuid.UUID, from, to, now any) *summary {
	t.Helper()
	s := &summary{}
	require.NoError(t, conn.QueryRow(t.Context(), `WITH c AS (SELECT * FROM clinics WHERE id = $1)
		SELECT (SELECT coalesce(sum(i.total_minor), 0) FROM invoices i, c WHERE i.clinic_id = c.id AND i.issued_at IS NOT NULL AND i.status <> 'anulada' AND (i.issued_at AT TIME ZONE c.time_zone)::date BETWEEN $2 AND $3),
		(SELECT coalesce(sum(p.amount_minor), 0) FROM payments p, c WHERE p.clinic_id = c.id AND (p.paid_at AT TIME ZONE c.time_zone)::date BETWEEN $2 AND $3),
		(SELECT coalesce(sum(r.amount_minor), 0) FROM refunds r, c WHERE r.clinic_id = c.id AND (r.created_at AT TIME ZONE c.time_zone)::date BETWEEN $2 AND $3),
		(SELECT coalesce(sum(i.total_minor - i.paid_minor), 0) FROM invoices i, c WHERE i.clinic_id = c.id AND i.status NOT IN ('rascunho', 'anulada') AND i.due_date BETWEEN $2 AND $3),
		(SELECT coalesce(sum(i.total_minor - i.paid_minor), 0) FROM invoices i, c WHERE i.clinic_id = c.id AND i.status NOT IN ('rascunho', 'anulada') AND i.due_date BETWEEN $2 AND $3
			AND i.due_date < ($4::timestamptz AT TIME ZONE c.time_zone)::date)`, clinic, from, to, now).
		Scan(&s.Billed.AmountMinor, &s.Received.AmountMinor, &s.Refunded.AmountMinor, &s.Outstanding.AmountMinor, &s.Overdue.AmountMinor))
	return s
}

// moneyRow is an invoice that was billed, or a payment, with what it is grouped by.
type moneyRow struct {
	Invoice              uuid.UUID
	At                   time.Time
	Practitioner, Method string
	Amount               int64
	Payment              bool
}

// groupsByHand groups what was billed and paid, row by row.
func groupsByHand(t testing.TB, conn *pgx.Conn, clinic uuid.UUID, from, to any, by string) []groupTotal {
	t.Helper()
	rows, err := conn.Query(t.Context(), `
		SELECT i.id AS invoice, (i.issued_at AT TIME ZONE c.time_zone)::date::timestamp AS at, coalesce(a.practitioner_id::text, '') AS practitioner, '' AS method, i.total_minor AS amount, false AS payment
		FROM invoices i JOIN clinics c ON c.id = i.clinic_id LEFT JOIN appointments a ON a.clinic_id = i.clinic_id AND a.id = i.appointment_id
		WHERE i.clinic_id = $1 AND i.issued_at IS NOT NULL AND i.status <> 'anulada' AND (i.issued_at AT TIME ZONE c.time_zone)::date BETWEEN $2 AND $3
		UNION ALL
		SELECT i.id, (p.paid_at AT TIME ZONE c.time_zone)::date::timestamp, coalesce(a.practitioner_id::text, ''), p.method, p.amount_minor, true
		FROM payments p JOIN invoices i ON i.clinic_id = p.clinic_id AND i.id = p.invoice_id JOIN clinics c ON c.id = i.clinic_id LEFT JOIN appointments a ON a.clinic_id = i.clinic_id AND a.id = i.appointment_id
		WHERE p.clinic_id = $1 AND (p.paid_at AT TIME ZONE c.time_zone)::date BETWEEN $2 AND $3`, clinic, from, to)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[moneyRow])
	require.NoError(t, err)
	grouped := map[string]*groupTotal{}
	add := func(key string, row moneyRow, amount int64) {
		if grouped[key] == nil {
			grouped[key] = &groupTotal{Key: key}
		}
		g := grouped[key]
		if row.Payment {
			g.Received.AmountMinor += amount
		} else {
			g.Billed.AmountMinor += amount
		}
		if row.Payment == (by == "METHOD") {
			g.Count++
		}
	}
	global := func(kind models.Kind, id string) string {
		if id == "" {
			return ""
		}
		return kind.Global(uuid.MustParse(id))
	}
	for _, row := range all {
		switch by {
		case "DAY":
			add(row.At.Format(time.DateOnly), row, row.Amount)
		case "WEEK":
			year, week := row.At.ISOWeek()
			add(fmt.Sprintf("%04d-W%02d", year, week), row, row.Amount)
		case "MONTH":
			add(row.At.Format("2006-01"), row, row.Amount)
		case "PRACTITIONER":
			add(global(models.KindPractitioner, row.Practitioner), row, row.Amount)
		case "METHOD":
			if row.Payment {
				add(strings.ToUpper(row.Method), row, row.Amount)
			}
		case "SERVICE":
			shares, services := sharesByHand(t, conn, clinic, row)
			for _, service := range services {
				add(global(models.KindService, service), row, shares[service])
			}
		}
	}
	list := []groupTotal{}
	for _, g := range grouped {
		list = append(list, *g)
	}
	slices.SortFunc(list, func(a, b groupTotal) int { return cmp.Compare(a.Key, b.Key) })
	return list
}

// sharesByHand splits an amount over the invoice's services: up to each item as much as its
// part of the whole, rounded down.
func sharesByHand(t testing.TB, conn *pgx.Conn, clinic uuid.UUID, row moneyRow) (map[string]int64, []string) {
	t.Helper()
	type item struct {
		Service string
		Total   int64
	}
	rows, err := conn.Query(t.Context(), "SELECT coalesce(service_id::text, '') AS service, total_minor AS total FROM invoice_items WHERE clinic_id = $1 AND invoice_id = $2 ORDER BY position", clinic, row.Invoice)
	require.NoError(t, err)
	items, err := pgx.CollectRows(rows, pgx.RowToStructByName[item])
	require.NoError(t, err)
	var total, sum int64
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT total_minor FROM invoices WHERE clinic_id = $1 AND id = $2", clinic, row.Invoice).Scan(&total))
	for _, one := range items {
		sum += one.Total
	}
	if total > sum || len(items) == 0 {
		items = append(items, item{"", total - sum})
	}
	whole := max(total, sum)
	shares := map[string]int64{}
	var services []string
	var upto, given int64
	for _, one := range items {
		upto += one.Total
		share := int64(0)
		if whole > 0 {
			share = new(big.Int).Div(new(big.Int).Mul(big.NewInt(row.Amount), big.NewInt(upto)), big.NewInt(whole)).Int64()
		}
		shares[one.Service] += share - given
		given = share
		services = append(services, one.Service)
	}
	slices.Sort(services)
	return shares, slices.Compact(services)
}
