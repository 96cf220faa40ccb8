package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/devstack"
	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/models"
)

// TestWrites looks for writes that are lost or done twice, by whole server processes
// that are killed (promises F1, F3) and by clients that give up and ask again.
// TASKMED_KILLS=50 makes the kills so many, TASKMED_MONEY=60s the run with money so long,
// with 50 clients.
func TestWrites(t *testing.T) {
	p := newWorld(t)
	t.Run("a write with a key is done once through kills", p.onceThroughKills)
	t.Run("money adds up under many clients that give up, and a kill", p.moneyAddsUp)
	t.Run("unread counts are exact under many clients that give up, and a kill", p.unreadIsExact)
	t.Run("a commit's answer that is lost is told, and asked for again", p.answersLost)
}

// longestAsked bounds for how long a client asks for one write again and again.
const longestAsked = time.Minute

// insist asks for a write with a key until somebody says what came of it. It gives how
// often it asked.
func insist(ctx context.Context, url func() string, clinic, token, key, query string, variables map[string]any, data any) (asked int, err error) {
	ctx, done := context.WithTimeout(ctx, longestAsked)
	defer done()
	for {
		asked++
		err = callOnce(ctx, url(), clinic, token, key, query, variables, data)
		var said refused
		again := err != nil && (!errors.As(err, &said) || said.Code == string(models.Unavailable) || said.Code == string(models.OutcomeUnknown) || said.Code == string(models.Conflict))
		if !again || ctx.Err() != nil {
			return asked, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// connected is a connection of the superuser's.
func (p *world) connected(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.stack.SuperuserURL(devstack.Database))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func count(t *testing.T, conn *pgx.Conn, sql string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

const makeContact = `mutation Make($name: String!) { createContact(input: {name: $name}) { contact { id } userErrors { code } } }`

type madeContact struct {
	CreateContact struct{ Contact *struct{ ID string } }
}

// made is a write that somebody was told to be done.
type made struct{ name, id string }

// onceThroughKills has clients write with keys, and ask again until they are answered, at
// a server that is killed again and again. Each of their writes is there, once, and is what
// they were told.
func (p *world) onceThroughKills(t *testing.T) {
	kills := 4
	if wanted, err := strconv.Atoi(os.Getenv("TASKMED_KILLS")); err == nil {
		kills = wanted
	}
	server := p.serve(t, p.stack.RedisURL())
	clinic, conn := p.clinics[0], p.connected(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var ended atomic.Bool
	var clients sync.WaitGroup
	var mu sync.Mutex
	var all []made
	again := 0
	acknowledged := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(all)
	}
	for n := range 8 {
		clients.Go(func() {
			for i := 0; !ended.Load(); i++ {
				name := fmt.Sprintf("Kill %d %d", n, i)
				var answer madeContact
				asked, err := insist(ctx, server.url, clinic.ID, clinic.Reception, name, makeContact, map[string]any{"name": name}, &answer)
				if err != nil || answer.CreateContact.Contact == nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				mu.Lock()
				all = append(all, made{name, answer.CreateContact.Contact.ID})
				again += asked - 1
				mu.Unlock()
			}
		})
	}
	dice := rand.New(rand.NewPCG(rand.Uint64(), 1))
	for range kills {
		// A kill comes at any moment of writes, once there are some again.
		before := acknowledged()
		assert.Eventually(t, func() bool { return acknowledged() >= before+16 }, time.Minute, time.Millisecond)
		<-time.After(time.Duration(dice.IntN(100_000)) * time.Microsecond)
		server.kill()
		server.start(t)
		assert.Eventually(t, func() bool { return server.ready(ctx) }, time.Minute, 10*time.Millisecond)
	}
	ended.Store(true)
	clients.Wait()
	lost, twice := p.lostAndTwice(t, conn, all)
	t.Logf("%d kills, %d writes acknowledged, asked again %d times: %d lost, %d twice", kills, len(all), again, lost, twice)
	assert.Zero(t, lost)
	assert.Zero(t, twice)
	assert.GreaterOrEqual(t, len(all), 16*kills)
	assert.Positive(t, again, "some answers were lost")
}

// lostAndTwice counts contacts that are not there as they were told, and those that are
// there more than once.
func (p *world) lostAndTwice(t *testing.T, conn *pgx.Conn, all []made) (lost, twice int) {
	t.Helper()
	for _, one := range all {
		_, id, err := models.ParseGlobal(one.id)
		require.NoError(t, err)
		if count(t, conn, "SELECT count(*) FROM contacts WHERE id = $1 AND name = $2", id, one.name) != 1 {
			lost++
		}
		if count(t, conn, "SELECT count(*) FROM contacts WHERE name = $1", one.name) > 1 {
			twice++
		}
	}
	return lost, twice
}

// till is what clients of one clinic's money share.
type till struct {
	*fleet

	clinic, token string
	contact       string

	mu       sync.Mutex
	invoices []string
	payments []string
	refunds  int
	gaveUp   int
}

// moneyAddsUp has clients bill, pay and give back at two servers, of which one is killed in
// the middle; one request in five is given up by its client, at any moment.
func (p *world) moneyAddsUp(t *testing.T) {
	clients, lasting := 10, 5*time.Second
	if long, err := time.ParseDuration(os.Getenv("TASKMED_MONEY")); err == nil {
		clients, lasting = 50, long
	}
	f := p.newFleet(t, 1)
	conn := p.connected(t)
	var contact uuid.UUID
	var name string
	clinic, err := models.KindClinic.Parse(p.clinics[1].ID)
	require.NoError(t, err)
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT c.slug, (SELECT id FROM contacts WHERE clinic_id = c.id LIMIT 1) FROM clinics c WHERE c.id = $1", clinic).Scan(&name, &contact))
	x := &till{fleet: f, clinic: p.clinics[1].ID, token: p.provider.token(t, seed.Subject(name, "finance")), contact: models.KindContact.Global(contact)}
	rows := func(table string) int {
		return count(t, conn, "SELECT count(*) FROM "+table+" WHERE clinic_id = $1", clinic)
	}
	invoices, payments, refunds := rows("invoices"), rows("payments"), rows("refunds")

	f.throughAKill(t, clients, lasting, "till", x.act)

	assert.Equal(t, len(x.invoices), rows("invoices")-invoices-count(t, conn, "SELECT count(DISTINCT invoice_id) FROM invoice_items WHERE clinic_id = $1 AND description = 'loose'", clinic), "each with a key once")
	assert.Equal(t, len(x.payments), rows("payments")-payments, "each payment once")
	assert.Equal(t, x.refunds, rows("refunds")-refunds, "each refund once")
	issued := count(t, conn, "SELECT count(*) FROM invoices WHERE clinic_id = $1 AND number IS NOT NULL", clinic)
	assert.Equal(t, issued, count(t, conn, "SELECT count(DISTINCT number::integer) FROM invoices WHERE clinic_id = $1 AND number::integer BETWEEN 1 AND $2", clinic, issued), "1 to n, none missing, none twice")
	assert.Zero(t, count(t, conn, `SELECT count(*) FROM invoices i WHERE clinic_id = $1 AND (paid_minor > total_minor OR
		paid_minor <> (SELECT coalesce(sum(p.amount_minor - p.refunded_minor), 0) FROM payments p WHERE p.clinic_id = i.clinic_id AND p.invoice_id = i.id))`, clinic), "what is paid is what was paid")
	assert.Zero(t, count(t, conn, `SELECT count(*) FROM payments p WHERE clinic_id = $1 AND (refunded_minor > amount_minor OR
		refunded_minor <> (SELECT coalesce(sum(r.amount_minor), 0) FROM refunds r WHERE r.clinic_id = p.clinic_id AND r.payment_id = p.id))`, clinic), "what is given back is what was given back")
	assert.Equal(t, p.sums(t, conn, clinic, false), p.sums(t, conn, clinic, true), "the kept sums")
	t.Logf("%d clients for %s: %d numbers without a gap, %d invoices, %d payments and %d refunds with keys, %d requests given up", clients, lasting, issued, len(x.invoices), len(x.payments), x.refunds, x.gaveUp)
	assert.Positive(t, x.gaveUp)
	assert.Positive(t, x.refunds)
}

// sums are a clinic's, as they are kept or made anew.
func (p *world) sums(t *testing.T, conn *pgx.Conn, clinic uuid.UUID, anew bool) (text string) {
	t.Helper()
	if anew {
		_, err := conn.Exec(t.Context(), "SELECT rebuild_financial_sums($1)", clinic)
		require.NoError(t, err)
	}
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT string_agg(s::text, E'\n' ORDER BY part, span, starts, key) FROM financial_sums s
		WHERE clinic_id = $1 AND (billed_minor, received_minor, refunded_minor, owed_minor, invoices, payments) <> (0, 0, 0, 0, 0, 0)`, clinic).Scan(&text))
	return text
}

type payload struct {
	Got struct {
		Invoice, Payment, Refund *struct{ ID string }
	}
}

const (
	billIt   = `mutation ($i: CreateInvoiceInput!) { got: createInvoice(input: $i) { invoice { id number } userErrors { code } } }`
	payIt    = `mutation ($i: RecordPaymentInput!) { got: recordPayment(input: $i) { payment { id } userErrors { code } } }`
	giveBack = `mutation ($i: RefundPaymentInput!) { got: refundPayment(input: $i) { refund { id } userErrors { code } } }`
)

// act bills, pays or gives back, among the latest invoices and payments, so that clients
// meet.
func (x *till) act(ctx context.Context, dice *rand.Rand, key string) error {
	amount := map[string]any{"amountMinor": 1 + dice.IntN(200)}
	var answer payload
	switch n := dice.IntN(10); {
	case n < 1:
		// Without a key: whoever gives up knows nothing.
		giving, done := context.WithTimeout(ctx, time.Duration(dice.IntN(20_000))*time.Microsecond)
		defer done()
		if err := call(giving, x.url(dice), x.clinic, x.token, billIt, x.bill("loose"), &answer); err != nil {
			x.gaveUpOne()
		}
		return nil
	case n < 2:
		err := call(ctx, x.url(dice), x.clinic, x.token, `mutation ($i: CreateInvoiceInput!) { got: createInvoice(input: $i) @dryRun { invoice { id number } userErrors { code } } }`, x.bill("dry"), &answer)
		var said refused
		if errors.As(err, &said) && said.Code == string(models.Internal) {
			return err
		}
		return nil // or its server was killed
	case n < 5:
		if err := x.once(ctx, dice, key, billIt, x.bill(key), &answer); err != nil {
			return err
		}
		if answer.Got.Invoice == nil {
			return errors.New("an invoice was refused")
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		x.invoices = append(x.invoices, answer.Got.Invoice.ID)
	case n < 8:
		invoice, ok := x.latest(dice, &x.invoices)
		if !ok {
			return nil
		}
		if err := x.once(ctx, dice, key, payIt, map[string]any{"i": map[string]any{"invoiceId": invoice, "amount": amount, "method": "CASH"}}, &answer); err != nil {
			return err
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		if answer.Got.Payment != nil {
			x.payments = append(x.payments, answer.Got.Payment.ID)
		}
	default:
		payment, ok := x.latest(dice, &x.payments)
		if !ok {
			return nil
		}
		if err := x.once(ctx, dice, key, giveBack, map[string]any{"i": map[string]any{"paymentId": payment, "amount": amount, "reason": "x"}}, &answer); err != nil {
			return err
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		if answer.Got.Refund != nil {
			x.refunds++
		}
	}
	return nil
}

func (x *till) bill(description string) map[string]any {
	return map[string]any{"i": map[string]any{
		"contactId": x.contact, "dueDate": "2099-01-31", "items": []any{map[string]any{"description": description, "unitPrice": map[string]any{"amountMinor": 300}}},
	}}
}

func (x *till) url(dice *rand.Rand) string { return x.instances[dice.IntN(2)].url() }

func (x *till) gaveUpOne() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gaveUp++
}

func (x *till) latest(dice *rand.Rand, of *[]string) (string, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	few := (*of)[max(0, len(*of)-10):]
	if len(few) == 0 {
		return "", false
	}
	return few[dice.IntN(len(few))], true
}

// once asks for a write with a key, one time in five as a client that gives up first.
func (x *till) once(ctx context.Context, dice *rand.Rand, key, query string, variables map[string]any, answer *payload) error {
	if dice.IntN(5) == 0 {
		giving, done := context.WithTimeout(ctx, time.Duration(dice.IntN(20_000))*time.Microsecond)
		defer done()
		if err := callOnce(giving, x.url(dice), x.clinic, x.token, key, query, variables, answer); err == nil {
			return nil
		}
		x.gaveUpOne()
	}
	_, err := insist(ctx, func() string { return x.url(dice) }, x.clinic, x.token, key, query, variables, answer)
	return err
}

// throughAKill has clients act, each with a name of its own for each act, and kills the
// first server in the middle of it.
func (f *fleet) throughAKill(t *testing.T, clients int, lasting time.Duration, who string, act func(ctx context.Context, dice *rand.Rand, name string) error) {
	t.Helper()
	until := time.Now().Add(lasting)
	var all sync.WaitGroup
	for n := range clients {
		all.Go(func() {
			dice := rand.New(rand.NewPCG(rand.Uint64(), uint64(n)))
			for i := 0; time.Now().Before(until); i++ {
				if err := act(t.Context(), dice, fmt.Sprintf("%s %d %d", who, n, i)); err != nil {
					t.Errorf("client %d: %v", n, err)
					return
				}
			}
		})
	}
	<-time.After(lasting / 2) // in the middle
	f.instances[0].kill()
	f.instances[0].start(t)
	all.Wait()
}
