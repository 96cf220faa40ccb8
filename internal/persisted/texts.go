package persisted

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// Shared is where instances share texts. An error means that it cannot be
// reached: the text is then not known, and the client sends it again.
type Shared interface {
	// Get gives what is kept under a hash, "" if nothing is, and makes it live
	// for another ttl.
	Get(ctx context.Context, hash string, ttl time.Duration) (string, error)
	Put(ctx context.Context, hash, text string, ttl time.Duration) error
}

// TextsConfig says how much is kept, and where.
type TextsConfig struct {
	// Shared may be nil: then each instance knows what was sent to itself.
	Shared Shared
	// Bytes bounds what is kept in the process (16 MiB).
	Bytes uint64
	// TTL is how long an unused text is shared (7 days).
	TTL time.Duration
	Log *slog.Logger
	// Metrics takes the counter taskmed_persisted_queries_total; may be nil.
	Metrics prometheus.Registerer
}

// Texts keeps documents under their hashes: in the process, bounded in bytes,
// and shared between instances, bounded in time.
type Texts struct {
	kept    *otter.Cache[string, string]
	shared  Shared
	ttl     time.Duration
	log     *slog.Logger
	outcome *prometheus.CounterVec
}

// What taskmed_persisted_queries_total counts.
const (
	foundInProcess = "process"
	foundShared    = "shared"
	notFound       = "not_found"
	foundPoisoned  = "poisoned"
	sharedFailed   = "unreachable"
	keptNew        = "kept"
)

// NewTexts makes Texts.
func NewTexts(config TextsConfig) (*Texts, error) {
	if config.Bytes == 0 {
		config.Bytes = 16 << 20
	}
	if config.TTL == 0 {
		config.TTL = 7 * 24 * time.Hour
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	// A text's hash and the cache's own record of it.
	const overhead = 256
	kept, err := otter.New(&otter.Options[string, string]{
		MaximumWeight: config.Bytes,
		Weigher:       func(_, text string) uint32 { return uint32(len(text)) + overhead },
	})
	if err != nil {
		return nil, fmt.Errorf("persisted: %w", err)
	}
	t := &Texts{
		kept: kept, shared: config.Shared, ttl: config.TTL, log: config.Log,
		outcome: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "taskmed_persisted_queries_total",
			Help: "Documents that were asked for by their hash, by where they were found, and those that were kept.",
		}, []string{"outcome"}),
	}
	if config.Metrics != nil {
		if err := config.Metrics.Register(t.outcome); err != nil {
			return nil, fmt.Errorf("persisted: %w", err)
		}
	}
	return t, nil
}

// Find gives the text with this hash. What is shared is not believed: a text
// that has another hash is as good as none.
func (t *Texts) Find(ctx context.Context, hash string) (string, bool) {
	if text, ok := t.kept.GetIfPresent(hash); ok {
		t.count(foundInProcess)
		return text, true
	}
	if t.shared == nil {
		t.count(notFound)
		return "", false
	}
	text, err := t.shared.Get(ctx, hash, t.ttl)
	switch {
	case err != nil:
		t.failed(ctx, err)
		return "", false
	case text == "":
		t.count(notFound)
		return "", false
	case len(text) > LongestText || Hash(text) != hash:
		t.count(foundPoisoned)
		t.log.WarnContext(ctx, "a shared document is not the one that its hash says", slog.String("hash", hash), slog.Int("bytes", len(text)))
		return "", false
	}
	t.count(foundShared)
	t.kept.Set(hash, text)
	return text, true
}

// Keep takes a text under its hash, if it is its hash and not too long. A text
// that this process has already is not shared again.
func (t *Texts) Keep(ctx context.Context, hash, text string) {
	if len(text) > LongestText {
		return
	}
	if _, known := t.kept.GetIfPresent(hash); known || Hash(text) != hash {
		return
	}
	t.kept.Set(hash, text)
	t.count(keptNew)
	if t.shared == nil {
		return
	}
	if err := t.shared.Put(ctx, hash, text, t.ttl); err != nil {
		t.failed(ctx, err)
	}
}

func (t *Texts) failed(ctx context.Context, err error) {
	t.count(sharedFailed)
	if !errors.Is(err, context.Canceled) {
		t.log.DebugContext(ctx, "documents cannot be shared", slog.Any("error", err))
	}
}

func (t *Texts) count(outcome string) { t.outcome.WithLabelValues(outcome).Inc() }
