package coherence

import (
	"context"
	"crypto/sha256"
	_ "embed" // for the scripts
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/taskmed/taskmed/internal/touched"
)

//go:embed whole.lua
var wholeScript string

//go:embed raise.lua
var raiseScript string

//go:embed store.lua
var storeScript string

//go:embed open.lua
var openScript string

//go:embed epoch.lua
var epochScript string

// Shared is the journal of one database in one run of one Redis server. All
// keys of a clinic share a hash tag. Only values may run out; the rest has no time
// to live, and goes with the server's run. Whatever of it Redis loses all the same
// counts as changed (whole.lua).
type Shared struct {
	link *Link
	// prefix begins every key: it names the run of Redis and the database.
	prefix  string
	request time.Duration
	asking  heads
	// database is the one whose answers are kept, and mask what names it in keys.
	database string
	mask     Key
	// base is the prefix of everybody's keys, and name the database's in keys.
	base, name string
	seams      Seams

	raises, stores, opens, epochs *redis.Script
}

// Version is part of every key: a program whose keys mean something else
// has another. It is part of the place that instances agree on, too, so that
// during a deploy no two use journals that do not hear of each other.
const Version = "2"

// partial takes the place of whole.lua's whole where a test must notice.
const partial = "\nwhole = function(state) return redis.call('HEXISTS', state, 'seq') == 1 end\n"

// NewShared makes the journal of a database in the run that the link leads to. Its
// keys begin with the prefix; request is how long a reader may take.
func NewShared(l *Link, prefix, database string, request time.Duration, seams Seams) *Shared {
	shared := wholeScript
	if seams.WithoutWhole {
		shared += partial
	}
	sum := sha256.Sum256([]byte("taskmed database " + database))
	name := hex.EncodeToString(sum[:8])
	if seams.WithoutApart {
		sum, name = Key{}, "all"
	}
	return &Shared{
		link: l, base: prefix, name: name, mask: sum, request: request,
		prefix:   prefix + ":" + Version + ":" + l.RunID() + ":" + name + ":",
		database: database, seams: seams,
		raises: redis.NewScript(shared + raiseScript), stores: redis.NewScript(shared + storeScript),
		opens: redis.NewScript(shared + openScript), epochs: redis.NewScript(epochScript),
	}
}

// Head implements Journal.
func (l *Shared) Head(ctx context.Context, clinic uuid.UUID) (uint64, error) {
	seq, _, err := l.asking.ask(ctx, l, clinic, clinic)
	return seq, err
}

// Heads is Head of two clinics with one question.
func (l *Shared) Heads(ctx context.Context, one, two uuid.UUID) (first, second uint64, err error) {
	return l.asking.ask(ctx, l, one, two)
}

// Begin implements Journal.
func (l *Shared) Begin(ctx context.Context, clinic uuid.UUID, epoch uint64, key Key) (Begun, []byte, error) {
	var state *redis.SliceCmd
	var clock *redis.TimeCmd
	var value *redis.StringCmd
	err := l.link.Do(ctx, func(ctx context.Context) error {
		_, err := l.link.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			// In this order: the step first, so that the value is checked from it on.
			state = pipe.HMGet(ctx, l.stateKey(clinic), "seq", "born", "open")
			clock = pipe.Time(ctx)
			// No more than is needed to see that it is too long, whatever is there.
			value = pipe.GetRange(ctx, l.ValueKey(clinic, epoch, key), 0, MaxValue)
			return nil
		})
		return err
	})
	if state == nil || state.Err() != nil || clock.Err() != nil {
		return Begun{}, nil, err // the value alone may be missing, or of another type
	}
	b, err := readState(state.Val())
	if err != nil {
		return Begun{}, nil, err
	}
	b.latest = clock.Val().Add(l.request).UnixMicro()
	if b.Seq == 0 {
		b.Seq, b.born, err = l.know(ctx, clinic)
		return b, nil, err
	}
	bytes, err := value.Bytes()
	if err != nil || len(bytes) == 0 {
		if redis.HasErrorPrefix(err, "WRONGTYPE") {
			return b, []byte{}, nil // told as one that is damaged
		}
		// No value, or none that can be had.
		return b, nil, nil
	}
	return b, bytes, nil
}

