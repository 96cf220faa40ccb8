package channel

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Posted is a message as a page of the clinic's or a mail gateway posts it.
type Posted struct {
	// ID is the sender's own name of it: what has the same is the same message.
	ID string `json:"id"`
	// From is who wrote: an address of mail, a page's name for its visitor.
	From    string    `json:"from"`
	Name    string    `json:"name"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	SentAt  time.Time `json:"sentAt"`
}

const (
	longestReference = 200
	longestAddress   = 255
)

// SplitPosted takes a body for one event.
func SplitPosted(body []byte) ([]Event, error) {
	posted, err := ReadPosted(body)
	if err != nil {
		return nil, err
	}
	return []Event{{Reference: "message:" + posted.ID, Payload: body}}, nil
}

// ReadPosted reads what was posted.
func ReadPosted(body []byte) (*Posted, error) {
	var posted Posted
	if err := json.Unmarshal(body, &posted); err != nil {
		return nil, fmt.Errorf("this is no message in JSON: %w", err)
	}
	switch {
	case posted.ID == "" || len(posted.ID) > longestReference:
		return nil, errors.New("a message has an id of up to 200 bytes")
	case posted.From == "" || len(posted.From) > longestAddress:
		return nil, errors.New("a message has a from of up to 255 bytes")
	case posted.SentAt.IsZero():
		return nil, errors.New("a message has a sentAt, RFC 3339")
	}
	return &posted, nil
}
