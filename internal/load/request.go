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
	contacts      []string
	practitioners []string
	services      []string
	// today is when the load began.
	today time.Time
}

// turn is one request of a scenario, due at a moment.
type turn struct {
	world    *world
	site     *site
	dice     *rand.Rand
	at       time.Time
	scenario string
}

// reply is an answer and what came with it.
type reply struct {
	asked time.Time
	data  json.RawMessage
	hit   bool
}

// entity is what every query of the mix selects of what it can check.
type entity struct {
	ID      string
	Version int
}

// send makes the request and times it from when it was due. Its failure is part
// of what is reported, with what it was about.
func (t *turn) send(ctx context.Context, query string, variables map[string]any) (*reply, outcome) {
	o := outcome{scenario: t.scenario}
	asked := time.Now()
	answer, err := t.world.post(ctx, t.site.Clinic, t.dice.IntN(len(t.world.options.URLs)), query, variables)
	o.took = time.Since(t.at)
	if err != nil {
		o.failure = err.Error()
		return nil, o
	}
	answer.asked = asked
	o.read = strings.HasPrefix(query, "query")
	o.hit = o.read && answer.hit
	return answer, o
}

func (w *world) post(ctx context.Context, clinic Clinic, server int, query string, variables map[string]any) (*reply, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.options.URLs[server]+"/graphql", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+clinic.Token)
	request.Header.Set("X-Clinic-Id", clinic.ID)
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
	return &reply{data: answer.Data, hit: strings.HasPrefix(response.Header.Get("Cache-Status"), "taskmed; hit")}, nil
}

// check compares what an answer shows with what was acknowledged before it was
// asked for.
func (t *turn) check(o *outcome, asked time.Time, entities ...entity) {
	for _, shown := range entities {
		if shown.ID == "" {
			continue
		}
		stale, foreign := t.world.oracle.seen(t.site.ID, shown.ID, shown.Version, asked)
		o.checked++
		o.stale = o.stale || stale
		if foreign {
			o.foreign++
		}
	}
}

// report takes down what the request came to.
func (t *turn) report(o outcome) { t.world.report.add(o) }

// pick takes one of a list, the first ones more often than the last, as a
// clinic's day does.
func pick(dice *rand.Rand, all []string) string {
	const busy = 3
	place := float64(len(all))
	for range busy {
		place *= dice.Float64()
	}
	return all[int(place)]
}
