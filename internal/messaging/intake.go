package messaging

import (
	"context"
	"errors"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/messaging/channel"
	"github.com/taskmed/taskmed/models"
)

var (
	// ErrUnsigned is returned for what the account's provider has not signed.
	ErrUnsigned = errors.New("messaging: not signed by the account's provider")
	// ErrUnread is returned for a body that is nothing that a provider posts.
	ErrUnread = errors.New("messaging: not of the form that the provider posts")
)

const (
	longestEventName = 300
	longestReference = 255
	// mostEvents bounds what is posted together.
	mostEvents = 1000
)

// working is the context of what happens in a clinic without a person.
func working(ctx context.Context, name string) (context.Context, *models.ChannelAccount, bool) {
	clinic, account, ok := named(name)
	if !ok {
		return ctx, nil, false
	}
	return forClinic(ctx, clinic), &models.ChannelAccount{ClinicID: clinic, ID: account}, true
}

// account reads the active account that an address names, or models.ErrNotFound.
func (c *Correspondence) account(ctx context.Context, name string) (context.Context, *models.ChannelAccount, error) {
	ctx, wanted, ok := working(ctx, name)
	if !ok {
		return ctx, nil, models.ErrNotFound
	}
	found, err := database.Rows[models.ChannelAccount](ctx, c.db,
		"SELECT clinic_id, id, channel, address, settings FROM channel_accounts WHERE clinic_id = app_clinic() AND id = $1 AND active", wanted.ID)
	if err != nil {
		return ctx, nil, err
	}
	if len(found) == 0 {
		return ctx, nil, models.ErrNotFound
	}
	return ctx, found[0], nil
}

// Challenge answers a provider's question whether an address is ours, or with
// models.ErrNotFound.
func (c *Correspondence) Challenge(ctx context.Context, name string, query func(string) string) (string, error) {
	_, account, err := c.account(ctx, name)
	if err != nil {
		return "", err
	}
	of, adapter, err := c.opened(account)
	if err != nil {
		return "", err
	}
	if challenger, ok := adapter.(channel.Challenger); ok {
		if answer, ok := challenger.Challenge(of, query); ok {
			return answer, nil
		}
	}
	return "", models.ErrNotFound
}

// Take keeps what a provider has posted to an address: each event once. It is understood
// later (Worker). The error is models.ErrNotFound where the address is nobody's,
// ErrUnsigned or ErrUnread.
func (c *Correspondence) Take(ctx context.Context, name string, header func(string) string, body []byte) error {
	ctx, account, err := c.account(ctx, name)
	if err != nil {
		return err
	}
	of, adapter, err := c.opened(account)
	if err != nil {
		return err
	}
	if !adapter.Verify(of, header, body, c.now()) {
		return ErrUnsigned
	}
	events, err := adapter.Split(of, body)
	if err != nil || len(events) > mostEvents {
		return errors.Join(ErrUnread, err)
	}
	// In one order: two that post the same at once wait for each other.
	slices.SortFunc(events, func(a, b channel.Event) int { return strings.Compare(a.Reference, b.Reference) })
	rows := make([]*channelEvent, 0, len(events))
	for _, event := range events {
		if event.Reference == "" || len(event.Reference) > longestEventName {
			return ErrUnread
		}
		rows = append(rows, &channelEvent{ID: models.NewID(), AccountID: account.ID, Reference: event.Reference, Payload: event.Payload})
	}
	if len(rows) == 0 {
		return nil
	}
	err = c.db.InTenant(ctx, func(tx *gorm.DB) error {
		return tx.Clauses(clause.OnConflict{DoNothing: true}).Omit("DueAt").Create(rows).Error
	})
	if err == nil {
		c.wake()
	}
	return err
}

// reference is a provider's name of a message among all channels'.
func reference(of models.Channel, name string) string {
	return cut(strings.ToLower(string(of))+":"+name, longestReference)
}
