// Package mail is the channel of electronic mail: out by SMTP, in by what a mail gateway
// posts.
package mail

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/taskmed/taskmed/internal/dialling"
	"github.com/taskmed/taskmed/internal/messaging/channel"
)

// Names of an account's settings.
const (
	settingURL     = "url"
	settingSubject = "subject"
	settingSecret  = "signingSecret"
)

const (
	smtp, smtps = "smtp", "smtps"
	// longest bounds one conversation with a server.
	longest        = 30 * time.Second
	longestFailure = 300
)

// Post is a channel.Adapter.
type Post struct {
	// private is whether servers may be at private addresses, and speak without TLS.
	private bool
}

// New makes a Post. Without private, a clinic's server must be on the Internet, at a port
// of mail, and speak TLS.
func New(private bool) *Post { return &Post{private} }

// Check implements channel.Adapter.
func (p *Post) Check(account channel.Account) []channel.Fault {
	faults := account.Settings.Known([]string{settingURL}, []string{settingSubject, settingSecret})
	if text := account.Settings[settingURL]; text != "" {
		if _, err := p.server(text); err != nil {
			faults = append(faults, channel.Fault{Setting: settingURL, Message: err.Error()})
		}
	}
	if secret := account.Settings[settingSecret]; secret != "" && len(secret) < channel.LeastSecret {
		faults = append(faults, channel.Fault{Setting: settingSecret, Message: fmt.Sprintf("a secret has %d characters at least", channel.LeastSecret)})
	}
	message := mail.NewMsg()
	if err := message.From(account.Address); err != nil {
		faults = append(faults, channel.Fault{Message: "the address is the one that the mail comes from, such as clinica@example.com"})
	}
	return faults
}

// server reads smtp://user:password@host:port, or smtps://.
func (p *Post) server(text string) (*url.URL, error) {
	const form = "give smtp://user:password@host:587, or smtps://user:password@host:465" //nolint:gosec // the form of one
	server, err := url.Parse(text)
	if err != nil || server.Hostname() == "" || server.Scheme != smtp && server.Scheme != smtps || server.RawQuery != "" || strings.Trim(server.Path, "/") != "" {
		return nil, errors.New(form) // the parser's own words could hold the password
	}
	if port := portOf(server); port == 0 || !p.private && !slices.Contains([]int{25, 465, 587, 2525}, port) {
		return nil, errors.New("mail is taken at port 25, 465, 587 or 2525")
	}
	return server, nil
}

func portOf(server *url.URL) int {
	if server.Port() == "" {
		if server.Scheme == smtps {
			return 465
		}
		return 587
	}
	port, err := strconv.Atoi(server.Port())
	if err != nil || port < 1 || port > 65535 {
		return 0
	}
	return port
}

// Send implements channel.Adapter.
func (p *Post) Send(ctx context.Context, account channel.Account, out channel.Outbound) (channel.Sent, error) {
	if len(out.To) == 0 {
		return channel.Sent{}, &channel.Refused{Reason: "the contact has no e-mail address"}
	}
	server, err := p.server(account.Settings[settingURL])
	if err != nil {
		return channel.Sent{}, &channel.Refused{Reason: err.Error()}
	}
	message, reference, err := write(account, out)
	if err != nil {
		return channel.Sent{}, &channel.Refused{Reason: cut("this mail cannot be written: " + err.Error())}
	}
	client, err := p.client(server)
	if err != nil {
		return channel.Sent{}, &channel.Refused{Reason: "the mail server cannot be used: look at the account's url"}
	}
	if err := client.DialWithContext(ctx); err != nil {
		return channel.Sent{}, &channel.Later{Reason: cut("the mail server cannot be reached, or does not let us in: " + err.Error())}
	}
	defer func() { _ = client.Close() }() // the message is there, or not
	if err := client.Send(message); err != nil {
		return channel.Sent{}, judge(err)
	}
	return channel.Sent{Reference: reference}, nil
}

// write makes a mail. Its name follows from the message's id.
func write(account channel.Account, out channel.Outbound) (*mail.Msg, string, error) {
	message := mail.NewMsg()
	if err := message.FromFormat(out.Clinic, account.Address); err != nil {
		return nil, "", err
	}
	if err := message.To(out.To[0]); err != nil {
		return nil, "", err
	}
	subject := account.Settings[settingSubject]
	if subject == "" {
		subject = "Mensagem de " + out.Clinic
	}
	reference := out.ID + account.Address[strings.LastIndexByte(account.Address, '@'):]
	message.Subject(subject)
	message.SetMessageIDWithValue(reference)
	message.SetDate()
	message.SetBodyString(mail.TypeTextPlain, out.Body)
	return message, reference, nil
}

func (p *Post) client(server *url.URL) (*mail.Client, error) {
	dialer := net.Dialer{Timeout: longest, Control: dialling.PublicAlone}
	policy := mail.TLSMandatory
	if p.private {
		dialer.Control, policy = nil, mail.TLSOpportunistic
	}
	options := []mail.Option{mail.WithPort(portOf(server)), mail.WithTimeout(longest), mail.WithTLSPolicy(policy), mail.WithDialContextFunc(dialer.DialContext)}
	if server.Scheme == smtps {
		options = append(options, mail.WithSSL())
	}
	if password, given := server.User.Password(); given {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(server.User.Username()), mail.WithPassword(password))
	}
	return mail.NewClient(server.Hostname(), options...)
}

// judge is what an error of a mail server means for the message: what it said no to was
// not sent, and of what broke off after the text nobody knows.
func judge(err error) error {
	var refused *mail.SendError
	if !errors.As(err, &refused) {
		return err
	}
	reason := cut("the mail server says: " + refused.Error())
	switch code := refused.ErrorCode(); {
	case code >= 500:
		return &channel.Refused{Reason: reason}
	case code >= 400:
		return &channel.Later{Reason: reason}
	case refused.Reason == mail.ErrSMTPDataClose || refused.Reason == mail.ErrWriteContent || refused.Reason == mail.ErrSMTPReset:
		return err
	}
	return &channel.Later{Reason: reason}
}

func cut(text string) string {
	if runes := []rune(text); len(runes) > longestFailure {
		return string(runes[:longestFailure])
	}
	return text
}

// Verify implements channel.Adapter.
func (*Post) Verify(account channel.Account, header func(string) string, body []byte, now time.Time) bool {
	return channel.Signed(account.Settings[settingSecret], header(channel.SignatureHeader), body, now)
}

// Split implements channel.Adapter.
func (*Post) Split(_ channel.Account, body []byte) ([]channel.Event, error) {
	return channel.SplitPosted(body)
}

// Understand implements channel.Adapter.
func (*Post) Understand(_ channel.Account, payload []byte) (*channel.Inbound, *channel.Receipt, error) {
	posted, err := channel.ReadPosted(payload)
	if err != nil {
		return nil, nil, err
	}
	message := mail.NewMsg()
	if err := message.From(posted.From); err != nil {
		return nil, nil, errors.New("from is no address of mail")
	}
	from := message.GetFrom()[0]
	body := posted.Text
	if posted.Subject != "" {
		body = posted.Subject + "\n\n" + body
	}
	name := posted.Name
	if name == "" {
		name = from.Name
	}
	return &channel.Inbound{Reference: posted.ID, From: []string{from.Address}, Name: name, Body: body, SentAt: posted.SentAt}, nil, nil
}
