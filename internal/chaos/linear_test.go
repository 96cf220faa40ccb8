package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/load"
)

// asked is an operation on one contact. With neither it is a read.
type asked struct {
	contact string
	// notes is what is written; based is the version that it must replace, 0 if
	// any.
	notes string
	based int
}

// told is what the API said of it.
type told struct {
	contactShown

	// late is whether the version to be replaced was another by then; unknown
	// whether nothing was said, so that it may have happened or not, or will yet;
	// unsent whether nobody was there to ask.
	late, unknown, unsent bool
}

// register is a contact as K2's model of it: a version and what was written last.
func register() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byContact := map[string][]porcupine.Operation{}
			for _, operation := range history {
				id := operation.Input.(asked).contact
				byContact[id] = append(byContact[id], operation)
			}
			var parts [][]porcupine.Operation
			for _, part := range byContact {
				parts = append(parts, part)
			}
			return parts
		},
		Init: func() any { return contactShown{} },
		Step: func(state, input, output any) (bool, any) {
			was, in, out := state.(contactShown), input.(asked), output.(told)
			if in.notes == "" {
				// The first look tells what there was before.
				return was.Version == 0 || was == out.contactShown, out.contactShown
			}
			if in.based != 0 && in.based != was.Version {
				return out.late || out.unknown, was
			}
			is := contactShown{Version: was.Version + 1, Notes: in.notes}
			return out.unknown || !out.late && out.Version == is.Version, is
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
	}
}

// histories are what clients did, as they saw it.
type histories struct {
	mu  sync.Mutex
	all []porcupine.Operation
	// reads that were answered, and writes that nothing is known of.
	reads, unknown int
}

func (h *histories) add(client int, in asked, out told, from, to time.Time, began time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	operation := porcupine.Operation{
		ClientId: client, Input: in, Output: out, Call: from.Sub(began).Nanoseconds(), Return: to.Sub(began).Nanoseconds(),
	}
	switch {
	case out.unsent, out.unknown && in.notes == "":
		return // a read that was not answered says nothing
	case out.unknown:
		h.unknown++
		operation.Return = math.MaxInt64 // it may happen at any time, or after all else: never
	case in.notes == "":
		h.reads++
	}
	h.all = append(h.all, operation)
}

// enough tells whether so much was read that it says something, on any machine.
func (h *histories) enough() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reads > 200
}

// contend has clients read and write a few contacts at both servers for a while.
func (f *fleet) contend(ctx context.Context, t *testing.T, span time.Duration) *histories {
	t.Helper()
	clinic := f.clinics[0]
	var contacts []string
	for n := range 4 {
		var made struct {
			CreateContact struct{ Contact struct{ ID string } }
		}
		require.NoError(t, call(ctx, f.instances[0].url(), clinic.ID, clinic.Reception,
			`mutation Make($name: String!) { createContact(input: {name: $name}) { contact { id } } }`,
			map[string]any{"name": fmt.Sprint("Linear ", n)}, &made))
		contacts = append(contacts, made.CreateContact.Contact.ID)
	}
	h := &histories{}
	began := time.Now()
	// One look before all else, at which the model begins.
	for _, id := range contacts {
		from := time.Now()
		first, err := ask(ctx, f.instances[0].url(), clinic.ID, clinic.Reception, id)
		require.NoError(t, err)
		h.add(0, asked{contact: id}, told{contactShown: first}, from, time.Now(), began)
	}
	var clients sync.WaitGroup
	for client := range 8 {
		clients.Go(func() {
			dice := rand.New(rand.NewPCG(uint64(client), 2))
			last := map[string]int{}
			for n := 0; (time.Since(began) < span || !h.enough()) && ctx.Err() == nil; n++ {
				in := asked{contact: contacts[dice.IntN(len(contacts))]}
				if dice.IntN(100) < 12 {
					in.notes = fmt.Sprintf("client %d writes %d", client, n)
					if dice.IntN(2) == 0 {
						in.based = last[in.contact]
					}
				}
				from := time.Now()
				out := f.perform(ctx, clinic, f.instances[dice.IntN(2)].url(), in)
				h.add(client, in, out, from, time.Now(), began)
				if !out.unsent && !out.unknown && !out.late {
					last[in.contact] = out.Version
				}
			}
		})
	}
	clients.Wait()
	return h
}

