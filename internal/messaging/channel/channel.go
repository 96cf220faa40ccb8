// Package channel is what the ways to the providers of channels have in common: an
// adapter per channel sends what the clinic writes and understands what the provider
// posts.
package channel

import (
	"context"
	"time"

	"github.com/taskmed/taskmed/models"
)

// Settings are an account's own, secrets among them, by name.
type Settings map[string]string

// Fault is what is wrong with settings, and with which of them; "" for all.
type Fault struct{ Setting, Message string }

// Account is what a clinic sends and receives with.
type Account struct {
	// Address is what contacts see: a phone in E.164, an address of mail, a page.
	Address  string
	Settings Settings
}

// Outbound is a message that is to be sent.
type Outbound struct {
	// ID is the message's own: providers that give it back tell of it by that.
	ID string
	// To are the addresses by which the contact is known, the last heard from first.
	To []string
	// Clinic is the clinic's name.
	Clinic string
	Body   string
}

// Sent is what a provider said of a message that it has taken: its own name for it, if
// any.
type Sent struct{ Reference string }

// Event is one thing of those that a provider has posted together.
type Event struct {
	// Reference is what the provider calls it: what has the same is the same.
	Reference string
	Payload   []byte
}

// Inbound is a message that a contact wrote.
type Inbound struct {
	// Reference is the provider's own name of it.
	Reference string
	// From are the addresses of who wrote, the most lasting first; a phone is in E.164.
	From []string
	// Name is what they call themselves; it may be empty.
	Name   string
	Body   string
	SentAt time.Time
}

// Receipt says how far a message of the clinic's has come.
type Receipt struct {
	// Reference is the provider's own name of the message, MessageID ours where the
	// provider gives it back.
	Reference, MessageID string
	Status               models.MessageStatus
	At                   time.Time
	// Failure says why, for FAILED.
	Failure string
}

// Adapter is the way to a channel's providers.
type Adapter interface {
	// Check says what is wrong with an account.
	Check(account Account) []Fault
	// Send sends a message. Refused and Later say that it was not sent; after any other
	// error nobody knows.
	Send(ctx context.Context, account Account, out Outbound) (Sent, error)
	// Verify is whether the account's provider has posted a body. header gives a header
	// of the request by its name.
	Verify(account Account, header func(name string) string, body []byte, now time.Time) bool
	// Split is what was posted, taken apart. It is to be quick.
	Split(account Account, body []byte) ([]Event, error)
	// Understand reads an event: one of the two, or neither where it is of no use here.
	Understand(account Account, payload []byte) (*Inbound, *Receipt, error)
}

// Challenger is an Adapter whose provider asks first whether an address is ours.
type Challenger interface {
	// Challenge is what such a question is answered with; false if it is not answered.
	// query gives a parameter of it by its name.
	Challenge(account Account, query func(name string) string) (string, bool)
}

// Refused is a message that the provider does not take, now or later.
type Refused struct{ Reason string } //nolint:errname // "the message is refused" is what every use says

// Error gives the reason, in words for the clinic.
func (r *Refused) Error() string { return r.Reason }

// Later is a message that was not sent and may be sent later.
type Later struct { //nolint:errname // likewise
	Reason string
	// After is when to try again at the earliest; 0 where the provider does not say.
	After time.Duration
}

// Error gives the reason, in words for the clinic.
func (l *Later) Error() string { return l.Reason }

// Known says what is wrong with settings that are missing, and with those that are none.
func (s Settings) Known(required, optional []string) (faults []Fault) {
	known := map[string]bool{}
	for _, name := range required {
		known[name] = true
		if s[name] == "" {
			faults = append(faults, Fault{name, "this setting is missing"})
		}
	}
	for _, name := range optional {
		known[name] = true
	}
	for name := range s {
		if !known[name] {
			faults = append(faults, Fault{name, "this channel has no such setting"})
		}
	}
	return faults
}
