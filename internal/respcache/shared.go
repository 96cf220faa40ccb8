package respcache

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

// sharedLedger is the ledger of one database in one run of one Redis server. All
// keys of a clinic share a hash tag. Only values may run out; the rest has no time
// to live, and goes with the server's run. Whatever of it Redis loses all the same
// counts as changed (whole.lua).
type sharedLedger struct {
	link *link
	// prefix begins every key: it names the run of Redis and the database.
	prefix  string
	request time.Duration
	asking  heads
	// database is the one whose answers are kept, and mask what names it in keys.
	database string
	mask     Key
	// base is the prefix of everybody's keys, and name the database's in keys.
	base, name string
	without    protections

	raises, stores, opens, epochs *redis.Script
}

// ledgerVersion is part of every key: a program whose keys mean something else
// has another. It is part of the place that instances agree on, too, so that
// during a deploy no two use ledgers that do not hear of each other.
const ledgerVersion = "2"

// partial takes the place of whole.lua's whole where a test must notice.
const partial = "\nwhole = function(state) return redis.call('HEXISTS', state, 'seq') == 1 end\n"

func newSharedLedger(l *link, prefix, database string, request time.Duration, without protections) *sharedLedger {
	shared := wholeScript
	if without.whole {
		shared += partial
	}
	sum := sha256.Sum256([]byte("taskmed database " + database))
	name := hex.EncodeToString(sum[:8])
	if without.apart {
		sum, name = Key{}, "all"
	}
	return &sharedLedger{
		link: l, base: prefix, name: name, mask: sum, request: request,
		prefix:   prefix + ":" + ledgerVersion + ":" + l.runID() + ":" + name + ":",
		database: database, without: without,
		raises: redis.NewScript(shared + raiseScript), stores: redis.NewScript(shared + storeScript),
		opens: redis.NewScript(shared + openScript), epochs: redis.NewScript(epochScript),
	}
}

// named is a key together with the database, so that a value that is found at
// another database's place is known for what it is. Named again it is the key.
func (l *sharedLedger) named(key Key) Key {
	for i, b := range l.mask {
		key[i] ^= b
	}
	return key
}

func (l *sharedLedger) key(clinic uuid.UUID, name string) string {
	return l.prefix + "{" + clinic.String() + "}:" + name
}

func (l *sharedLedger) stateKey(clinic uuid.UUID) string { return l.key(clinic, "state") }

func (l *sharedLedger) valueKey(clinic uuid.UUID, epoch uint64, key Key) string {
	return l.key(clinic, "value:"+strconv.FormatUint(epoch, 10)+":"+l.named(key).String())
}

func (l *sharedLedger) head(ctx context.Context, clinic uuid.UUID) (uint64, error) {
	seq, _, err := l.asking.ask(ctx, l, clinic, clinic)
	return seq, err
}

// heads is head of two clinics with one question.
func (l *sharedLedger) heads(ctx context.Context, one, two uuid.UUID) (first, second uint64, err error) {
	return l.asking.ask(ctx, l, one, two)
}

