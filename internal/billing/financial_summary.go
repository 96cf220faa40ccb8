package billing

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

const (
	// mostTotals bounds the groups of a summary.
	mostTotals = 10_000
	// mostMonths is how many months a kept summary depends on by their names; a longer one
	// depends on all that the clinic sums.
	mostMonths = 36
)

// owed works out what contacts owe.
const owed = `SELECT parent.id, (SELECT coalesce(sum(i.total_minor - i.paid_minor), 0)::text FROM invoices i
	WHERE i.clinic_id = $1 AND i.contact_id = parent.id AND i.status IN ('aberta', 'paga_parcialmente')), c.currency::text
	FROM unnest($2::uuid[]) AS parent (id), clinics c WHERE c.id = $1`

func readOwed(rows pgx.Rows) (contact uuid.UUID, value any, err error) {
	var sum, currency string
	if err := rows.Scan(&contact, &sum, &currency); err != nil {
		return uuid.Nil, nil, err
	}
	balance, err := minor(sum, currency)
	return contact, balance, err
}

// minor reads a sum of Postgres', which may have more than 64 bits.
func minor(sum, currency string) (*models.Money, error) {
	amount, err := strconv.ParseInt(sum, 10, 64)
	if err != nil {
		return nil, models.BadInput("this sum has more than 64 bits")
	}
	return &models.Money{AmountMinor: amount, Currency: currency}, nil
}

// totals is a row of sums: of all, or of one group.
type totals struct {
	Grouped bool
	Key     string

	Billed, Received, Refunded, Outstanding, Overdue string

	Count    int
	Currency string
	// Midnight is when the clinic's next day begins.
	Midnight time.Time
}

// allSums is the row of all, of rows of sums: $2 is the instant. What is due on days
// before today is overdue: whole months are, and of today's month the days before it, which
// the first %s adds where it is one of the whole months.
const allSums = `SELECT false AS grouped, '' AS key, c.currency::text, m.midnight, 0::bigint AS count,
	coalesce(sum(s.billed_minor), 0)::text AS billed, coalesce(sum(s.received_minor), 0)::text AS received,
	coalesce(sum(s.refunded_minor), 0)::text AS refunded, coalesce(sum(s.owed_minor), 0)::text AS outstanding,
	(coalesce(sum(s.owed_minor) FILTER (WHERE s.starts < CASE s.span WHEN 'day' THEN m.today ELSE m.month END), 0) + %s)::text AS overdue
	FROM clinics c
	CROSS JOIN LATERAL (SELECT ($2::timestamptz AT TIME ZONE c.time_zone)::date AS today,
		date_trunc('month', $2::timestamptz AT TIME ZONE c.time_zone)::date AS month,
		(($2::timestamptz AT TIME ZONE c.time_zone)::date + 1)::timestamp AT TIME ZONE c.time_zone AS midnight) m
	LEFT JOIN (%s) s ON true
	WHERE c.id = $1 GROUP BY c.currency, m.today, m.month, m.midnight`

// thisMonth is what is overdue of the month of today, whose whole month is among those
// from %s to %s.
const thisMonth = `(SELECT coalesce(sum(d.owed_minor), 0) FROM financial_sums d WHERE d.clinic_id = $1 AND d.part = 'unpaid' AND d.span = 'day'
	AND d.starts >= m.month AND d.starts < m.today AND m.month BETWEEN %s::date AND %s::date)`

// Summary sums the clinic's money over the days of a range, and splits it by a group if
// one is given. Errors of code BAD_USER_INPUT tell that the range ends before it begins,
// or that there are more than 10,000 groups.
func (l *Ledger) Summary(ctx context.Context, span models.DateRange, by *models.FinancialGroup) (*models.FinancialSummary, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	over, err := daysOf(span)
	if err != nil {
		return nil, err
	}
	q := query{args: []any{scope.ClinicID, touched.Now(ctx)}}
	q.all(over.pieces())
	told := group{}
	if by != nil {
		told = groupOf(*by)
		q.split(told, over)
	}
	ctx = database.Depends(ctx, append(over.tags(), touched.Entity(models.KindClinic, scope.ClinicID))...)
	rows, err := database.Rows[totals](ctx, l.db, q.sql, q.args...)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 || rows[0].Grouped {
		return nil, fmt.Errorf("billing: of %d rows none is the clinic's sum", len(rows))
	}
	if len(rows) > mostTotals+1 {
		return nil, models.BadInput("there are more than %d groups: narrow the range", mostTotals)
	}
	touched.Until(ctx, rows[0].Midnight)
	return summarize(rows[0], rows[1:], told)
}

// query is the statement that asks for sums: $1 is the clinic.
type query struct {
	sql  string
	args []any
}

// day adds a day to the values, and is its place among them.
func (q *query) day(date string) string {
	q.args = append(q.args, date)
	return fmt.Sprintf("$%d", len(q.args))
}

// sums are the rows of parts over the pieces.
func (q *query) sums(parts string, over []piece) string {
	read := make([]string, len(over))
	for i, p := range over {
		read[i] = fmt.Sprintf("SELECT * FROM financial_sums WHERE clinic_id = $1 AND part IN (%s) AND span = '%s' AND starts BETWEEN %s::date AND %s::date",
			parts, p.span, q.day(p.from), q.day(p.to))
	}
	return strings.Join(read, " UNION ALL ")
}

