package chaos_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// redisFailsOver has a replica take over: it has the keys of the one that died, as
// they were a moment ago. One instance finds it a second after the other.
func (c *chaos) redisFailsOver(t *testing.T) trouble {
	t.Helper()
	spare := startRedis(t)
	return trouble{"Redis fails over to a replica", true, func() {
		died, replica := c.redis[0], spare
		answer, err := replica.do("REPLICAOF 127.0.0.1 " + died.port)
		assert.NoError(t, err) //nolint:testifylint // beside the test, where require may not end it
		assert.Contains(t, answer, "+OK")
		assert.Eventually(t, replica.follows, 10*time.Second, 10*time.Millisecond, "the replica has all that there is")
		died.kill(t)
		answer, err = replica.do("REPLICAOF NO ONE")
		assert.NoError(t, err) //nolint:testifylint // beside the test, where require may not end it
		assert.Contains(t, answer, "+OK")
		c.redis[0] = replica
		c.links[0].point("127.0.0.1:" + replica.port)
		c.pause(t, down)
		c.links[1].point("127.0.0.1:" + replica.port)
		spare = died
		spare.start(t)
	}}
}

// follows tells whether a replica has what its primary has.
func (r *redisProcess) follows() bool {
	said, err := r.do("INFO replication")
	return err == nil && strings.Contains(said, "master_link_status:up")
}

// point ends all connections, and leads new ones elsewhere.
func (l *link) point(to string) {
	l.cut()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to, l.isCut = to, false
}

func (l *link) target() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to
}
