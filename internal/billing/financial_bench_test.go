package billing_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// BenchmarkSummary asks a clinic that has had 300,000 payments in ten years for its
// figures, without a cache, over HTTP: the whole of them and two odd years, by every group,
// and what contacts owe. It also pays, which writes the sums.
func BenchmarkSummary(b *testing.B) {
	d := newDesk(b, api.WithoutCache())
	conn := d.Connect(b, d.SuperuserURL)
	payments := 300_000
	if wanted, err := strconv.Atoi(os.Getenv("TASKMED_PAYMENTS")); err == nil {
		payments = wanted
	}
	furnish(b, d, conn, payments)
	bill := d.bill(b, 1_000_000_000)
	spans := map[string]map[string]any{"ten years": {"to": "2036-12-31"}, "two odd years": {"from": "2018-03-07", "to": "2020-05-19"}}
	for name, span := range spans {
		for _, by := range append(allGroups(), "") {
			measure(b, name+" by "+by, func() { summarize(b, d.finance, span, by) })
		}
	}
	measure(b, "balances of 100 contacts", func() {
		var got struct {
			Contacts struct{ Nodes []struct{ Balance money } }
		}
		d.finance.Must(b, "{ contacts(first: 100) { nodes { balance { amountMinor } } } }", nil, &got)
		require.Len(b, got.Contacts.Nodes, 100)
	})
	measure(b, "a payment", func() { d.pay(b, bill.ID, 1, nil) })
}

// measure reports how long something takes, in milliseconds.
func measure(b *testing.B, name string, run func()) {
	b.Helper()
	b.Run(name, func(b *testing.B) {
		run()
		var took []time.Duration
		for b.Loop() {
			began := time.Now()
			run()
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		ms := func(at int) float64 { return float64(took[at].Microseconds()) / 1000 }
		b.ReportMetric(ms(len(took)/2), "p50-ms")
		b.ReportMetric(ms(len(took)*95/100), "p95-ms")
	})
}

// furnish gives the clinic so many invoices of ten years, by 20 practitioners and for 30
// services, nine of ten of them paid; past the triggers, and the sums made anew.
func furnish(b *testing.B, d *desk, conn *pgx.Conn, payments int) {
	b.Helper()
	sql := `SET session_replication_role = replica;
		INSERT INTO practitioners (clinic_id, id, name) SELECT :clinic, gen_random_uuid(), 'p' || n FROM generate_series(1, 20) n;
		INSERT INTO services (clinic_id, id, name, duration_minutes, price_minor) SELECT :clinic, gen_random_uuid(), 's' || n, 30, 100 FROM generate_series(1, 30) n;
		INSERT INTO contacts (clinic_id, id, name) SELECT :clinic, gen_random_uuid(), 'c' || n FROM generate_series(1, 20000) n;
		CREATE TEMP TABLE made AS SELECT n, gen_random_uuid() AS invoice, gen_random_uuid() AS appointment, timestamptz '2016-11-30' + n * interval '10 years' / :n AS at FROM generate_series(1, :n) n;
		CREATE TEMP TABLE whom AS SELECT row_number() OVER () - 1 AS n, id FROM contacts WHERE clinic_id = :clinic;
		CREATE TEMP TABLE who AS SELECT row_number() OVER () - 1 AS n, id FROM practitioners WHERE clinic_id = :clinic;
		CREATE TEMP TABLE what AS SELECT row_number() OVER () - 1 AS n, id FROM services WHERE clinic_id = :clinic;
		ALTER TABLE appointments DROP CONSTRAINT appointments_no_double_booking;
		INSERT INTO appointments (clinic_id, id, contact_id, practitioner_id, starts_at, ends_at, scheduled_date, status)
		SELECT :clinic, m.appointment, c.id, p.id, m.at, m.at + interval '30 minutes', m.at::date, 'concluido' FROM made m JOIN whom c ON c.n = m.n % 20000 JOIN who p ON p.n = m.n % 22;
		INSERT INTO invoices (clinic_id, id, number, contact_id, appointment_id, status, due_date, overdue_at, payee, total_minor, paid_minor, issued_at)
		SELECT :clinic, m.invoice, 'x' || m.n, c.id, m.appointment, CASE WHEN m.n % 10 = 0 THEN 'aberta' ELSE 'paga' END, (m.at + interval '10 days')::date, m.at + interval '11 days', 'x', 10000, CASE WHEN m.n % 10 = 0 THEN 0 ELSE 10000 END, m.at
		FROM made m JOIN whom c ON c.n = m.n % 20000;
		INSERT INTO invoice_items (clinic_id, id, invoice_id, position, service_id, description, quantity, unit_price_minor)
		SELECT :clinic, gen_random_uuid(), m.invoice, 1, s.id, 'x', 1, 10000 FROM made m JOIN what s ON s.n = m.n % 32;
		INSERT INTO payments (clinic_id, id, invoice_id, amount_minor, method, paid_at)
		SELECT :clinic, gen_random_uuid(), m.invoice, 10000, (ARRAY['pix', 'cash', 'credit_card', 'boleto'])[1 + m.n % 4], m.at + interval '3 days' FROM made m WHERE m.n % 10 <> 0;
		SET session_replication_role = DEFAULT;
		ANALYZE;
		SELECT rebuild_financial_sums(:clinic);
		ANALYZE financial_sums;`
	began := time.Now()
	_, err := conn.Exec(b.Context(), strings.NewReplacer(":clinic", fmt.Sprintf("uuid '%s'", d.clinic.ID), ":n", fmt.Sprint(payments*10/9+1)).Replace(sql))
	require.NoError(b, err)
	b.Logf("furnished %d payments in %s, %d sums", d.Count(b, "SELECT count(*) FROM payments"), time.Since(began).Round(time.Second), d.Count(b, "SELECT count(*) FROM financial_sums"))
	require.GreaterOrEqual(b, d.Count(b, "SELECT count(*) FROM payments"), payments)
	require.EqualValues(b, d.Count(b, "SELECT sum(amount_minor) FROM payments"), summarize(b, d.server.As(b, d.clinic, models.RoleOwner), map[string]any{}, "").Received.AmountMinor)
}
