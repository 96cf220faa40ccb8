package whatsapp

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/taskmed/taskmed/internal/messaging/channel"
	"github.com/taskmed/taskmed/models"
)

// posted is what Meta posts: changes of several numbers together.
type posted struct {
	Entry []struct {
		Changes []struct {
			Field string `json:"field"`
			Value struct {
				Metadata struct {
					PhoneNumberID string `json:"phone_number_id"`
				} `json:"metadata"`
				Contacts []contact         `json:"contacts"`
				Messages []json.RawMessage `json:"messages"`
				Statuses []json.RawMessage `json:"statuses"`
			} `json:"value"`
		} `json:"changes"`
	} `json:"entry"`
}

type contact struct {
	Profile struct {
		Name string `json:"name"`
	} `json:"profile"`
	WaID   string `json:"wa_id,omitempty"`
	UserID string `json:"user_id,omitempty"`
}

// event is one of Meta's messages or statuses, with the contacts that stood beside it.
type event struct {
	Message  json.RawMessage `json:"message,omitempty"`
	Status   json.RawMessage `json:"status,omitempty"`
	Contacts []contact       `json:"contacts,omitempty"`
}

// Split implements channel.Adapter. What is another number's is passed over.
func (*API) Split(account channel.Account, body []byte) ([]channel.Event, error) {
	var all posted
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, fmt.Errorf("this is no webhook of WhatsApp's: %w", err)
	}
	var events []channel.Event
	add := func(reference string, of event) error {
		payload, err := json.Marshal(of)
		events = append(events, channel.Event{Reference: reference, Payload: payload})
		return err
	}
	var faults error
	for _, entry := range all.Entry {
		for _, change := range entry.Changes {
			if change.Field != "messages" || change.Value.Metadata.PhoneNumberID != account.Settings[settingNumber] {
				continue
			}
			for _, raw := range change.Value.Messages {
				var named struct{ ID string }
				faults = errors.Join(faults, json.Unmarshal(raw, &named), add("message:"+named.ID, event{Message: raw, Contacts: change.Value.Contacts}))
			}
			for _, raw := range change.Value.Statuses {
				var named struct{ ID, Status string }
				faults = errors.Join(faults, json.Unmarshal(raw, &named), add("status:"+named.ID+":"+named.Status, event{Status: raw}))
			}
		}
	}
	return events, faults
}

// message is one that a user wrote. Each type has its content under its own name.
type message struct {
	ID         string `json:"id"`
	From       string `json:"from"`
	FromUserID string `json:"from_user_id"`
	Timestamp  string `json:"timestamp"`
	Type       string `json:"type"`
	Text       struct {
		Body string `json:"body"`
	} `json:"text"`
	Button struct {
		Text string `json:"text"`
	} `json:"button"`
	Interactive struct {
		Button titled `json:"button_reply"`
		List   titled `json:"list_reply"`
	} `json:"interactive"`
	Reaction struct {
		Emoji string `json:"emoji"`
	} `json:"reaction"`
	Image    captioned `json:"image"`
	Video    captioned `json:"video"`
	Document captioned `json:"document"`
}

type titled struct {
	Title string `json:"title"`
}

type captioned struct {
	Caption string `json:"caption"`
}

// status is how far a message has come.
type status struct {
	ID        string `json:"id"`
	Status    string `json:"status"`
	Timestamp string `json:"timestamp"`
	Ours      string `json:"biz_opaque_callback_data"`
	Errors    []struct {
		Code    int    `json:"code"`
		Title   string `json:"title"`
		Message string `json:"message"`
		Data    struct {
			Details string `json:"details"`
		} `json:"error_data"`
	} `json:"errors"`
}

// Understand implements channel.Adapter.
func (*API) Understand(_ channel.Account, payload []byte) (*channel.Inbound, *channel.Receipt, error) {
	var of event
	if err := json.Unmarshal(payload, &of); err != nil {
		return nil, nil, fmt.Errorf("read an event: %w", err)
	}
	if of.Status != nil {
		receipt, err := understandStatus(of.Status)
		return nil, receipt, err
	}
	var m message
	if err := json.Unmarshal(of.Message, &m); err != nil {
		return nil, nil, fmt.Errorf("read a message: %w", err)
	}
	if m.Type == "system" || m.Type == "unsupported" && m.From == "" && m.FromUserID == "" {
		return nil, nil, nil
	}
	at, err := instant(m.Timestamp)
	if err != nil {
		return nil, nil, err
	}
	in := &channel.Inbound{Reference: m.ID, Body: m.words(), SentAt: at}
	for _, value := range []string{m.FromUserID, m.From} {
		in.From = add(in.From, value)
	}
	for _, who := range of.Contacts {
		// Of several contacts those that are the sender.
		if len(of.Contacts) > 1 && who.WaID != m.From && who.UserID != m.FromUserID {
			continue
		}
		in.Name = who.Profile.Name
		in.From = add(add(in.From, who.UserID), who.WaID)
	}
	if m.ID == "" || len(in.From) == 0 {
		return nil, nil, errors.New("a message without an id or without a sender")
	}
	return in, nil, nil
}

// add adds an address in its one form, once; a provider's own name stands before phones.
func add(all []string, value string) []string {
	if number.MatchString(value) {
		value = "+" + value
	}
	if !phone.MatchString(value) && !address.MatchString(value) {
		return all
	}
	if slices.Contains(all, value) {
		return all
	}
	if address.MatchString(value) {
		return append([]string{value}, all...)
	}
	return append(all, value)
}

// words are what a message says; of what is not text at least what it is.
func (m *message) words() string {
	for _, text := range []string{m.Text.Body, m.Button.Text, m.Interactive.Button.Title, m.Interactive.List.Title, m.Reaction.Emoji} {
		if text != "" {
			return text
		}
	}
	kind := "[" + m.Type + "]"
	for _, text := range []string{m.Image.Caption, m.Video.Caption, m.Document.Caption} {
		if text != "" {
			return kind + " " + text
		}
	}
	return kind
}

func understandStatus(raw json.RawMessage) (*channel.Receipt, error) {
	var s status
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("read a status: %w", err)
	}
	receipt := &channel.Receipt{Reference: s.ID, MessageID: s.Ours}
	switch s.Status {
	case "sent":
		receipt.Status = models.MessageStatusSent
	case "delivered":
		receipt.Status = models.MessageStatusDelivered
	case "read", "played":
		receipt.Status = models.MessageStatusRead
	case "failed":
		receipt.Status, receipt.Failure = models.MessageStatusFailed, "WhatsApp could not deliver the message"
		if len(s.Errors) > 0 {
			e := s.Errors[0]
			receipt.Failure = cut(strings.TrimSpace(fmt.Sprintf("WhatsApp: %s (%d) %s", e.Title, e.Code, e.Data.Details)))
		}
	default:
		return nil, nil //nolint:nilnil // other statuses tell nothing that is shown
	}
	at, err := instant(s.Timestamp)
	receipt.At = at
	return receipt, err
}

func instant(seconds string) (time.Time, error) {
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("no Unix time: %w", err)
	}
	return time.Unix(at, 0).UTC(), nil
}
