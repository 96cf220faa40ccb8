package resolvers

import (
	"context"

	"github.com/taskmed/taskmed/models"
)

func (r *mutationResolver) RequestAttachmentUpload(ctx context.Context, input models.RequestAttachmentUploadInput) (*models.RequestAttachmentUploadPayload, error) {
	requested, err := r.files.Request(ctx, input)
	userErrors, err := mistakes(err)
	if requested == nil {
		return &models.RequestAttachmentUploadPayload{UserErrors: userErrors}, err
	}
	return &models.RequestAttachmentUploadPayload{
		Attachment: requested.Attachment, UploadURL: &requested.URL, ExpiresAt: &requested.ExpiresAt, UserErrors: userErrors,
	}, err
}
