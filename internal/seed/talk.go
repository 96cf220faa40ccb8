package seed

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

type conversation struct {
	id       pgtype.UUID
	contact  int
	channel  string
	status   string
	assignee int
	account  int
	// received and read count the contact's messages, and until is the last of those read.
	received, read int
	until          time.Time
	version        int
	created        time.Time
	updated        time.Time
}

type message struct {
	id           pgtype.UUID
	conversation int
	inbound      bool
	body         string
	status       string
	author       string
	created      time.Time
}

// identity is an address by which a contact is known in a channel.
type identity struct {
	id       pgtype.UUID
	contact  int
	channel  string
	value    string
	verified time.Time
}

type account struct {
	id                     pgtype.UUID
	channel, name, address string
}

// makeAccounts makes channel accounts that are switched off: their settings are sealed
// with no server's secret, so that nobody is ever written to by them.
func (c *clinic) makeAccounts() {
	s := c.source("channel accounts")
	add := func(channel, name, address string) {
		c.accounts = append(c.accounts, account{s.id(c.created), channel, name, address})
	}
	add("whatsapp", "Recepção", "+551140000000")
	add("email", "Recepção", "recepcao@"+c.slug+".example")
	add("web", "Página", "https://"+c.slug+".example")
	add("whatsapp", "Financeiro", "+551140000001")
	add("email", "Financeiro", "financeiro@"+c.slug+".example")
}

// accountFor is the place of a channel's first account; none where there is none.
func (c *clinic) accountFor(channel string) int {
	for i := range c.accounts {
		if c.accounts[i].channel == channel {
			return i
		}
	}
	return none
}

// makeConversations gives two contacts in five a conversation, and some of them another
// one in another channel.
func (c *clinic) makeConversations() {
	s := c.source("conversations")
	for i := range c.contacts {
		if !s.chance(40) {
			continue
		}
		channel := pick(s, []string{"whatsapp", "whatsapp", "whatsapp", "whatsapp", "web", "sms", "email"})
		c.makeConversation(s, i, channel)
		if channel != "email" && s.chance(10) {
			c.makeConversation(s, i, "email")
		}
	}
}

func (c *clinic) makeConversation(s source, contact int, channel string) {
	author := Subject(c.slug, "receptionist")
	at := s.moment(c.contacts[contact].created, c.midnight)
	talk := conversation{id: s.id(at), contact: contact, channel: channel, created: at, updated: at, assignee: none, account: c.accountFor(channel), version: 1}
	if s.chance(30) {
		talk.assignee = s.IntN(len(c.members))
	}
	c.makeKnown(s, &talk)
	topic := 0
	for n := range s.between(2, 18) {
		inbound := n%2 == 0 != s.chance(15)
		m := message{id: s.id(at), conversation: len(c.conversations), inbound: inbound, created: at}
		if inbound {
			talk.received++
			topic = s.IntN(len(c.lists.practice.Inbound))
			m.body, m.status = c.lists.practice.Inbound[topic], "entregue"
		} else {
			talk.read, talk.until = talk.received, at
			m.body, m.author = c.lists.practice.Outbound[topic], author
			m.status = pick(s, []string{"lida", "lida", "lida", "entregue", "enviada", "falhou"})
		}
		c.messages = append(c.messages, m)
		talk.updated = at
		talk.version++
		at = at.Add(time.Duration(s.between(40, 5400)) * time.Second)
		if !at.Before(c.midnight) {
			break
		}
	}
	switch {
	case talk.updated.Before(c.midnight.AddDate(0, 0, -20)):
		talk.status, talk.read, talk.until = "fechada", talk.received, talk.updated
	case talk.read == talk.received:
		talk.status = "pendente"
	default:
		talk.status = "aberta"
	}
	c.conversations = append(c.conversations, talk)
}

// makeKnown gives a contact an address in the channel of a conversation: the one that
// they gave the clinic, unless it is known as somebody else's, or a name that a provider
// might give them.
func (c *clinic) makeKnown(s source, talk *conversation) {
	who := &c.contacts[talk.contact]
	value := ""
	switch {
	case talk.channel == "email" && who.hasEmail:
		value = who.person.email
	case talk.channel != "email" && talk.channel != "web":
		value = who.phone
	}
	if value == "" || c.known[talk.channel+value] {
		value = fmt.Sprintf("BR.%016x", s.Uint64())
		if talk.channel == "email" {
			value += "@mail.example"
		}
	}
	c.known[talk.channel+value] = true
	c.identities = append(c.identities, identity{id: s.id(talk.created), contact: talk.contact, channel: talk.channel, value: value, verified: talk.created})
}