func (l *sharedLedger) begin(ctx context.Context, clinic uuid.UUID, epoch uint64, key Key) (begun, []byte, error) {
	var state *redis.SliceCmd
	var clock *redis.TimeCmd
	var value *redis.StringCmd
	err := l.link.do(ctx, func(ctx context.Context) error {
		_, err := l.link.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			// In this order: the step first, so that the value is checked from it on.
			state = pipe.HMGet(ctx, l.stateKey(clinic), "seq", "born", "open")
			clock = pipe.Time(ctx)
			// No more than is needed to see that it is too long, whatever is there.
			value = pipe.GetRange(ctx, l.valueKey(clinic, epoch, key), 0, MaxValue)
			return nil
		})
		return err
	})
	if state == nil || state.Err() != nil || clock.Err() != nil {
		return begun{}, nil, err // the value alone may be missing, or of another type
	}
	b, err := readState(state.Val())
	if err != nil {
		return begun{}, nil, err
	}
	b.latest = clock.Val().Add(l.request).UnixMicro()
	if b.seq == 0 {
		b.seq, b.born, err = l.know(ctx, clinic)
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

// know makes the ledger know a clinic. Readers who begin now must not store yet.
func (l *sharedLedger) know(ctx context.Context, clinic uuid.UUID) (seq, born uint64, err error) {
	var state []any
	err = l.link.do(ctx, func(ctx context.Context) (err error) {
		state, err = l.opens.Run(ctx, l.link.client, l.keys(clinic), "").Slice()
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	b, err := readState(state)
	return b.seq, b.born, err
}

func readState(state []any) (begun, error) {
	var numbers [3]uint64
	for i, value := range state {
		text, ok := value.(string)
		if !ok {
			continue
		}
		var err error
		if numbers[i], err = strconv.ParseUint(text, 10, 64); err != nil {
			return begun{}, fmt.Errorf("read the state of a clinic: %w", err)
		}
	}
	return begun{seq: numbers[0], born: numbers[1], open: numbers[2] != 0 && numbers[0] >= numbers[2]}, nil
}

func (l *sharedLedger) keys(clinic uuid.UUID) []string {
	return []string{l.stateKey(clinic), l.key(clinic, "steps"), l.key(clinic, "last"), l.key(clinic, "fences")}
}

func (l *sharedLedger) changes(ctx context.Context, clinic uuid.UUID, after uint64) ([]change, error) {
	var messages []redis.XMessage
	err := l.link.do(ctx, func(ctx context.Context) (err error) {
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

func (l *sharedLedger) confirm(ctx context.Context, clinic uuid.UUID, since uint64, tags []touched.Tag) (uint64, string, error) {
	fields := append(make([]string, 0, len(tags)+2), wholeMark, string(touched.Everything))
	for _, tag := range tags {
		fields = append(fields, string(tag))
	}
	var state, last *redis.SliceCmd
	var floor *redis.StringCmd
	err := l.link.do(ctx, func(ctx context.Context) error {
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
	if last.Val()[0] != state.Val()[1] && !l.without.whole {
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
	if b.seq == 0 || since < lowest {
		return 0, fallenEarlier, nil
	}
	return b.seq, "", nil
}

func (l *sharedLedger) store(ctx context.Context, s storing) (verdict, error) {
	keys := []string{l.stateKey(s.clinic), l.key(s.clinic, "last"), l.key(s.clinic, "fences"), l.valueKey(s.clinic, s.epoch, s.key)}
	args := append(make([]any, 0, 4+len(s.tags)), s.begun.seq, s.begun.latest, s.life.Milliseconds(), s.value)
	for _, tag := range s.tags {
		args = append(args, string(tag))
	}
	var answer []string
	err := l.link.do(ctx, func(ctx context.Context) (err error) {
		answer, err = l.stores.Run(ctx, l.link.client, keys, args...).StringSlice()
		return err
	})
	if err != nil {
		return verdict{}, err
	}
	if len(answer) != 2 {
		return verdict{}, fmt.Errorf("redis answered %d words to a store", len(answer))
	}
	return verdict{refusal: refusal(answer[0]), tag: touched.Tag(answer[1])}, nil
}

func (l *sharedLedger) raise(ctx context.Context, clinic uuid.UUID, w write) error {
	args := append(make([]any, 0, 6+len(w.tags)), w.fence, w.standing.Microseconds(), w.lowers, w.by, keptSteps, keptTags)
	for _, tag := range w.tags {
		args = append(args, string(tag))
	}
	return l.link.do(ctx, func(ctx context.Context) error {
		return l.raises.Run(ctx, l.link.client, l.keys(clinic), args...).Err()
	})
}

func (l *sharedLedger) lower(ctx context.Context, clinic uuid.UUID, fence string) error {
	return l.link.do(ctx, func(ctx context.Context) error {
		return l.link.client.HDel(ctx, l.key(clinic, "fences"), fence).Err()
	})
}

func (l *sharedLedger) open(ctx context.Context, clinic uuid.UUID, born uint64) error {
	return l.link.do(ctx, func(ctx context.Context) error {
		return l.opens.Run(ctx, l.link.client, l.keys(clinic), born).Err()
	})
}

// epochs: everything is stored under an epoch, and an instance that may have
// missed a write begins a new one.

func (l *sharedLedger) epochKey() string { return l.prefix + "epoch" }

// nextEpoch begins an epoch.
func (l *sharedLedger) nextEpoch(ctx context.Context) (uint64, error) {
	var epoch uint64
	err := l.link.do(ctx, func(ctx context.Context) (err error) {
		epoch, err = l.epochs.Run(ctx, l.link.client, []string{l.epochKey()}).Uint64()
		return err
	})
	return epoch, err
}

// epoch is the one that began last; 0 if none has.
func (l *sharedLedger) epoch(ctx context.Context) (uint64, error) {
	var epoch uint64
	err := l.link.do(ctx, func(ctx context.Context) (err error) {
		epoch, err = l.link.client.Get(ctx, l.epochKey()).Uint64()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	return epoch, err
}

// sweep removes the keys of other runs of Redis, whatever their database and
// version. Nobody uses them any more; those of this run somebody may.
func (l *sharedLedger) sweep(ctx context.Context, prefix string) error {
	var cursor uint64
	for {
		var keys, gone []string
		err := l.link.do(ctx, func(ctx context.Context) (err error) {
			keys, cursor, err = l.link.client.Scan(ctx, cursor, prefix+":*", 500).Result()
			return err
		})
		if err != nil {
			return err
		}
		for _, key := range keys {
			version, rest, _ := strings.Cut(strings.TrimPrefix(key, prefix+":"), ":")
			run, _, found := strings.Cut(rest, ":")
			if _, err := strconv.Atoi(version); err == nil && found && !strings.HasPrefix(l.link.runID(), run) {
				gone = append(gone, key)
			}
		}
		if len(gone) > 0 {
			if err := l.link.do(ctx, func(ctx context.Context) error { return l.link.client.Unlink(ctx, gone...).Err() }); err != nil {
				return err
			}
		}
		if cursor == 0 {
			return nil
		}
	}
}
