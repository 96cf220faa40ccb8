package app_test

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/internal/testkit/conform"
	"github.com/taskmed/taskmed/models"
)

// TestConform_EveryNounKeepsWhatNounsPromise checks each noun that the clinic's
// packages declare: a new one is in by being declared.
func TestConform_EveryNounKeepsWhatNounsPromise(t *testing.T) {
	t.Parallel()
	suite := conform.New(t)
	nouns := suite.Nouns()
	require.Subset(t, nouns, []string{"Appointment", "Contact", "Invoice"})
	for _, noun := range nouns {
		t.Run(noun, func(t *testing.T) { suite.Conform(t, noun) }) //nolint:paralleltest // they share one clinic, and the last aspect writes
	}
}

// TestConform_FindsWhatIsPlanted plants one fault for each aspect, and sees that
// the aspect names it.
func TestConform_FindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	suite := conform.New(t)
	d := suite.Database()
	replaced := func(old, replacement string) func(map[string]any, *api.Response) {
		return func(_ map[string]any, answer *api.Response) {
			answer.Data = bytes.Replace(answer.Data, []byte(old), []byte(replacement), 1)
		}
	}
	for _, planted := range []struct {
		aspect, what string
		// of is the noun that is looked at; the invoice if empty.
		of        string
		answer    func(variables map[string]any, answer *api.Response)
		protected func([]string) []string
		sql       string
		says      string
	}{
		{
			aspect: "isolation", what: "a foreign id is told from none", says: "the parent of Contact.invoices: a foreign id is answered otherwise",
			answer: func(variables map[string]any, answer *api.Response) {
				for _, value := range variables {
					if _, id, err := models.ParseGlobal(fmt.Sprint(value)); err == nil &&
						d.Count(t, "SELECT count(*) FROM contacts WHERE clinic_id = $1 AND id = $2", suite.Foreign().ID, id) > 0 {
						answer.Body = append(answer.Body, '!')
					}
				}
			},
		},
		{
			aspect: "rights", what: "what is refused is answered", says: "PRACTITIONER may not select Invoice.total",
			answer: func(_ map[string]any, answer *api.Response) {
				if len(answer.Errors) > 0 {
					answer.Errors, answer.Data = nil, []byte(`{"got":{}}`)
				}
			},
		},
		{
			aspect: "rights", what: "what is allowed is refused", says: "FINANCE may select Invoice.total",
			answer: func(_ map[string]any, answer *api.Response) { answer.Data = []byte("null") },
		},
		{aspect: "protection", what: "an id is not noted", says: "node of Invoice without its id", protected: func([]string) []string { return nil }},
		{aspect: "leaves", what: "an amount is another one", says: "Invoice.total.amountMinor is", answer: replaced(`"amountMinor":`, `"amountMinor":1`)},
		{aspect: "leaves", of: "Payment", what: "a word stands for another value", says: "Payment.method is", answer: replaced(`"method":"PIX"`, `"method":"CASH"`)},
		{aspect: "pages", what: "a walk ends too early", says: "Query.invoices, backwards: false, walks", answer: replaced(`"hasNextPage":true`, `"hasNextPage":false`)},
		{aspect: "plans", what: "an index is missing", sql: "DROP INDEX idx_invoices_clinic_status_due", says: "Query.invoices(status: [PAID]): no index of invoices serves this filter"},
		{
			aspect: "tags", what: "a tag is announced by nobody", says: `reads depend on "invoice/list", which no write to invoices announces`,
			sql: announcing(`ARRAY['invoice/contact=' || r.contact_id, 'invoice/appointment=' || r.appointment_id]`),
		},
		{
			aspect: "tags", what: "a column's change is not announced", says: "the answer changes by UPDATE invoices SET due_date",
			sql: strings.Replace(announcing(`ARRAY['invoice/list', 'invoice/contact=' || r.contact_id, 'invoice/appointment=' || r.appointment_id]`), ",due_date", "", 1),
		},
		{aspect: "tags", what: "nothing is announced", sql: "DROP TRIGGER cache_tags_update ON invoices", says: "which announces []"},
		{aspect: "columns", what: "a column is missing", sql: "ALTER TABLE invoices RENAME issued_at TO issued_on", says: "Invoice is read from the column issued_at, which invoices has not"},
	} {
		t.Run(planted.aspect+": "+planted.what, func(t *testing.T) { //nolint:paralleltest // one fault after the other
			if planted.sql != "" {
				d.Exec(t, planted.sql)
			}
			suite.Planted = conform.Planted{Answer: planted.answer, Protected: planted.protected}
			defer func() { suite.Planted = conform.Planted{} }()
			for _, aspect := range conform.Aspects() {
				if aspect.Name == planted.aspect {
					require.Contains(t, strings.Join(aspect.Faults(suite, t, cmp.Or(planted.of, "Invoice")), "\n"), planted.says)
				}
			}
		})
	}
}

// TestConform_NoticesWhatATableDoesNotAnnounce leaves out what the migrations have a
// noun's table announce, one thing after another, and sees that the suite names it: two
// tags of invoices, or, with TASKMED_OMISSIONS=all, every tag and column of every noun.
// docs/decisions/0018 says what that run has shown, and which it does not notice.
func TestConform_NoticesWhatATableDoesNotAnnounce(t *testing.T) {
	t.Parallel()
	suite := conform.New(t)
	omissions := suite.Omissions(t, "Invoice")[:2]
	if os.Getenv("TASKMED_OMISSIONS") == "all" {
		omissions = nil
		for _, noun := range suite.Nouns() {
			omissions = append(omissions, suite.Omissions(t, noun)...)
		}
	}
	for _, omitted := range omissions {
		t.Run(omitted.What, func(t *testing.T) { //nolint:paralleltest // each has a suite of its own, and all at once are many
			suite := conform.New(t)
			suite.Database().Exec(t, omitted.SQL)
			require.NotEmpty(t, suite.Tags(t, omitted.Object), "nobody would notice %s: no read depends on it, or the suite makes no write that shows it", omitted.What)
		})
	}
}

// announcing has invoices announce their changes otherwise.
func announcing(placed string) string {
	return "SELECT cache_announce('invoices', $a$ARRAY['invoice:' || r.id]$a$, $a$array_remove(" + placed +
		", NULL)$a$, '{number,contact_id,appointment_id,status,due_date,total_minor,paid_minor,created_at}')"
}
