package resolvers

import (
	"context"

	"github.com/taskmed/taskmed/models"
)

func (r *mutationResolver) CreateMedicalRecord(ctx context.Context, input models.CreateMedicalRecordInput) (*models.MedicalRecordPayload, error) {
	record, err := r.chart.Create(ctx, input)
	return charted(record, err)
}

func (r *mutationResolver) UpdateMedicalRecord(ctx context.Context, input models.UpdateMedicalRecordInput) (*models.MedicalRecordPayload, error) {
	record, err := r.chart.Update(ctx, input)
	return charted(record, err)
}

func (r *mutationResolver) SignMedicalRecord(ctx context.Context, input models.SignMedicalRecordInput) (*models.MedicalRecordPayload, error) {
	record, err := r.chart.Sign(ctx, input)
	return charted(record, err)
}

func (r *mutationResolver) AmendMedicalRecord(ctx context.Context, input models.AmendMedicalRecordInput) (*models.MedicalRecordPayload, error) {
	record, err := r.chart.Amend(ctx, input)
	return charted(record, err)
}

func (r *mutationResolver) DiscardMedicalRecord(ctx context.Context, input models.DiscardMedicalRecordInput) (*models.DiscardMedicalRecordPayload, error) {
	record, err := r.chart.Discard(ctx, input)
	r.files.Wake()
	userErrors, err := mistakes(err)
	return &models.DiscardMedicalRecordPayload{MedicalRecord: record, UserErrors: userErrors}, err
}

func (r *mutationResolver) WithdrawMedicalRecord(ctx context.Context, input models.WithdrawMedicalRecordInput) (*models.MedicalRecordPayload, error) {
	record, err := r.chart.Withdraw(ctx, input)
	return charted(record, err)
}

// charted is the payload of a mutation that writes a medical record.
func charted(record *models.MedicalRecord, err error) (*models.MedicalRecordPayload, error) {
	userErrors, err := mistakes(err)
	return &models.MedicalRecordPayload{MedicalRecord: record, UserErrors: userErrors}, err
}
