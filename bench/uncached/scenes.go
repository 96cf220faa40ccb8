package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/models"
)

// scene is one kind of request and the requests that were drawn for it, the
// same for everybody who is asked.
type scene struct {
	name, query string
	// path is the handler's written by hand; "" if it has none.
	path     string
	requests []request
}

// request is one question, as TaskMed and as the handler written by hand takes it.
type request struct {
	clinic *clinic
	body   string
	path   string
}

// clinic is one of those that are drawn from.
type clinic struct {
	id     uuid.UUID
	global string
	tokens map[models.Role]string
	// days have between 1 and 50 appointments, a page.
	days     []time.Time
	contacts []uuid.UUID
	// pages are the cursors that pages of the contact list begin after; the first
	// page's is "".
	pages []string
}

const mutation = `mutation UpdateContact($input: UpdateContactInput!) {
  updateContact(input: $input) {
    contact {
      id name phone notes version updatedAt
      appointments(first: 5) { nodes { id startsAt status practitioner { id name } service { id name } } }
      nextAppointment { id startsAt practitioner { name } }
    }
    userErrors { code message field }
  }
}`

// scenes draws every request.
func (d *database) scenes(ctx context.Context, o options, sign *identity) ([]*scene, error) {
	clinics, err := d.clinics(ctx, sign)
	if err != nil {
		return nil, err
	}
	dice := rand.New(rand.NewPCG(o.seed, 2))
	scenes := []*scene{
		{name: "day_view", path: "/day"},
		{name: "contact_page", path: "/contact"},
		{name: "contact_list", path: "/contacts"},
		{name: "updateContact", query: mutation},
	}
	for _, s := range scenes {
		if s.query == "" {
			if s.query, err = document(s.name); err != nil {
				return nil, err
			}
		}
		for range o.requests {
			c := clinics[dice.IntN(len(clinics))]
			drawn, err := s.draw(dice, c)
			if err != nil {
				return nil, err
			}
			s.requests = append(s.requests, drawn)
		}
	}
	return scenes, nil
}

func (s *scene) draw(dice *rand.Rand, c *clinic) (request, error) {
	values := url.Values{"clinic": {c.global}}
	var variables any
	contact := models.KindContact.Global(c.contacts[dice.IntN(len(c.contacts))])
	switch s.name {
	case "day_view":
		day := c.days[dice.IntN(len(c.days))]
		from, to := day.Format(time.RFC3339), day.AddDate(0, 0, 1).Format(time.RFC3339)
		values.Set("from", from)
		values.Set("to", to)
		variables = map[string]any{"range": map[string]string{"from": from, "to": to}}
	case "contact_page":
		values.Set("id", contact)
		variables = map[string]string{"id": contact}
	case "contact_list":
		after := map[string]string{}
		if cursor := c.pages[dice.IntN(len(c.pages))]; cursor != "" {
			values.Set("after", cursor)
			after["after"] = cursor
		}
		variables = after
	default:
		variables = map[string]any{"input": map[string]string{"id": contact, "notes": fmt.Sprintf("asked for a call back, %d", dice.Uint32())}}
	}
	body, err := json.Marshal(map[string]any{"query": s.query, "variables": variables})
	return request{c, string(body), s.path + "?" + values.Encode()}, err
}

func (d *database) clinics(ctx context.Context, sign *identity) ([]*clinic, error) {
	rows, err := d.conn.Query(ctx, "SELECT id FROM clinics ORDER BY id")
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, err
	}
	clinics := make([]*clinic, len(ids))
	for i, id := range ids {
		c := &clinic{id: id, global: models.KindClinic.Global(id), tokens: map[models.Role]string{}}
		clinics[i] = c
		for _, role := range []models.Role{models.RoleOwner, models.RolePractitioner} {
			var subject string
			// The developer belongs to all clinics.
			if err := d.conn.QueryRow(ctx, `SELECT subject FROM memberships WHERE clinic_id = $1 AND role = $2
				AND subject IN (SELECT subject FROM memberships GROUP BY 1 HAVING count(*) = 1) LIMIT 1`, id, role).Scan(&subject); err != nil {
				return nil, fmt.Errorf("find the member who is %s: %w", role, err)
			}
			if c.tokens[role], err = sign.token(subject); err != nil {
				return nil, err
			}
		}
		if rows, err = d.conn.Query(ctx, `SELECT scheduled_date::timestamp AT TIME ZONE (SELECT time_zone FROM clinics WHERE id = $1)
			FROM appointments WHERE clinic_id = $1 GROUP BY scheduled_date HAVING count(*) BETWEEN 1 AND 50 ORDER BY 1`, id); err != nil {
			return nil, err
		}
		if c.days, err = pgx.CollectRows(rows, pgx.RowTo[time.Time]); err != nil {
			return nil, err
		}
		if rows, err = d.conn.Query(ctx, "SELECT id FROM contacts WHERE clinic_id = $1 ORDER BY id", id); err != nil {
			return nil, err
		}
		if c.contacts, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID]); err != nil {
			return nil, err
		}
		if c.pages, err = d.pages(ctx, id); err != nil {
			return nil, err
		}
		if len(c.days) == 0 || len(c.contacts) == 0 {
			return nil, fmt.Errorf("clinic %s has no day of at most 50 appointments, or no contact", id)
		}
	}
	return clinics, nil
}
