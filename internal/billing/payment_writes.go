package billing

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// endToEnd is the form of PIX's EndToEndId (Banco Central do Brasil, API PIX): E, eight
// digits of the payer's institution, twelve of the minute, eleven characters.
var endToEnd = regexp.MustCompile(`^E[0-9]{20}[0-9A-Za-z]{11}$`)

// skew is how far a client's clock may be ahead.
const skew = 5 * time.Minute

// RecordPayment takes money for an invoice, never more than is owed. Mistakes come back
// as models.Invalid.
func (l *Ledger) RecordPayment(ctx context.Context, input models.RecordPaymentInput) (*models.Payment, error) {
	var in validate.Input
	now := l.now()
	payment := &models.Payment{
		ID: models.NewID(), Method: input.Method, PaidAt: now,
		InvoiceID: in.ID("invoiceId", models.KindInvoice, input.InvoiceID), AmountMinor: amount(&in, input.Amount, ""),
	}
	if input.PaidAt != nil {
		if payment.PaidAt = *input.PaidAt; payment.PaidAt.After(now.Add(skew)) {
			in.Add(models.UserErrorCodeInvalid, "paidAt", "this is in the future: a payment is recorded once it came in")
		}
	}
	if payment.EndToEndID = in.OptionalText("endToEndId", input.EndToEndID, 32); payment.EndToEndID != nil {
		switch {
		case input.Method != models.PaymentMethodPix:
			in.Add(models.UserErrorCodeInvalid, "endToEndId", "only a PIX transfer has one")
		case !endToEnd.MatchString(*payment.EndToEndID):
			in.Add(models.UserErrorCodeInvalid, "endToEndId", "this is no EndToEndId of PIX: E, 20 digits and 11 letters or digits")
		}
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	made, err := database.InTenant(ctx, l.db, func(tx *gorm.DB) (*models.Payment, error) {
		invoice, err := lock(tx, "invoiceId", payment.InvoiceID, nil)
		if err != nil {
			return nil, err
		}
		if err := payable(invoice, input.Amount); err != nil {
			return nil, err
		}
		payment.Currency = invoice.Currency
		if err := tx.Clauses(clause.Returning{}).Create(payment).Error; err != nil {
			return nil, err
		}
		_, err = settle(tx, invoice, invoice.PaidMinor+payment.AmountMinor)
		return payment, err
	})
	if constraint, violated := database.Violation(err); violated && constraint == "idx_payments_end_to_end" {
		return nil, l.transferred(ctx, *payment.EndToEndID)
	}
	return made, err
}

// payable refuses an amount that an invoice cannot take.
func payable(invoice *models.Invoice, asked *models.MoneyInput) error {
	switch invoice.Status {
	case models.InvoiceStatusDraft:
		return models.Refuse(models.UserErrorCodeConflict, "invoiceId", "this invoice is a draft: issue it first", invoice.GetID())
	case models.InvoiceStatusVoid:
		return models.Refuse(models.UserErrorCodeConflict, "invoiceId", "this invoice is void: nobody owes it", invoice.GetID())
	case models.InvoiceStatusPaid:
		return models.Refuse(models.UserErrorCodeConflict, "invoiceId", "this invoice is paid already", invoice.GetID())
	case models.InvoiceStatusOpen, models.InvoiceStatusPartiallyPaid, models.InvoiceStatusOverdue:
	}
	var in validate.Input
	owed := invoice.TotalMinor - invoice.PaidMinor
	if amount(&in, asked, invoice.Currency) > owed {
		in.AddAt(models.UserErrorCodeLimit, []string{"amount", "amountMinor"}, "no more than "+strconv.FormatInt(owed, 10)+" is owed")
	}
	return in.Err()
}

// transferred is the refusal of a transfer that was taken; it names the payment.
func (l *Ledger) transferred(ctx context.Context, endToEndID string) error {
	first, err := database.InTenant(ctx, l.db, func(tx *gorm.DB) (*models.Payment, error) {
		var found models.Payment
		return &found, tx.Select("id").Where("end_to_end_id = ?", endToEndID).Limit(1).Find(&found).Error
	})
	if err != nil {
		return err
	}
	const told = "this transfer is recorded already"
	if first.ID == uuid.Nil {
		return models.Refuse(models.UserErrorCodeTaken, "endToEndId", told)
	}
	return models.Refuse(models.UserErrorCodeTaken, "endToEndId", told, first.GetID())
}

// RefundPayment gives money of a payment back, never more than came in. Mistakes come
// back as models.Invalid.
func (l *Ledger) RefundPayment(ctx context.Context, input models.RefundPaymentInput) (*models.Refund, error) {
	var in validate.Input
	refund := &models.Refund{
		ID: models.NewID(), PaymentID: in.ID("paymentId", models.KindPayment, input.PaymentID),
		AmountMinor: amount(&in, input.Amount, ""), Reason: in.RequiredLines("reason", input.Reason, longestReason),
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	return database.InTenant(ctx, l.db, func(tx *gorm.DB) (*models.Refund, error) {
		var known models.Payment
		err := tx.Select("id", "invoice_id").Where("id = ?", refund.PaymentID).Take(&known).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return nil, models.Refuse(models.UserErrorCodeNotFound, "paymentId", "this clinic has no such payment")
		}
		if err != nil {
			return nil, err
		}
		// A payment's invoice never changes: it is locked first, as by whoever pays.
		invoice, err := lock(tx, "paymentId", known.InvoiceID, nil)
		if err != nil {
			return nil, err
		}
		var payment models.Payment
		if err := tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Where("id = ?", refund.PaymentID).Take(&payment).Error; err != nil {
			return nil, err
		}
		var in validate.Input
		left := payment.AmountMinor - payment.RefundedMinor
		if amount(&in, input.Amount, payment.Currency) > left {
			in.AddAt(models.UserErrorCodeLimit, []string{"amount", "amountMinor"}, "no more than "+strconv.FormatInt(left, 10)+" of this payment is left")
		}
		if err := in.Err(); err != nil {
			return nil, err
		}
		refund.Currency = payment.Currency
		if err := tx.Clauses(clause.Returning{}).Create(refund).Error; err != nil {
			return nil, err
		}
		if err := tx.Model(&models.Payment{ID: payment.ID}).Update("refunded_minor", payment.RefundedMinor+refund.AmountMinor).Error; err != nil {
			return nil, err
		}
		_, err = settle(tx, invoice, invoice.PaidMinor-refund.AmountMinor)
		return refund, err
	})
}
