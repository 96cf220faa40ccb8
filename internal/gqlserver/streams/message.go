package streams

import (
	"bytes"
	"encoding/json"

	"github.com/coder/websocket"
)

// subprotocol is the one that is spoken.
const subprotocol = "graphql-transport-ws"

// The codes by which a socket is closed, as the protocol has them.
const (
	badRequest      websocket.StatusCode = 4400
	unauthorized    websocket.StatusCode = 4401
	forbidden       websocket.StatusCode = 4403
	notAcceptable   websocket.StatusCode = 4406
	initTimeout     websocket.StatusCode = 4408
	duplicate       websocket.StatusCode = 4409
	tooManyInits    websocket.StatusCode = 4429
	longestID                            = 100
	longestReason                        = 120 // of 123 bytes that a frame has room for
	longestPingSent                      = 1 << 10
)

// message is what both sides say.
type message struct {
	Type    string          `json:"type"`
	ID      string          `json:"id,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// readMessage reads one; false for what is none.
func readMessage(text []byte) (m message, ok bool) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if decoder.Decode(&m) != nil || decoder.More() || len(m.ID) > longestID {
		return m, false
	}
	switch m.Type {
	case "subscribe", "complete":
		return m, m.ID != ""
	case "ping", "pong", "connection_init":
		return m, true
	}
	return m, false
}

// next is the message that carries an answer. Its body is JSON already.
func next(id string, body []byte) []byte { return about("next", id, body) }

func about(kind, id string, payload []byte) []byte {
	quoted, err := json.Marshal(id)
	if err != nil { // A string always marshals.
		quoted = []byte(`""`)
	}
	b := make([]byte, 0, len(payload)+len(quoted)+40)
	b = append(append(append(b, `{"id":`...), quoted...), `,"type":"`...)
	b = append(append(b, kind...), '"')
	if payload != nil {
		b = append(append(b, `,"payload":`...), payload...)
	}
	return append(b, '}')
}

func plain(kind string, payload []byte) []byte {
	b := append(append([]byte(`{"type":"`), kind...), '"')
	if payload != nil {
		b = append(append(b, `,"payload":`...), payload...)
	}
	return append(b, '}')
}

// shortened fits a reason into a close frame.
func shortened(reason string) string {
	if len(reason) > longestReason {
		return reason[:longestReason]
	}
	return reason
}
