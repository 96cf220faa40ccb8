package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// longestAnswer bounds what is read of an answer.
const longestAnswer = 8 << 20

// site is a clinic and what is known of it.
type site struct {
	Clinic
	// practitioners are those who offer anything, and services what each offers.
	practitioners []string
	services      map[string][]string
	// days are the days that the load is about, from the first that has patients.
	days []time.Time
	// soon are the patients of the first two days, in their order, and others the
	// first of the clinic's contacts by name.
	soon, others []person
	// found are the appointments that lie on those days.
	found []string
	// talking are conversations of the clinic's page that go on.
	talking []string
	// subscriptions are the calendars that clients keep in step.
	subscriptions []*subscription
}

type person struct{ ID, Name string }

// desk is where a session sits, and so what its work is.
type desk int

const (
	reception desk = iota
	practice
)

// session is one who is signed in.
type session struct {
	site  *site
	desk  desk
	token string
	// own is the session's own practitioner, whose diary and patients it looks at.
	own int
	// read and wrote are the highest versions that it was shown and that it wrote.
	read, wrote map[string]int
	// synced is the token of the session's last look at what changed.
	synced string
}

func newSession(s *site, kind desk, n int) *session {
	made := &session{site: s, desk: kind, token: s.Reception, own: n, read: map[string]int{}, wrote: map[string]int{}}
	if kind == practice {
		made.token = s.Practitioner
	}
	return made
}

// turn is one request of a scenario, due at a moment.
type turn struct {
	due

	world   *world
	session *session
	// apart is set for what no cache keeps.
	apart bool
}

func (t *turn) site() *site           { return t.session.site }
func (t *turn) chance(p float64) bool { return t.dice.Float64()*100 < p }

// reply is an answer and what came with it.
type reply struct {
	asked, answered time.Time
	data            json.RawMessage
	// cache is what the answer says of the cache.
	cache string
}

// entity is what every query of the mix selects of what it can check.
type entity struct {
	ID      string
	Version int
}

// send makes the request and times it from when it was due. Its failure is part
// of what is reported, with what it was about.
func (t *turn) send(ctx context.Context, query string, variables map[string]any) (*reply, outcome) {
	o := outcome{scenario: t.scenario.name, operation: nameOf(query), read: strings.HasPrefix(query, "query"), apart: t.apart}
	asked := time.Now()
	answer, err := t.world.post(ctx, t.site().ID, t.session.token, t.dice.IntN(len(t.world.options.URLs)), query, variables)
	answered := time.Now()
	o.took, o.excused = answered.Sub(t.at), t.world.oracle.Excuses(asked, answered)
	if err != nil {
		o.failure = err.Error()
		return nil, o
	}
	answer.asked, answer.answered = asked, answered
	o.cache = answer.cache
	return answer, o
}

// nameOf is an operation's name, as it stands behind its type.
func nameOf(query string) string {
	_, rest, _ := strings.Cut(query, " ")
	name, _, _ := strings.Cut(rest, "(")
	name, _, _ = strings.Cut(name, " ")
	return name
}

func (w *world) post(ctx context.Context, clinic, token string, server int, query string, variables map[string]any) (*reply, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.options.URLs[server]+"/graphql", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("X-Clinic-Id", clinic)
	response, err := w.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data   json.RawMessage
		Errors []struct {
			Message    string
			Extensions struct{ Code string }
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("status %d: %w", response.StatusCode, err)
	}
	if len(answer.Errors) > 0 {
		return nil, fmt.Errorf("%s: %s", answer.Errors[0].Extensions.Code, answer.Errors[0].Message)
	}
	return &reply{data: answer.Data, cache: response.Header.Get("Cache-Status")}, nil
}

// read asks, reads the answer into shown, and checks the entities that it shows
// and what else look finds.
func (t *turn) read(ctx context.Context, query string, variables map[string]any, shown any, look func(c *check)) {
	answer, o := t.send(ctx, query, variables)
	if answer != nil {
		if err := json.Unmarshal(answer.data, shown); err != nil {
			o.failure = err.Error()
		} else if look != nil {
			look(&check{turn: t, reply: answer, outcome: &o})
		}
	}
	t.report(o)
}

// check compares what an answer shows with what the oracle knows.
type check struct {
	turn    *turn
	reply   *reply
	outcome *outcome
}

func (c *check) entities(all ...entity) {
	for _, shown := range all {
		if shown.ID == "" {
			continue
		}
		c.outcome.checked++
		c.found(c.turn.world.oracle.seen(c.turn.session, shown.ID, shown.Version, c.reply.asked, c.reply.answered))
	}
}

// found keeps the worst of an answer's faults, and its words with what the
// cache said.
func (c *check) found(what fault, words string) {
	if what == none || c.outcome.fault != none && c.outcome.fault < what {
		return
	}
	c.outcome.fault = what
	c.outcome.words = fmt.Sprintf("%s (%s; %s)", words, c.outcome.operation, c.reply.cache)
}

// report takes down what the request came to.
func (t *turn) report(o outcome) { t.world.report.add(o) }

// write sends a mutation and takes down what was acknowledged: "" where it was
// refused or failed.
func (t *turn) write(ctx context.Context, query string, input map[string]any, field, path string) (acknowledged string) {
	answer, o := t.send(ctx, query, map[string]any{"input": input})
	if answer != nil {
		written, err := writtenIn(answer.data, field, path)
		switch {
		case err != nil:
			o.failure = err.Error()
		case written == nil:
			o.refused = true
		default:
			t.world.oracle.wrote(t.session, written.ID, written.Version)
			acknowledged = written.ID
		}
	}
	t.report(o)
	return acknowledged
}

// writtenIn is the entity in a mutation's payload, by its path there; nil where it was
// refused.
func writtenIn(data json.RawMessage, field, path string) (*entity, error) {
	for _, name := range append([]string{field}, strings.Split(path, ".")...) {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(data, &fields); err != nil {
			return nil, err
		}
		if fields == nil {
			return nil, nil
		}
		data = fields[name]
	}
	var written *entity
	err := json.Unmarshal(data, &written)
	return written, err
}

// pick takes one of a list, the first ones more often than the last: the first
// tenth of them six times out of ten.
func pick[T any](dice *rand.Rand, all []T) T {
	const busy = 3
	place := float64(len(all))
	for range busy {
		place *= dice.Float64()
	}
	return all[int(place)]
}
