package models

import (
	"database/sql/driver"
	"time"

	"github.com/google/uuid"
)

// KindInvoice is the prefix of invoices' ids.
const KindInvoice Kind = "invoice"

// Invoice is what a contact owes the clinic.
type Invoice struct {
	ClinicID      uuid.UUID `gorm:"primaryKey;<-:create"`
	ID            uuid.UUID `gorm:"primaryKey;<-:create"`
	Number        *string
	IssuedAt      *time.Time
	ContactID     uuid.UUID
	AppointmentID *uuid.UUID
	Status        InvoiceStatus
	DueDate       Date
	// OverdueAt is the instant at which DueDate has passed in the clinic's zone; the
	// database keeps it.
	OverdueAt time.Time `gorm:"->"`
	// PixKey and Payee are the clinic's, for whoever pays; the database keeps them.
	PixKey   *string `gorm:"->"`
	Payee    string  `gorm:"->"`
	Currency string
	// TotalMinor and PaidMinor are in minor units of Currency.
	TotalMinor int64
	PaidMinor  int64
	VoidReason *string
	Version    int       `gorm:"->"`
	CreatedAt  time.Time `gorm:"->"`
	UpdatedAt  time.Time `gorm:"->"`

	Prefetched `gorm:"-"`
}

// IsNode marks a GraphQL Node.
func (*Invoice) IsNode() {}

// GetID is the global id.
func (i *Invoice) GetID() string { return KindInvoice.Global(i.ID) }

// AgeAt makes an invoice that is owed and past its due date OVERDUE, and gives when
// another one will be: nobody writes that down.
func (i *Invoice) AgeAt(now time.Time) (until time.Time) {
	if i.Status != InvoiceStatusOpen && i.Status != InvoiceStatusPartiallyPaid || i.OverdueAt.IsZero() {
		return time.Time{} // not owed, or read without its instant
	}
	if now.Before(i.OverdueAt) {
		return i.OverdueAt
	}
	i.Status = InvoiceStatusOverdue
	return time.Time{}
}

// Total is what is owed in all.
func (i *Invoice) Total() *Money { return &Money{AmountMinor: i.TotalMinor, Currency: i.Currency} }

// Paid is what was paid of it.
func (i *Invoice) Paid() *Money { return &Money{AmountMinor: i.PaidMinor, Currency: i.Currency} }

// Balance is what is yet to be paid.
func (i *Invoice) Balance() *Money {
	return &Money{AmountMinor: i.TotalMinor - i.PaidMinor, Currency: i.Currency}
}

func invoiceStatusWord(s InvoiceStatus) string {
	switch s {
	case InvoiceStatusDraft:
		return "rascunho"
	case InvoiceStatusOpen:
		return "aberta"
	case InvoiceStatusPartiallyPaid:
		return "paga_parcialmente"
	case InvoiceStatusPaid:
		return "paga"
	case InvoiceStatusOverdue:
		// It is no word that is stored: an open invoice becomes overdue by itself.
	case InvoiceStatusVoid:
		return "anulada"
	}
	return ""
}

// Scan implements sql.Scanner.
func (s *InvoiceStatus) Scan(source any) error {
	return scan(s, source, AllInvoiceStatus, invoiceStatusWord)
}

// Value implements driver.Valuer.
func (s InvoiceStatus) Value() (driver.Value, error) { return value(s, invoiceStatusWord) }
