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

const (
	// KindPayment is the prefix of payments' ids.
	KindPayment Kind = "payment"
	// KindRefund is the prefix of refunds' ids.
	KindRefund Kind = "refund"
)

// InvoiceItem is what an invoice is for.
type InvoiceItem struct {
	ClinicID    uuid.UUID `gorm:"primaryKey;<-:create"`
	ID          uuid.UUID `gorm:"primaryKey;<-:create"`
	InvoiceID   uuid.UUID
	Position    int
	ServiceID   *uuid.UUID
	Description string
	Quantity    int
	// UnitPriceMinor and TotalMinor are in minor units of Currency.
	UnitPriceMinor int64
	TotalMinor     int64 `gorm:"->"`
	Currency       string

	Prefetched `gorm:"-"`
}

// UnitPrice is what one of it costs.
func (i *InvoiceItem) UnitPrice() *Money {
	return &Money{AmountMinor: i.UnitPriceMinor, Currency: i.Currency}
}

// Total is what all of it costs.
func (i *InvoiceItem) Total() *Money { return &Money{AmountMinor: i.TotalMinor, Currency: i.Currency} }

// Payment is money that came in for an invoice.
type Payment struct {
	ClinicID  uuid.UUID `gorm:"primaryKey;<-:create"`
	ID        uuid.UUID `gorm:"primaryKey;<-:create"`
	InvoiceID uuid.UUID
	// AmountMinor and RefundedMinor are in minor units of Currency.
	AmountMinor   int64
	RefundedMinor int64
	Currency      string
	Method        PaymentMethod
	PaidAt        time.Time
	EndToEndID    *string
	Version       int `gorm:"->"`

	Prefetched `gorm:"-"`
}

// IsNode marks a GraphQL Node.
func (*Payment) IsNode() {}

// GetID is the global id.
func (p *Payment) GetID() string { return KindPayment.Global(p.ID) }

// Amount is what came in.
func (p *Payment) Amount() *Money { return &Money{AmountMinor: p.AmountMinor, Currency: p.Currency} }

// Refunded is what of it was given back.
func (p *Payment) Refunded() *Money {
	return &Money{AmountMinor: p.RefundedMinor, Currency: p.Currency}
}

// Refund is money of a payment that was given back.
type Refund struct {
	ClinicID  uuid.UUID `gorm:"primaryKey;<-:create"`
	ID        uuid.UUID `gorm:"primaryKey;<-:create"`
	PaymentID uuid.UUID
	// AmountMinor is in minor units of Currency.
	AmountMinor int64
	Currency    string
	Reason      string
	CreatedAt   time.Time `gorm:"->"`

	Prefetched `gorm:"-"`
}

// IsNode marks a GraphQL Node.
func (*Refund) IsNode() {}

// GetID is the global id.
func (r *Refund) GetID() string { return KindRefund.Global(r.ID) }

// Amount is what was given back.
func (r *Refund) Amount() *Money { return &Money{AmountMinor: r.AmountMinor, Currency: r.Currency} }

func paymentMethodWord(m PaymentMethod) string {
	switch m {
	case PaymentMethodPix:
		return "pix"
	case PaymentMethodCreditCard:
		return "credit_card"
	case PaymentMethodDebitCard:
		return "debit_card"
	case PaymentMethodCash:
		return "cash"
	case PaymentMethodBoleto:
		return "boleto"
	case PaymentMethodBankTransfer:
		return "bank_transfer"
	case PaymentMethodHealthPlan:
		return "health_plan"
	}
	return ""
}

// Scan implements sql.Scanner.
func (m *PaymentMethod) Scan(source any) error {
	return scan(m, source, AllPaymentMethod, paymentMethodWord)
}

// Value implements driver.Valuer.
func (m PaymentMethod) Value() (driver.Value, error) { return value(m, paymentMethodWord) }
