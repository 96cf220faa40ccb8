package billing

import (
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

const (
	longestReason      = 500
	longestDescription = 500
	mostItems          = 200
	mostOfOne          = 10_000
	// dearest bounds an amount, so that no invoice's total leaves 64 bits.
	dearest = 1_000_000_000_000

	fieldExpectedVersion = "expectedVersion"
)

// Ledger writes the money of the context's clinic. Whoever changes what is owed or paid
// locks the invoice first.
type Ledger struct {
	db  *database.DB
	now func() time.Time
}

// New makes a Ledger; now is the clock.
func New(db *database.DB, now func() time.Time) *Ledger { return &Ledger{db: db, now: now} }

// lock reads an invoice that nobody else can change until the transaction ends. field
// is where its id was given.
func lock(tx *gorm.DB, field string, id uuid.UUID, expectedVersion *int) (*models.Invoice, error) {
	invoice := &models.Invoice{}
	err := tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Where("id = ?", id).Take(invoice).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, models.Refuse(models.UserErrorCodeNotFound, field, "this clinic has no such invoice")
	}
	if err != nil {
		return nil, err
	}
	if expectedVersion != nil && *expectedVersion != invoice.Version {
		return nil, models.Refuse(models.UserErrorCodeStale, fieldExpectedVersion,
			"somebody changed this invoice since you read it: read it again", invoice.GetID())
	}
	return invoice, nil
}

// change writes columns of a locked invoice, and gives it as it is then.
func change(tx *gorm.DB, invoice *models.Invoice, changes map[string]any) (*models.Invoice, error) {
	// Into a new one: a null that is read leaves what a pointer points at.
	written := &models.Invoice{ID: invoice.ID}
	err := tx.Model(written).Clauses(clause.Returning{}).Updates(changes).Error
	return written, err
}

// settle writes what is paid of a locked invoice, and the status that follows.
func settle(tx *gorm.DB, invoice *models.Invoice, paid int64) (*models.Invoice, error) {
	status := models.InvoiceStatusPartiallyPaid
	switch paid {
	case invoice.TotalMinor:
		status = models.InvoiceStatusPaid
	case 0:
		status = models.InvoiceStatusOpen
	}
	return change(tx, invoice, map[string]any{"paid_minor": paid, "status": status})
}

// number issues a locked draft. The counter's row is locked from here to the commit,
// so it is the last thing that a transaction does.
func number(tx *gorm.DB, invoice *models.Invoice, now time.Time) (*models.Invoice, error) {
	var next int64
	err := tx.Raw(`INSERT INTO counters AS n (clinic_id, name, last) VALUES (app_clinic(), 'invoice', 1)
		ON CONFLICT (clinic_id, name) DO UPDATE SET last = n.last + 1 RETURNING last`).Pluck("last", &next).Error
	if err != nil {
		return nil, err
	}
	status := models.InvoiceStatusOpen
	if invoice.TotalMinor == 0 {
		status = models.InvoiceStatusPaid
	}
	return change(tx, invoice, map[string]any{"number": strconv.FormatInt(next, 10), "issued_at": now, "status": status})
}

// amount reads an amount above 0 in a currency.
func amount(in *validate.Input, asked *models.MoneyInput, currency string) int64 {
	return money(in, []string{"amount"}, asked, 1, currency)
}

// money reads an amount of at least so much. An unknown currency "" goes with any.
func money(in *validate.Input, path []string, asked *models.MoneyInput, least int64, currency string) int64 {
	if asked.AmountMinor < least || asked.AmountMinor > dearest {
		in.AddAt(models.UserErrorCodeInvalid, append(path, "amountMinor"), "give an amount from "+strconv.FormatInt(least, 10)+" to 1,000,000,000,000 in minor units")
	}
	if currency != "" && asked.Currency != nil && *asked.Currency != currency {
		in.AddAt(models.UserErrorCodeInvalid, append(path, "currency"), "this clinic's money is "+currency)
	}
	return asked.AmountMinor
}

// own is the clinic's currency.
func own(tx *gorm.DB) (string, error) {
	var clinic models.Clinic
	err := tx.Select("id", "currency").Take(&clinic).Error
	return clinic.Currency, err
}
