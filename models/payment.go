package models

import (
	"database/sql/driver"
	"time"

	"github.com/google/uuid"
)

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
