package chaos_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"

	"github.com/taskmed/taskmed/internal/devstack"
	"github.com/taskmed/taskmed/models"
)

// down is how long what was killed stays away.
const down = time.Second

func (c *chaos) instanceKilled(t *testing.T, n int) trouble {
	t.Helper()
	return trouble{"an instance is killed", false, func() {
		c.instances[n].kill()
		c.pause(t, down)
		c.instances[n].start(t)
	}}
}

func (c *chaos) instanceStopped(t *testing.T, n int) trouble {
	t.Helper()
	return trouble{"an instance is stopped as in a deployment", false, func() {
		c.instances[n].stop()
		c.instances[n].start(t)
	}}
}

// instanceFrozen goes on with what it knew a while ago.
func (c *chaos) instanceFrozen(t *testing.T, n int) trouble {
	t.Helper()
	return trouble{"an instance stands still for three seconds", false, func() {
		c.instances[n].freeze()
		c.pause(t, 3*time.Second)
		c.instances[n].thaw()
	}}
}

func (c *chaos) instanceCutOff(t *testing.T, n int) trouble {
	t.Helper()
	return trouble{"an instance is cut off from Redis", true, func() {
		c.links[n].cut()
		c.pause(t, 2*down)
		c.links[n].mend()
	}}
}

func (c *chaos) redisKilled(t *testing.T) trouble {
	t.Helper()
	return trouble{"Redis is killed", true, func() {
		c.redis[0].kill(t)
		c.pause(t, down)
		c.redis[0].start(t)
	}}
}

// redisRestored comes back with what it had some time ago.
func (c *chaos) redisRestored(t *testing.T) trouble {
	t.Helper()
	return trouble{"Redis is restored from an older snapshot", true, func() {
		c.redis[0].kill(t)
		restored := c.redis[0].restore(t, c.saved)
		var saving error
		c.saved, saving = c.redis[0].snapshot()
		assert.NoError(t, errors.Join(restored, saving))
	}}
}

func (c *chaos) redisHung(t *testing.T) trouble {
	t.Helper()
	return trouble{"Redis hangs", true, func() {
		c.redis[0].pause(t)
		c.pause(t, 2*down)
		c.redis[0].resume(t)
	}}
}

// redisFlushed is up all the time: nothing may be missed.
func (c *chaos) redisFlushed(t *testing.T) trouble {
	t.Helper()
	return trouble{"Redis is flushed", false, func() { assert.NoError(t, c.redis[0].flush()) }}
}

func (c *chaos) postgresKilled(t *testing.T) trouble {
	t.Helper()
	return trouble{"Postgres is killed", true, func() {
		c.stack.CrashPostgres()
		c.pause(t, down)
		assert.NoError(t, c.stack.RestartPostgres(t.Context()))
	}}
}

func (c *chaos) connectionsEnded(t *testing.T) trouble {
	t.Helper()
	return trouble{"all connections to Postgres are ended", true, func() {
		c.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	}}
}

func (c *chaos) bothKilled(t *testing.T) trouble {
	t.Helper()
	return trouble{"Redis and an instance are killed, and the instance is back first", true, func() {
		c.redis[0].kill(t)
		c.instances[1].kill()
		c.pause(t, down/2)
		c.instances[1].start(t)
		c.pause(t, down/2)
		c.redis[0].start(t)
	}}
}

// exec runs SQL as the superuser.
func (p *world) exec(t *testing.T, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.stack.SuperuserURL(devstack.Database))
	if !assert.NoError(t, err) { //nolint:testifylint // beside the test, where require may not end it
		return
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	_, err = conn.Exec(t.Context(), sql)
	assert.NoError(t, err)
}

// soonShown is within what time a write past the API must show: far longer than
// promise C8 says, since the machine is busy with killing and starting servers.
const soonShown = 2 * time.Second

// writeOutside changes contacts past the API every so often, and gives how long it took each
// time until the API showed it, while nothing was out of order.
func (c *chaos) writeOutside(ctx context.Context, t *testing.T, postgres string, every time.Duration) (lags []time.Duration) {
	t.Helper()
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close(context.WithoutCancel(ctx))
		}
	}()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return lags
		case <-ticks.C:
		}
		if conn == nil || conn.IsClosed() {
			var err error
			if conn, err = pgx.Connect(ctx, postgres); err != nil {
				conn = nil // Postgres is away
				continue
			}
		}
		clinic := c.clinics[n%len(c.clinics)]
		began := time.Now()
		id, version, err := c.change(ctx, conn, clinic.ID)
		if err != nil {
			continue // likewise; whether it is committed is not known
		}
		committed := time.Now()
		for ctx.Err() == nil && time.Since(committed) < soonShown {
			if shown, err := ask(ctx, c.instances[n/2%2].url(), clinic.ID, clinic.Reception, id); err != nil || shown.Version >= version {
				break
			}
		}
		if shown := time.Now(); ctx.Err() == nil && !c.oracle.Excuses(began, shown) {
			lags = append(lags, shown.Sub(committed))
		}
	}
}

// change is one write, of a contact that is looked at these days.
func (c *chaos) change(ctx context.Context, conn *pgx.Conn, clinic string) (id string, version int, err error) {
	ctx, done := context.WithTimeout(ctx, 10*time.Second)
	defer done()
	key, err := models.KindClinic.Parse(clinic)
	if err != nil {
		return "", 0, err
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing where it is committed
	var contact uuid.UUID
	err = tx.QueryRow(ctx, `SELECT id, version FROM contacts WHERE clinic_id = $1 AND id = (
		SELECT contact_id FROM appointments WHERE clinic_id = $1 AND starts_at BETWEEN now() AND now() + interval '3 days' ORDER BY random() LIMIT 1)
		FOR UPDATE`, key).Scan(&contact, &version)
	if err != nil {
		return "", 0, err
	}
	version++
	id = models.KindContact.Global(contact)
	shows := c.oracle.Outside(clinic, id, version)
	if _, err := tx.Exec(ctx, "UPDATE contacts SET notes = 'outside ' || version WHERE clinic_id = $1 AND id = $2", key, contact); err != nil {
		return "", 0, err
	}
	if err := tx.Commit(ctx); err != nil {
		return "", 0, err
	}
	shows(time.Now().Add(soonShown))
	return id, version, nil
}

// contactShown is what the API shows of a contact.
type contactShown struct {
	Version int
	Notes   string
}

// ask reads a contact through one server.
func ask(ctx context.Context, url, clinic, token, id string) (contactShown, error) {
	var answer struct{ Contact contactShown }
	err := call(ctx, url, clinic, token, `query Look($id: ID!) { contact(id: $id) { version notes } }`, map[string]any{"id": id}, &answer)
	return answer.Contact, err
}
