package telemetry

import (
	"context"
	"errors"
	"time"

	"github.com/taskmed/taskmed/internal/telemetry/alerts"
	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
	"github.com/taskmed/taskmed/internal/telemetry/metrics"
)

const (
	// most is how long the lists of a snapshot are, mostClinics that of clinics.
	most        = 10
	mostClinics = 20
)

// sample ends an interval: it takes its snapshot, judges the alerts and hands
// it on.
func (t *Telemetry) sample(ctx context.Context) dashboard.Snapshot {
	t.sampling.Lock()
	defer t.sampling.Unlock()
	postgres, redis := t.ask(ctx)
	now := t.now()
	interval := now.Sub(t.sampled)
	t.sampled = now
	snapshot := dashboard.Snapshot{
		At: now, IntervalSeconds: interval.Seconds(),
		Requests: t.requests.Roll(interval), Cache: t.cache.Roll(), Clinics: t.clinics.Roll(mostClinics),
		SlowOperations: t.operations.Roll(most), SlowFields: t.fields.Roll(most), SlowStatements: t.statements.Roll(most),
		Pool: t.rollPool(), Process: t.process.Read(interval, now), Postgres: postgres, Redis: redis,
	}
	t.latest.Store(&snapshot)
	judged := alerts.NewJudged(snapshot, t.history.All())
	judged.Requests = t.requests.Meter().Last(alerts.Window)
	named := func(labels []string) string { return labels[0] }
	judged.Operations = alerts.Slow(t.operations.Meters, func(labels []string) string { return labels[1] + " " + labels[0] })
	judged.Fields, judged.Statements = alerts.Slow(t.fields.Meters, named), alerts.Slow(t.statements.Meters, named)
	state, changed := t.alerts.Judge(judged)
	snapshot.Alerts = state
	t.history.Add(snapshot)
	t.alerts.Tell(ctx, changed)
	return snapshot
}

func (t *Telemetry) rollPool() dashboard.Pool {
	before, now := t.pool, t.poolNow()
	t.pool = now
	return dashboard.Pool{
		Max: now.Max, InUse: now.InUse, Idle: now.Idle, Utilization: float64(now.InUse) / float64(max(now.Max, 1)),
		Waits: now.Waits - before.Waits, Waited: metrics.Milliseconds(int64(now.Waited - before.Waited)),
	}
}

// ask asks Postgres and Redis, at the same time, whether they are there.
func (t *Telemetry) ask(ctx context.Context) (postgres, redis dashboard.Health) {
	servers := t.servers.Load()
	other := make(chan dashboard.Health, 1)
	go func() { other <- health(ctx, servers.Redis) }()
	postgres = health(ctx, servers.Postgres)
	return postgres, <-other
}

func health(ctx context.Context, ping func(context.Context) error) dashboard.Health {
	if ping == nil {
		return dashboard.Health{}
	}
	ctx, done := context.WithTimeout(ctx, asking)
	defer done()
	began := time.Now()
	err := ping(ctx)
	h := dashboard.Health{Configured: true, Up: err == nil, Latency: metrics.Milliseconds(int64(time.Since(began)))}
	switch {
	case err == nil:
	case errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
		h.Fault = "no answer in time"
	default: // Its words may name hosts and users.
		h.Fault = "unreachable"
	}
	return h
}

func (t *Telemetry) poolNow() metrics.PoolFigures {
	servers := t.servers.Load()
	if servers.Pool == nil {
		return metrics.PoolFigures{}
	}
	return servers.Pool()
}

func (t *Telemetry) processNow() (cpu, memory float64) {
	if latest := t.latest.Load(); latest != nil {
		return latest.Process.CPU, latest.Process.Memory
	}
	return 0, 0
}

func (t *Telemetry) up(of func(*dashboard.Snapshot) dashboard.Health) float64 {
	latest := t.latest.Load()
	if latest == nil {
		return 1 // Nobody has asked yet.
	}
	if asked := of(latest); asked.Configured && !asked.Up {
		return 0
	}
	return 1
}