// all asks for the row of all.
func (q *query) all(over []piece) {
	months := "0"
	for _, p := range over {
		if p.span == spanMonth {
			months = fmt.Sprintf(thisMonth, q.day(p.from), q.day(p.to))
		}
	}
	q.sql = fmt.Sprintf(allSums, months, q.sums("'all', 'unpaid'", over))
}

// split adds the groups' rows to the statement, so that all that it answers is of one
// moment.
func (q *query) split(by group, over *days) {
	pieces := over.pieces()
	if by.daily {
		pieces = []piece{{spanDay, over.from, over.to}}
	}
	q.sql = fmt.Sprintf(`(%s) UNION ALL
		(SELECT true, %s, '', to_timestamp(0), sum(s.%s)::bigint, sum(s.billed_minor)::text, sum(s.received_minor)::text, '', '', ''
		FROM (%s) s GROUP BY 2 HAVING sum(s.billed_minor) <> 0 OR sum(s.received_minor) <> 0 OR sum(s.invoices) <> 0 OR sum(s.payments) <> 0)
		ORDER BY 1, 2 LIMIT %d`, q.sql, by.SQL, by.counts, q.sums("'"+by.part+"'", pieces), mostTotals+2)
}

// summarize tells sums as amounts.
func summarize(all *totals, grouped []*totals, by group) (*models.FinancialSummary, error) {
	var faults []error
	money := func(sum string) *models.Money {
		amount, err := minor(sum, all.Currency)
		faults = append(faults, err)
		return amount
	}
	summary := &models.FinancialSummary{
		Billed: money(all.Billed), Received: money(all.Received), Refunded: money(all.Refunded),
		Outstanding: money(all.Outstanding), Overdue: money(all.Overdue),
		Groups: make([]*models.FinancialGroupTotal, len(grouped)),
	}
	for i, row := range grouped {
		key, err := by.Tell(row.Key)
		faults = append(faults, err)
		summary.Groups[i] = &models.FinancialGroupTotal{Key: key, Billed: money(row.Billed), Received: money(row.Received), Count: row.Count}
	}
	for _, err := range faults {
		if err != nil {
			return nil, err
		}
	}
	return summary, nil
}

const (
	spanDay   = "day"
	spanMonth = "month"
	partAll   = "all"
	// countsInvoices is the sums' column of how many invoices there are.
	countsInvoices = "invoices"
	// The ends of a range that has none.
	dawn = "-infinity"
	dusk = "infinity"
)

// days are those of a range, as Postgres reads them; both are in.
type days struct {
	from, to string
	// first and last are nil for an open end.
	first, last *models.Date
}

// piece is a stretch of sums by days, or by months.
type piece struct{ span, from, to string }

func daysOf(span models.DateRange) (*days, error) {
	over := &days{from: dawn, to: dusk, first: span.From, last: span.To}
	if span.From != nil {
		over.from = span.From.String()
	}
	if span.To != nil {
		over.to = span.To.String()
	}
	if span.From != nil && span.To != nil && span.To.Before(*span.From) {
		return nil, models.BadInput("the range ends before it begins")
	}
	return over, nil
}

// pieces are whole months, and the days before and after them.
func (d *days) pieces() []piece {
	months := piece{spanMonth, dawn, dusk}
	var apart []piece
	if d.first != nil {
		whole := d.first.FirstOfMonth()
		if whole.Before(*d.first) {
			whole = whole.AddMonth()
			if d.last != nil && d.last.Before(whole) {
				return []piece{{spanDay, d.from, d.to}}
			}
			apart = append(apart, piece{spanDay, d.from, whole.AddDays(-1).String()})
		}
		months.from = whole.String()
	}
	if d.last != nil {
		if after := d.last.AddDays(1); after.FirstOfMonth().Before(after) {
			apart = append(apart, piece{spanDay, after.FirstOfMonth().String(), d.to})
			months.to = after.FirstOfMonth().AddDays(-1).String()
		} else {
			months.to = d.to
		}
	}
	return append(apart, months)
}

// tags are what a summary of the days depends on.
func (d *days) tags() []touched.Tag {
	if d.first != nil && d.last != nil {
		var months []touched.Tag
		for month := d.first.FirstOfMonth(); !d.last.Before(month) && len(months) <= mostMonths; month = month.AddMonth() {
			months = append(months, touched.On("financial_sums", "month", month.String()[:len("2006-01")]))
		}
		if len(months) <= mostMonths {
			return months
		}
	}
	return []touched.Tag{touched.Of("financial_sums/list")}
}

// group is how sums are split: by which of them, what is counted, and whether that needs
// sums by days.
type group struct {
	entity.Group

	part, counts string
	daily        bool
}

func groupOf(by models.FinancialGroup) group {
	switch by {
	case models.FinancialGroupDay:
		return group{entity.ByDay("s.starts"), partAll, countsInvoices, true}
	case models.FinancialGroupWeek:
		return group{entity.ByWeek("s.starts"), partAll, countsInvoices, true}
	case models.FinancialGroupMonth:
		return group{entity.ByMonth("s.starts"), partAll, countsInvoices, false}
	case models.FinancialGroupPractitioner:
		return group{entity.ByEntity(models.KindPractitioner, "s.key"), "practitioner", countsInvoices, false}
	case models.FinancialGroupService:
		return group{entity.ByEntity(models.KindService, "s.key"), "service", countsInvoices, false}
	case models.FinancialGroupMethod:
		return group{entity.ByEnum[models.PaymentMethod]("s.key"), "method", "payments", false}
	}
	return group{entity.ByNothing(), partAll, countsInvoices, false}
}
