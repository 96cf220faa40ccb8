package resolvers

import (
	"context"

	"github.com/taskmed/taskmed/models"
)

func (r *mutationResolver) AddMember(ctx context.Context, input models.AddMemberInput) (*models.MemberPayload, error) {
	member, err := r.people.AddMember(ctx, input)
	return belonging(member, err)
}

func (r *mutationResolver) UpdateMember(ctx context.Context, input models.UpdateMemberInput) (*models.MemberPayload, error) {
	member, err := r.people.UpdateMember(ctx, input)
	return belonging(member, err)
}

func (r *mutationResolver) RevokeMember(ctx context.Context, input models.RevokeMemberInput) (*models.MemberPayload, error) {
	member, err := r.people.RevokeMember(ctx, input)
	return belonging(member, err)
}

// belonging is the payload of a mutation that writes a member.
func belonging(member *models.Member, err error) (*models.MemberPayload, error) {
	userErrors, err := mistakes(err)
	return &models.MemberPayload{Member: member, UserErrors: userErrors}, err
}
