package billing

import (
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/models"
)

// InvoiceItem is what an invoice is for, as it is read.
func InvoiceItem() entity.Declaration {
	return entity.Noun[models.InvoiceItem]{
		Columns: map[string][]string{"unitPrice": {"unit_price_minor", "currency"}, "total": {"total_minor", "currency"}},
		One:     map[string]entity.One{"service": {Kind: models.KindService, Column: "service_id"}},
		All:     []entity.All{{Field: "Invoice.items", Parent: "invoice_id", Order: "position"}},
	}
}

// Payment is money that came in, as it is read.
func Payment() entity.Declaration {
	return entity.Noun[models.Payment]{
		Kind:    models.KindPayment,
		Columns: map[string][]string{"amount": {"amount_minor", "currency"}, "refunded": {"refunded_minor", "currency"}},
		One:     map[string]entity.One{"invoice": {Kind: models.KindInvoice, Column: "invoice_id"}},
		All:     []entity.All{{Field: "Invoice.payments", Parent: "invoice_id", Order: "paid_at"}},
	}
}

// Refund is money that was given back, as it is read.
func Refund() entity.Declaration {
	return entity.Noun[models.Refund]{
		Kind:    models.KindRefund,
		Columns: map[string][]string{"amount": {"amount_minor", "currency"}},
		One:     map[string]entity.One{"payment": {Kind: models.KindPayment, Column: "payment_id"}},
		All:     []entity.All{{Field: "Payment.refunds", Parent: "payment_id", Order: "created_at"}},
	}
}