// perform does an operation and tells what came of it.
func (f *fleet) perform(ctx context.Context, clinic load.Clinic, url string, in asked) told {
	// Shorter than the fences of writers who die: a client that waits is no test.
	ctx, done := context.WithTimeout(ctx, 5*time.Second)
	defer done()
	if in.notes == "" {
		shown, err := ask(ctx, url, clinic.ID, clinic.Reception, in.contact)
		return told{contactShown: shown, unknown: err != nil}
	}
	input := map[string]any{"id": in.contact, "notes": in.notes}
	if in.based != 0 {
		input["expectedVersion"] = in.based
	}
	var answer struct {
		UpdateContact struct {
			Contact    *contactShown
			UserErrors []struct{ Code string }
		}
	}
	err := call(ctx, url, clinic.ID, clinic.Reception,
		`mutation Change($input: UpdateContactInput!) { updateContact(input: $input) { contact { version notes } userErrors { code } } }`,
		map[string]any{"input": input}, &answer)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return told{unsent: true}
	case err != nil:
		return told{unknown: true}
	case answer.UpdateContact.Contact == nil:
		return told{late: true}
	default:
		return told{contactShown: *answer.UpdateContact.Contact}
	}
}

// longestProof bounds the search for an order of a history.
const longestProof = time.Minute

// linearizable records histories of reads and writes of single contacts, through
// two servers of which one is killed and while Redis is flushed, and wants an order in which
// each happened at one moment between its question and its answer (promise K2).
func (p *world) linearizable(t *testing.T) {
	f := p.newFleet(t, 1)
	span := 5 * time.Second
	if long, err := time.ParseDuration(chaosSpan()); err == nil {
		span = min(long/4, time.Minute)
	}
	c := &chaos{fleet: f, oracle: load.NewOracle()}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, it := range []trouble{c.redisFlushed(t), c.instanceKilled(t, 1)} {
			c.pause(t, span/5)
			it.do()
		}
	}()
	h := f.contend(t.Context(), t, span)
	<-ended
	assert.Equal(t, porcupine.Ok, h.judge(t))
	assert.Greater(t, h.reads, 200)

	// The same history is refused once a single read is older than it may be.
	planted := plantStale(h.all)
	require.NotNil(t, planted, "somebody read what somebody had written")
	assert.Equal(t, porcupine.Illegal, porcupine.CheckOperationsTimeout(register(), planted, longestProof), "one stale read")
}

// judge tells whether an order of the operations explains what all were told.
func (h *histories) judge(t *testing.T) porcupine.CheckResult {
	t.Helper()
	result := porcupine.CheckOperationsTimeout(register(), h.all, longestProof)
	t.Logf("%d operations, %d of them reads and %d writes of unknown outcome: %s", len(h.all), h.reads, h.unknown, result)
	return result
}

// plantStale gives a history in which the last read of a contact that was written
// to shows what the first did; nil if there is none.
func plantStale(history []porcupine.Operation) []porcupine.Operation {
	first := map[string]contactShown{}
	for _, operation := range history {
		if in := operation.Input.(asked); in.notes == "" && first[in.contact] == (contactShown{}) {
			first[in.contact] = operation.Output.(told).contactShown
		}
	}
	for n := len(history) - 1; n >= 0; n-- {
		in, out := history[n].Input.(asked), history[n].Output.(told)
		if in.notes == "" && out.Version > first[in.contact].Version && strings.HasPrefix(out.Notes, "client ") {
			planted := append([]porcupine.Operation(nil), history...)
			planted[n].Output = told{contactShown: first[in.contact]}
			return planted
		}
	}
	return nil
}
