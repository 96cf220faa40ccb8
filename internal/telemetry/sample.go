package telemetry

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"
)

const (
	// most is how long the lists of a snapshot are, mostClinics that of clinics.
	most        = 10
	mostClinics = 20
)

// sample ends an interval: it takes its snapshot, judges the alerts and hands
// it on.
func (t *Telemetry) sample(ctx context.Context) Snapshot {
	t.sampling.Lock()
	defer t.sampling.Unlock()
	postgres, redis := t.ask(ctx)
	now := t.now()
	interval := now.Sub(t.sampled)
	t.sampled = now
	snapshot := Snapshot{
		At: now, IntervalSeconds: interval.Seconds(),
		Requests: t.rollRequests(interval), Cache: t.cache.roll(), Clinics: t.clinics.roll(mostClinics),
		Pool: t.rollPool(), Process: t.process.read(interval, now), Postgres: postgres, Redis: redis,
	}
	var slow slowParts
	snapshot.SlowOperations, slow.operations = t.operations.roll(most)
	snapshot.SlowFields, slow.fields = t.fields.roll(most)
	snapshot.SlowStatements, slow.statements = t.rollStatements(most)
	t.latest.Store(&snapshot)
	state, changed := t.watch.judge(t.view(snapshot, slow))
	snapshot.Alerts = state
	t.publish(snapshot)
	t.tell(ctx, changed)
	return snapshot
}

// view is what the alerts are judged by.
func (t *Telemetry) view(latest Snapshot, slow slowParts) view {
	v := view{latest: latest, slow: slow, requests: t.requests.last(window), hits: latest.Cache.Hits, misses: latest.Cache.Misses}
	history := t.History()
	for _, snapshot := range history[max(len(history)-minute+1, 0):] {
		v.hits += snapshot.Cache.Hits
		v.misses += snapshot.Cache.Misses
	}
	v.recent = append(v.recent, history[max(len(history)-window+1, 0):]...)
	v.recent = append(v.recent, latest)
	return v
}

func (t *Telemetry) rollRequests(interval time.Duration) Requests {
	rolled := t.requests.roll()
	if rolled == nil {
		rolled = &tally{}
	}
	r := Requests{
		Count: rolled.count, InFlight: t.flying.Load(), Failed: rolled.faults, Refused: t.refused.Swap(0),
		RefusedBy: t.refusals.roll(),
		P50:       rolled.quantile(.5), P95: rolled.quantile(.95), P99: rolled.quantile(.99),
		Max: milliseconds(t.longest.nanos.Swap(0)),
	}
	if interval > 0 {
		r.PerSecond = float64(r.Count) / interval.Seconds()
	}
	if r.Count > 0 {
		r.ErrorRate = float64(r.Failed) / float64(r.Count)
	}
	return r
}

func (t *Telemetry) rollStatements(most int) (slowest []Statement, slow []crossing) {
	slowest = []Statement{}
	for _, f := range t.statements.all() {
		f.meter.roll()
		slow = slowly(f.name, &f.meter, slow)
		sum := f.meter.last(minute)
		f.mu.Lock()
		example := f.example
		if sum.count == 0 {
			f.slowest.Store(0) // The next one begins anew.
		}
		f.mu.Unlock()
		if sum.count > 0 && example != nil {
			slowest = append(slowest, Statement{
				Family: f.name, Shape: example.shape, Statement: example.id, Count: sum.count, Errors: sum.faults,
				P50: sum.quantile(.5), P95: sum.quantile(.95), Total: sum.total(),
			})
		}
	}
	slices.SortFunc(slowest, func(a, b Statement) int { return cmp.Or(cmp.Compare(b.P95, a.P95), cmp.Compare(a.Family, b.Family)) })
	return slowest[:min(len(slowest), most)], slow
}

func (t *Telemetry) rollPool() Pool {
	before, now := t.pool, t.poolNow()
	t.pool = now
	return Pool{
		Max: now.Max, InUse: now.InUse, Idle: now.Idle, Utilization: float64(now.InUse) / float64(max(now.Max, 1)),
		Waits: now.Waits - before.Waits, Waited: milliseconds(int64(now.Waited - before.Waited)),
	}
}

// ask asks Postgres and Redis, at the same time, whether they are there.
func (t *Telemetry) ask(ctx context.Context) (postgres, redis Health) {
	servers := t.servers.Load()
	other := make(chan Health, 1)
	go func() { other <- health(ctx, servers.Redis) }()
	postgres = health(ctx, servers.Postgres)
	return postgres, <-other
}

func health(ctx context.Context, ping func(context.Context) error) Health {
	if ping == nil {
		return Health{}
	}
	ctx, done := context.WithTimeout(ctx, asking)
	defer done()
	began := time.Now()
	err := ping(ctx)
	h := Health{Configured: true, Up: err == nil, Latency: milliseconds(int64(time.Since(began)))}
	switch {
	case err == nil:
	case errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
		h.Fault = "no answer in time"
	default: // Its words may name hosts and users.
		h.Fault = "unreachable"
	}
	return h
}

func (t *Telemetry) poolNow() PoolFigures {
	servers := t.servers.Load()
	if servers.Pool == nil {
		return PoolFigures{}
	}
	return servers.Pool()
}

func (t *Telemetry) processNow() (cpu, memory float64) {
	if latest := t.latest.Load(); latest != nil {
		return latest.Process.CPU, latest.Process.Memory
	}
	return 0, 0
}

func (t *Telemetry) flyingNow() int64 { return t.flying.Load() }

func (t *Telemetry) up(server string) float64 {
	latest := t.latest.Load()
	if latest == nil {
		return 1 // Nobody has asked yet.
	}
	asked := latest.Postgres
	if server == "redis" {
		asked = latest.Redis
	}
	if asked.Configured && !asked.Up {
		return 0
	}
	return 1
}
