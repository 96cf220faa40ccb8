package resolvers

import (
	"context"

	"github.com/taskmed/taskmed/models"
)

func (r *mutationResolver) CreateInvoice(ctx context.Context, input models.CreateInvoiceInput) (*models.InvoicePayload, error) {
	return owed(r.ledger.CreateInvoice(ctx, input))
}

func (r *mutationResolver) UpdateInvoice(ctx context.Context, input models.UpdateInvoiceInput) (*models.InvoicePayload, error) {
	return owed(r.ledger.UpdateInvoice(ctx, input))
}

func (r *mutationResolver) IssueInvoice(ctx context.Context, input models.IssueInvoiceInput) (*models.InvoicePayload, error) {
	return owed(r.ledger.IssueInvoice(ctx, input))
}

func (r *mutationResolver) VoidInvoice(ctx context.Context, input models.VoidInvoiceInput) (*models.InvoicePayload, error) {
	return owed(r.ledger.VoidInvoice(ctx, input))
}

func (r *mutationResolver) RecordPayment(ctx context.Context, input models.RecordPaymentInput) (*models.RecordPaymentPayload, error) {
	payment, err := r.ledger.RecordPayment(ctx, input)
	userErrors, err := mistakes(err)
	return &models.RecordPaymentPayload{Payment: payment, UserErrors: userErrors}, err
}

func (r *mutationResolver) RefundPayment(ctx context.Context, input models.RefundPaymentInput) (*models.RefundPaymentPayload, error) {
	refund, err := r.ledger.RefundPayment(ctx, input)
	userErrors, err := mistakes(err)
	return &models.RefundPaymentPayload{Refund: refund, UserErrors: userErrors}, err
}

func (r *queryResolver) FinancialSummary(ctx context.Context, rangeArg models.DateRange, groupBy *models.FinancialGroup) (*models.FinancialSummary, error) {
	return r.ledger.Summary(ctx, rangeArg, groupBy)
}

// owed is the payload of a mutation that writes an invoice.
func owed(invoice *models.Invoice, err error) (*models.InvoicePayload, error) {
	userErrors, err := mistakes(err)
	return &models.InvoicePayload{Invoice: invoice, UserErrors: userErrors}, err
}
