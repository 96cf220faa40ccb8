package coherence

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/touched"
)

// A Journal keeps, per clinic, a sequence that every write moves on, which tags
// changed at which step, and which are being written now. Readers of all
// instances ask one journal: Redis (Shared), or, for a single instance, the process
// (Local).
type Journal interface {
	// Head is the clinic's sequence; 0 if the journal does not know the clinic.
	Head(ctx context.Context, clinic uuid.UUID) (uint64, error)
	// Begin is what a reader notes before it reads Postgres, and the value that is
	// kept under the key, nil if none is. It makes the journal know the clinic.
	Begin(ctx context.Context, clinic uuid.UUID, epoch uint64, key Key) (Begun, []byte, error)
	// Confirm tells what changed after a step, of the tags, in words; if nothing
	// did, fallen is empty and through is the step up to which that is known.
	Confirm(ctx context.Context, clinic uuid.UUID, since uint64, tags []touched.Tag) (through uint64, fallen string, err error)
	// Store keeps a value if nothing it depends on changed since its reader began
	// or is being written. Without a value it tells whether it would.
	Store(ctx context.Context, s Storing) (Verdict, error)
	// Raise moves the sequence on; with a fence nothing with the tags is stored
	// until the fence is taken off or has run out.
	Raise(ctx context.Context, clinic uuid.UUID, w Write) error

	// changes gives the steps after one, without a gap; errGap if it cannot.
	changes(ctx context.Context, clinic uuid.UUID, after uint64) ([]change, error)
	// lower takes a fence off.
	lower(ctx context.Context, clinic uuid.UUID, fence string) error
	// open lets values be stored for a clinic that the journal has known since born.
	open(ctx context.Context, clinic uuid.UUID, born uint64) error
}

// Key names a value within its clinic. What it is made of is its maker's matter.
type Key [sha256.Size]byte

// String is the key as it stands in Redis.
func (k Key) String() string { return base64.RawURLEncoding.EncodeToString(k[:]) }

// MaxValue bounds a value in Redis, in bytes. A longer one is not kept.
const MaxValue = 512 << 10

// errGap is returned where a journal no longer has the steps that are asked for.
var errGap = errors.New("the journal no longer has these steps")

// fallenEarlier is what Confirm tells where the tag is not known any more.
const fallenEarlier = "an earlier write"

// change is one step of a clinic's sequence.
type change struct {
	seq  uint64
	tags []touched.Tag
	at   time.Time
	// by names the operation that wrote; empty if it is not known.
	by string
}

// Begun is the moment at which a reader began.
type Begun struct {
	// Seq is the step that had been reached.
	Seq uint64
	// born is the step with which the journal came to know the clinic.
	born uint64
	// open tells whether values of readers who begin now may be stored.
	open bool
	// latest is until when the value may be stored, in microseconds of the
	// journal's clock.
	latest int64
}

// Storing is a value that shall be stored.
type Storing struct {
	Clinic uuid.UUID
	Epoch  uint64
	Key    Key
	Begun  Begun
	Tags   []touched.Tag
	Value  []byte // nil for what the process keeps alone
	Life   time.Duration
}

// Verdict is a journal's answer to Store.
type Verdict struct {
	// Refusal is empty if the value was stored.
	Refusal Refusal
	// Tag is the one that changed or is fenced.
	Tag touched.Tag
}

// Refusal is why a value was not stored, in a word.
type Refusal string

// What a journal refuses a value for.
const (
	// RefusedChanged: something that it depends on was written meanwhile.
	RefusedChanged Refusal = "changed"
	// RefusedFenced: something that it depends on is being written.
	RefusedFenced Refusal = "fenced"
	// RefusedLate: its reader took longer than the fences are made for.
	RefusedLate Refusal = "late"
	// RefusedClosed: its reader began before all writers from before the journal
	// knew the clinic had ended.
	RefusedClosed Refusal = "closed"
	// RefusedUnknown: the journal lost what it knew of the clinic meanwhile.
	RefusedUnknown Refusal = "unknown"
)

// Write is a step to take.
type Write struct {
	// Tags are what changes; By names the operation that writes.
	Tags []touched.Tag
	By   string
	// fence names the writer while it is at work; empty for no fence.
	fence string
	// standing is how long the fence stands at most.
	standing time.Duration
	// lowers is a fence to take off with the same step.
	lowers string
}

const (
	// keptSteps bounds the steps of a clinic that an instance can catch up with.
	keptSteps = 1024
	// keptTags bounds the tags of a clinic whose last change is known. Beyond it
	// the journal forgets them all, and with them what is stored.
	keptTags = 16384
)
