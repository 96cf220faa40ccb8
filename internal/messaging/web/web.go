// Package web is the channel of the clinic's own page, which posts what its visitors
// write and reads the answers by the API.
package web

import (
	"context"
	"fmt"
	"time"

	"github.com/taskmed/taskmed/internal/messaging/channel"
)

// settingSecret is what the page signs with.
const settingSecret = "signingSecret"

// Page is a channel.Adapter.
type Page struct{}

// Check implements channel.Adapter.
func (Page) Check(account channel.Account) []channel.Fault {
	faults := account.Settings.Known([]string{settingSecret}, nil)
	if secret := account.Settings[settingSecret]; secret != "" && len(secret) < channel.LeastSecret {
		faults = append(faults, channel.Fault{Setting: settingSecret, Message: fmt.Sprintf("a secret has %d characters at least", channel.LeastSecret)})
	}
	return faults
}

// Send implements channel.Adapter: what is written is there for the page to read.
func (Page) Send(context.Context, channel.Account, channel.Outbound) (channel.Sent, error) {
	return channel.Sent{}, nil
}

// Verify implements channel.Adapter.
func (Page) Verify(account channel.Account, header func(string) string, body []byte, now time.Time) bool {
	return channel.Signed(account.Settings[settingSecret], header(channel.SignatureHeader), body, now)
}

// Split implements channel.Adapter.
func (Page) Split(_ channel.Account, body []byte) ([]channel.Event, error) {
	return channel.SplitPosted(body)
}

// Understand implements channel.Adapter.
func (Page) Understand(_ channel.Account, payload []byte) (*channel.Inbound, *channel.Receipt, error) {
	posted, err := channel.ReadPosted(payload)
	if err != nil {
		return nil, nil, err
	}
	return &channel.Inbound{Reference: posted.ID, From: []string{posted.From}, Name: posted.Name, Body: posted.Text, SentAt: posted.SentAt}, nil, nil
}