// know makes the journal know a clinic. Readers who begin now must not store yet.
func (l *Shared) know(ctx context.Context, clinic uuid.UUID) (seq, born uint64, err error) {
	var state []any
	err = l.link.Do(ctx, func(ctx context.Context) (err error) {
		state, err = l.opens.Run(ctx, l.link.client, l.keys(clinic), "").Slice()
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	b, err := readState(state)
	return b.Seq, b.born, err
}

func readState(state []any) (Begun, error) {
	var numbers [3]uint64
	for i, value := range state {
		text, ok := value.(string)
		if !ok {
			continue
		}
		var err error
		if numbers[i], err = strconv.ParseUint(text, 10, 64); err != nil {
			return Begun{}, fmt.Errorf("read the state of a clinic: %w", err)
		}
	}
	return Begun{Seq: numbers[0], born: numbers[1], open: numbers[2] != 0 && numbers[0] >= numbers[2]}, nil
}

func (l *Shared) changes(ctx context.Context, clinic uuid.UUID, after uint64) ([]change, error) {
	var messages []redis.XMessage
	err := l.link.Do(ctx, func(ctx context.Context) (err error) {
		messages, err = l.link.client.XRange(ctx, l.key(clinic, "steps"), strconv.FormatUint(after+1, 10)+"-0", "+").Result()
		return err
	})
	if err != nil {
		return nil, err
	}
	steps := make([]change, 0, len(messages))
	for i, message := range messages {
		step, err := readStep(message)
		if err != nil || step.seq != after+1+uint64(i) {
			return nil, errGap
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func readStep(message redis.XMessage) (change, error) {
	id, _, _ := strings.Cut(message.ID, "-")
	seq, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return change{}, fmt.Errorf("read a step: %w", err)
	}
	step := change{seq: seq}
	if tags, ok := message.Values["t"].(string); ok {
		for tag := range strings.SplitSeq(tags, "\n") {
			step.tags = append(step.tags, touched.Tag(tag))
		}
	}
	if at, ok := message.Values["a"].(string); ok {
		if micros, err := strconv.ParseInt(at, 10, 64); err == nil {
			step.at = time.UnixMicro(micros)
		}
	}
	step.by, _ = message.Values["b"].(string)
	return step, nil
}

// wholeMark is the field of last that tells that it is whole (whole.lua).
const wholeMark = "="

// Confirm implements Journal.
func (l *Shared) Confirm(ctx context.Context, clinic uuid.UUID, since uint64, tags []touched.Tag) (uint64, string, error) {
	fields := append(make([]string, 0, len(tags)+2), wholeMark, string(touched.Everything))
	for _, tag := range tags {
		fields = append(fields, string(tag))
	}
	var state, last *redis.SliceCmd
	var floor *redis.StringCmd
	err := l.link.Do(ctx, func(ctx context.Context) error {
		_, err := l.link.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			// In this order: through the step nothing changed that stands in last,
			// and if last was emptied meanwhile the floor tells.
			state = pipe.HMGet(ctx, l.stateKey(clinic), "seq", "born")
			last = pipe.HMGet(ctx, l.key(clinic, "last"), fields...)
			floor = pipe.HGet(ctx, l.stateKey(clinic), "floor")
			return nil
		})
		return err
	})
	if errors.Is(err, redis.Nil) {
		return 0, fallenEarlier, nil
	}
	if err != nil {
		return 0, "", err
	}
	b, err := readState(state.Val())
	if err != nil {
		return 0, "", err
	}
	lowest, err := floor.Uint64()
	if err != nil {
		return 0, "", fmt.Errorf("read the floor of a clinic: %w", err)
	}
	if last.Val()[0] != state.Val()[1] && !l.seams.WithoutWhole {
		return 0, fallenEarlier, nil // what last knew is lost
	}
	for i, value := range last.Val()[1:] {
		text, ok := value.(string)
		if !ok {
			continue
		}
		changed, err := strconv.ParseUint(text, 10, 64)
		if err != nil || changed > since {
			return 0, fields[i+1], nil //nolint:nilerr // what cannot be read counts as changed
		}
	}
	if b.Seq == 0 || since < lowest {
		return 0, fallenEarlier, nil
	}
	return b.Seq, "", nil
}

// Store implements Journal.
func (l *Shared) Store(ctx context.Context, s Storing) (Verdict, error) {
	keys := []string{l.stateKey(s.Clinic), l.key(s.Clinic, "last"), l.key(s.Clinic, "fences"), l.ValueKey(s.Clinic, s.Epoch, s.Key)}
	args := append(make([]any, 0, 4+len(s.Tags)), s.Begun.Seq, s.Begun.latest, s.Life.Milliseconds(), s.Value)
	for _, tag := range s.Tags {
		args = append(args, string(tag))
	}
	var answer []string
	err := l.link.Do(ctx, func(ctx context.Context) (err error) {
		answer, err = l.stores.Run(ctx, l.link.client, keys, args...).StringSlice()
		return err
	})
	if err != nil {
		return Verdict{}, err
	}
	if len(answer) != 2 {
		return Verdict{}, fmt.Errorf("redis answered %d words to a store", len(answer))
	}
	return Verdict{Refusal: Refusal(answer[0]), Tag: touched.Tag(answer[1])}, nil
}

// Raise implements Journal.
func (l *Shared) Raise(ctx context.Context, clinic uuid.UUID, w Write) error {
	args := append(make([]any, 0, 6+len(w.Tags)), w.fence, w.standing.Microseconds(), w.lowers, w.By, keptSteps, keptTags)
	for _, tag := range w.Tags {
		args = append(args, string(tag))
	}
	return l.link.Do(ctx, func(ctx context.Context) error {
		return l.raises.Run(ctx, l.link.client, l.keys(clinic), args...).Err()
	})
}

func (l *Shared) lower(ctx context.Context, clinic uuid.UUID, fence string) error {
	return l.link.Do(ctx, func(ctx context.Context) error {
		return l.link.client.HDel(ctx, l.key(clinic, "fences"), fence).Err()
	})
}

func (l *Shared) open(ctx context.Context, clinic uuid.UUID, born uint64) error {
	return l.link.Do(ctx, func(ctx context.Context) error {
		return l.opens.Run(ctx, l.link.client, l.keys(clinic), born).Err()
	})
}

// Do asks this journal's Redis something else.
func (l *Shared) Do(ctx context.Context, ask func(ctx context.Context, client *redis.Client) error) error {
	return l.link.Do(ctx, func(ctx context.Context) error { return ask(ctx, l.link.client) })
}
