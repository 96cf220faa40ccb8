package respcache

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/touched"
)

// A ledger keeps, per clinic, a sequence that every write moves on, which tags
// changed at which step, and which are being written now. Readers of all
// instances ask one ledger: Redis, or, for a single instance, the process.
type ledger interface {
	// head is the clinic's sequence; 0 if the ledger does not know the clinic.
	head(ctx context.Context, clinic uuid.UUID) (uint64, error)
	// begin is what a reader notes before it reads Postgres, and the value that is
	// kept under the key, nil if none is. It makes the ledger know the clinic.
	begin(ctx context.Context, clinic uuid.UUID, epoch uint64, key Key) (begun, []byte, error)
	// changes gives the steps after one, without a gap; errGap if it cannot.
	changes(ctx context.Context, clinic uuid.UUID, after uint64) ([]change, error)
	// confirm tells what changed after a step, of the tags, in words; if nothing
	// did, fallen is empty and through is the step up to which that is known.
	confirm(ctx context.Context, clinic uuid.UUID, since uint64, tags []touched.Tag) (through uint64, fallen string, err error)
	// store keeps a value if nothing it depends on changed since its reader began
	// or is being written. Without a value it tells whether it would.
	store(ctx context.Context, s storing) (verdict, error)
	// raise moves the sequence on; with a fence nothing with the tags is stored
	// until the fence is taken off or has run out.
	raise(ctx context.Context, clinic uuid.UUID, w write) error
	// lower takes a fence off.
	lower(ctx context.Context, clinic uuid.UUID, fence string) error
	// open lets values be stored for a clinic that the ledger has known since born.
	open(ctx context.Context, clinic uuid.UUID, born uint64) error
}

// errGap is returned where a ledger no longer has the steps that are asked for.
var errGap = errors.New("the ledger no longer has these steps")

// fallenEarlier is what confirm tells where the tag is not known any more.
const fallenEarlier = "an earlier write"

// change is one step of a clinic's sequence.
type change struct {
	seq  uint64
	tags []touched.Tag
	at   time.Time
	// by names the operation that wrote; empty if it is not known.
	by string
}

// begun is the moment at which a reader began.
type begun struct {
	seq uint64
	// born is the step with which the ledger came to know the clinic.
	born uint64
	// open tells whether values of readers who begin now may be stored.
	open bool
	// latest is until when the value may be stored, in microseconds of the
	// ledger's clock.
	latest int64
}

// storing is a value that shall be stored.
type storing struct {
	clinic uuid.UUID
	epoch  uint64
	key    Key
	begun  begun
	tags   []touched.Tag
	value  []byte // nil for what the process keeps alone
	life   time.Duration
}

// verdict is a ledger's answer to store.
type verdict struct {
	// refusal is empty if the value was stored.
	refusal refusal
	// tag is the one that changed or is fenced.
	tag touched.Tag
}

// refusal is why a value was not stored.
type refusal string

const (
	// refusedChanged: something that it depends on was written meanwhile.
	refusedChanged refusal = "changed"
	// refusedFenced: something that it depends on is being written.
	refusedFenced refusal = "fenced"
	// refusedLate: its reader took longer than the fences are made for.
	refusedLate refusal = "late"
	// refusedClosed: its reader began before all writers from before the ledger
	// knew the clinic had ended.
	refusedClosed refusal = "closed"
	// refusedUnknown: the ledger lost what it knew of the clinic meanwhile.
	refusedUnknown refusal = "unknown"
	// refusedDistrust: the instance stopped trusting what is kept meanwhile.
	refusedDistrust refusal = "distrust"
	// refusedSize: it is longer than MaxValue.
	refusedSize refusal = "size"
	// refusedExpired: its life was over before it was stored.
	refusedExpired refusal = "expired"
	// refusedError: the ledger could not be asked.
	refusedError refusal = "error"
)

// write is a step to take.
type write struct {
	tags []touched.Tag
	by   string
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
	// the ledger forgets them all, and with them what is stored.
	keptTags = 16384
)
