// Package whatsapp is the channel of WhatsApp's Cloud API (Meta, Graph API).
package whatsapp

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/taskmed/taskmed/internal/messaging/channel"
)

// DefaultURL is where the Graph API is, with its version.
const DefaultURL = "https://graph.facebook.com/v23.0"

// Names of an account's settings.
const (
	settingNumber = "phoneNumberId"
	settingToken  = "accessToken"
	settingSecret = "appSecret"
	settingVerify = "verifyToken"
)

const (
	longestAnswer  = 1 << 20
	longestFailure = 300
)

var (
	number  = regexp.MustCompile(`^[0-9]{1,30}$`)
	phone   = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	address = regexp.MustCompile(`^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$`)
)

// API is a channel.Adapter.
type API struct {
	base   string
	client *http.Client
}

// New makes an API at an address, with its version: DefaultURL, or a stand-in's.
func New(base string) *API {
	return &API{strings.TrimRight(base, "/"), &http.Client{
		// An answer that leads elsewhere is none of this API's.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second},
	}}
}

// Check implements channel.Adapter.
func (*API) Check(account channel.Account) []channel.Fault {
	faults := account.Settings.Known([]string{settingNumber, settingToken, settingSecret, settingVerify}, nil)
	if id := account.Settings[settingNumber]; id != "" && !number.MatchString(id) {
		faults = append(faults, channel.Fault{Setting: settingNumber, Message: "an id of a phone number has digits alone"})
	}
	if !phone.MatchString(account.Address) {
		faults = append(faults, channel.Fault{Message: "the address is the phone number in E.164, such as +5511987654321"})
	}
	return faults
}

// Challenge implements channel.Challenger: Meta's handshake.
func (*API) Challenge(account channel.Account, query func(string) string) (string, bool) {
	token := account.Settings[settingVerify]
	known := token != "" && subtle.ConstantTimeCompare([]byte(query("hub.verify_token")), []byte(token)) == 1
	return query("hub.challenge"), known && query("hub.mode") == "subscribe"
}

// Verify implements channel.Adapter: X-Hub-Signature-256 is over the raw body.
func (*API) Verify(account channel.Account, header func(string) string, body []byte, _ time.Time) bool {
	text, prefixed := strings.CutPrefix(header("X-Hub-Signature-256"), "sha256=")
	given, err := hex.DecodeString(text)
	if !prefixed || err != nil || account.Settings[settingSecret] == "" {
		return false
	}
	sum := hmac.New(sha256.New, []byte(account.Settings[settingSecret]))
	sum.Write(body)
	return hmac.Equal(given, sum.Sum(nil))
}

// Send implements channel.Adapter.
func (a *API) Send(ctx context.Context, account channel.Account, out channel.Outbound) (channel.Sent, error) {
	message := map[string]any{
		"messaging_product": "whatsapp", "recipient_type": "individual", "type": "text",
		"text": map[string]any{"preview_url": false, "body": out.Body}, "biz_opaque_callback_data": out.ID,
	}
	if !addressed(message, out.To) {
		return channel.Sent{}, &channel.Refused{Reason: "the contact has no address at WhatsApp"}
	}
	body, err := json.Marshal(message)
	if err != nil {
		return channel.Sent{}, &channel.Refused{Reason: "the message cannot be written: " + err.Error()}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+"/"+url.PathEscape(account.Settings[settingNumber])+"/messages", bytes.NewReader(body))
	if err != nil {
		return channel.Sent{}, &channel.Refused{Reason: "the message cannot be sent: " + err.Error()}
	}
	request.GetBody = nil // nobody sends it again unasked
	request.Header.Set("Authorization", "Bearer "+account.Settings[settingToken])
	request.Header.Set("Content-Type", "application/json")
	answer, err := a.client.Do(request)
	if err != nil {
		var dialled *net.OpError
		if errors.As(err, &dialled) && dialled.Op == "dial" {
			return channel.Sent{}, &channel.Later{Reason: "WhatsApp cannot be reached"}
		}
		return channel.Sent{}, fmt.Errorf("ask WhatsApp: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, longestAnswer))
	if err != nil {
		return channel.Sent{}, fmt.Errorf("read WhatsApp's answer: %w", err)
	}
	return judge(answer, text)
}

// addressed says whom a message is for. A phone comes first, for then providers' posts
// have it, too; a name of the provider's own in its place would be taken and dropped.
func addressed(message map[string]any, to []string) bool {
	for _, value := range to {
		if phone.MatchString(value) {
			message["to"] = value[1:]
			return true
		}
	}
	for _, value := range to {
		if address.MatchString(value) {
			message["recipient"] = value
			return true
		}
	}
	return false
}

// refusal is the Graph API's form of an error.
type refusal struct {
	Error *struct {
		Message string `json:"message"`
		Code    int    `json:"code"`
		Data    struct {
			Details string `json:"details"`
		} `json:"error_data"`
	} `json:"error"`
	Messages []struct {
		ID string `json:"id"`
	} `json:"messages"`
}

// judge is what an answer means for the message.
func judge(answer *http.Response, text []byte) (channel.Sent, error) {
	var told refusal
	err := json.Unmarshal(text, &told)
	ok := answer.StatusCode >= 200 && answer.StatusCode < 300
	switch {
	case ok && err == nil && len(told.Messages) == 1 && told.Messages[0].ID != "":
		return channel.Sent{Reference: told.Messages[0].ID}, nil
	case err == nil && told.Error != nil:
		reason := cut(strings.TrimSpace(fmt.Sprintf("WhatsApp: %s (%d) %s", told.Error.Message, told.Error.Code, told.Error.Data.Details)))
		if answer.StatusCode == http.StatusTooManyRequests || passing(told.Error.Code) {
			after, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
			return channel.Sent{}, &channel.Later{Reason: reason, After: time.Duration(after) * time.Second}
		}
		return channel.Sent{}, &channel.Refused{Reason: reason}
	case answer.StatusCode == http.StatusTooManyRequests:
		return channel.Sent{}, &channel.Later{Reason: "WhatsApp: too many requests"}
	case answer.StatusCode >= 300 && answer.StatusCode < 500:
		return channel.Sent{}, &channel.Refused{Reason: fmt.Sprintf("WhatsApp answered with status %d", answer.StatusCode)}
	}
	return channel.Sent{}, fmt.Errorf("an answer of WhatsApp's that says nothing of the message, with status %d", answer.StatusCode)
}

// passing are errors that pass: limits and outages.
func passing(code int) bool {
	switch code {
	case 1, 2, 4, 80007, 130429, 131000, 131016, 131048, 131056, 131057, 133016:
		return true
	}
	return false
}

func cut(text string) string {
	if runes := []rune(text); len(runes) > longestFailure {
		return string(runes[:longestFailure])
	}
	return text
}
