package seed

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

type conversation struct {
	id       pgtype.UUID
	contact  int
	channel  string
	status   string
	assignee int
	unread   int
	version  int
	created  time.Time
	updated  time.Time
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

// makeConversations gives two contacts in five a conversation.
func (c *clinic) makeConversations() {
	s := c.source("conversations")
	author := Subject(c.slug, "receptionist")
	for i := range c.contacts {
		if !s.chance(40) {
			continue
		}
		who := &c.contacts[i]
		at := s.moment(who.created, c.midnight)
		talk := conversation{
			id: s.id(at), contact: i, created: at, updated: at, assignee: none, version: 1,
			channel: pick(s, []string{"whatsapp", "whatsapp", "whatsapp", "whatsapp", "web", "sms", "email"}),
		}
		if len(c.practitioners) > 0 && s.chance(30) {
			talk.assignee = s.IntN(len(c.practitioners))
		}
		topic := 0
		for n := range s.between(2, 18) {
			inbound := n%2 == 0 != s.chance(15)
			m := message{id: s.id(at), conversation: len(c.conversations), inbound: inbound, created: at}
			if inbound {
				talk.unread++
				topic = s.IntN(len(c.lists.practice.Inbound))
				m.body, m.status = c.lists.practice.Inbound[topic], "entregue"
			} else {
				talk.unread = 0
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
			talk.status, talk.unread = "fechada", 0
		case talk.unread == 0:
			talk.status = "pendente"
		default:
			talk.status = "aberta"
		}
		c.conversations = append(c.conversations, talk)
	}
}
