package persisted

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/taskmed/taskmed/internal/fingerprint"
	"github.com/taskmed/taskmed/models"
)

// Operation is a published operation: a document with the one operation in it.
type Operation struct {
	// ID is what clients call it: as a rule its Hash.
	ID string
	// Name and Kind ("query", "mutation", "subscription") are the operation's own.
	Name, Kind string
	// Body is the document's text.
	Body string
}

// says tells whether a text is this document, however it is laid out.
func (o *Operation) says(text string) bool {
	if text == o.Body {
		return true
	}
	mine, err := fingerprint.Of(o.Body)
	if err != nil {
		return false
	}
	other, err := fingerprint.Of(text)
	return err == nil && mine == other
}

// Source reads what is published.
type Source interface {
	// Revision changes whenever what is published does.
	Revision(ctx context.Context) (string, error)
	// All gives every operation.
	All(ctx context.Context) ([]*Operation, error)
}

// RegistryConfig is what a Registry is made of.
type RegistryConfig struct {
	Source Source
	Log    *slog.Logger
	// Every is how often the source is looked at (5 s); Soonest (1 s) is how soon
	// after a look an unknown id is reason for another. Timeout bounds a look (2 s).
	Every, Soonest, Timeout time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Registry is what is published, as this process last saw it. While the source
// cannot be read it stays as it was.
type Registry struct {
	config RegistryConfig
	seen   atomic.Pointer[published]
	// looking is held by whoever reads the source.
	looking sync.Mutex
	looked  time.Time

	stop    context.CancelFunc
	running sync.WaitGroup
}

// published is one state of the source. It does not change.
type published struct {
	revision string
	byID     map[string]*Operation
	byHash   map[string]*Operation
	byText   map[string]*Operation
	byPrint  map[fingerprint.Fingerprint]*Operation
}

// NewRegistry begins to read the source and goes on doing so until Close. It
// does not wait for it.
func NewRegistry(config RegistryConfig) *Registry {
	for field, value := range map[*time.Duration]time.Duration{
		&config.Every: 5 * time.Second, &config.Soonest: time.Second, &config.Timeout: 2 * time.Second,
	} {
		if *field == 0 {
			*field = value
		}
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &Registry{config: config, stop: stop}
	r.running.Go(func() { r.watch(ctx) })
	return r
}

// Close ends the reading and waits for it.
func (r *Registry) Close() {
	r.stop()
	r.running.Wait()
}

func (r *Registry) watch(ctx context.Context) {
	ticker := time.NewTicker(r.config.Every)
	defer ticker.Stop()
	for {
		if err := r.look(ctx, 0); err != nil && ctx.Err() == nil {
			r.config.Log.WarnContext(ctx, "published operations cannot be read", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// look reads the source if it has changed, unless that was done within the
// given time.
func (r *Registry) look(ctx context.Context, within time.Duration) error {
	r.looking.Lock()
	defer r.looking.Unlock()
	if within > 0 && r.config.Now().Sub(r.looked) < within {
		return nil
	}
	r.looked = r.config.Now()
	ctx, done := context.WithTimeout(ctx, r.config.Timeout)
	defer done()
	revision, err := r.config.Source.Revision(ctx)
	if err != nil {
		return err
	}
	if before := r.seen.Load(); before != nil && before.revision == revision {
		return nil
	}
	all, err := r.config.Source.All(ctx)
	if err != nil {
		return err
	}
	// The revision was read first: a change in between is seen the next time.
	r.seen.Store(index(revision, all))
	r.config.Log.InfoContext(ctx, "published operations read", slog.Int("operations", len(all)))
	return nil
}

func index(revision string, all []*Operation) *published {
	p := &published{
		revision: revision, byID: make(map[string]*Operation, len(all)),
		byHash: make(map[string]*Operation, len(all)), byText: make(map[string]*Operation, len(all)), byPrint: make(map[fingerprint.Fingerprint]*Operation, len(all)),
	}
	for _, operation := range all {
		// What stands in the table is not believed without looking.
		mark, err := fingerprint.Of(operation.Body)
		hash := Hash(operation.Body)
		if err != nil || isHash(operation.ID) && operation.ID != hash {
			continue
		}
		p.byID[operation.ID] = operation
		p.byHash[hash] = operation
		p.byText[operation.Body] = operation
		p.byPrint[mark] = operation
	}
	return p
}

// Loaded tells whether the source was ever read: an error of code UNAVAILABLE
// until it was.
func (r *Registry) Loaded() error {
	if r.seen.Load() == nil {
		return &models.Error{
			Code: models.Unavailable, Message: "the registered operations are not known yet; try again",
			Cause: errors.New("published operations were not read yet"),
		}
	}
	return nil
}

// Find gives the operation that was published under an id or has this hash. An
// unknown one is looked for in the source, but not more often than Soonest says.
func (r *Registry) Find(ctx context.Context, id string) (*Operation, bool) {
	return r.search(ctx, func(p *published) *Operation {
		if operation, ok := p.byID[id]; ok {
			return operation
		}
		return p.byHash[id]
	})
}

func (r *Registry) knows(ctx context.Context, text string) bool {
	hash := Hash(text)
	_, known := r.search(ctx, func(p *published) *Operation {
		if operation, ok := p.byHash[hash]; ok {
			return operation
		}
		mark, err := fingerprint.Of(text)
		if err != nil {
			return nil
		}
		return p.byPrint[mark]
	})
	return known
}

func (r *Registry) search(ctx context.Context, in func(*published) *Operation) (*Operation, bool) {
	p := r.seen.Load()
	if p == nil {
		return nil, false
	}
	if operation := in(p); operation != nil {
		return operation, true
	}
	// Without the request's cancellation: others wait for the same look.
	if err := r.look(context.WithoutCancel(ctx), r.config.Soonest); err != nil {
		r.config.Log.WarnContext(ctx, "published operations cannot be read", slog.Any("error", err))
	}
	if later := r.seen.Load(); later != p {
		if operation := in(later); operation != nil {
			return operation, true
		}
	}
	return nil, false
}

// known is Find among what was read already, by its Hash.
func (r *Registry) known(hash string) (*Operation, bool) {
	p := r.seen.Load()
	if p == nil {
		return nil, false
	}
	operation, ok := p.byHash[hash]
	return operation, ok
}

// Name is the name under which a document was published with this text.
func (r *Registry) Name(text string) (string, bool) {
	p := r.seen.Load()
	if p == nil {
		return "", false
	}
	operation, ok := p.byText[text]
	if !ok {
		return "", false
	}
	return operation.Name, true
}
