// Package answers is the third of the cache's rooms: it keeps whole answers, in the
// process and in Redis, and what is known of who asks. It is made to be fast; that
// nothing is served that a write has overtaken is decided by package coherence, and
// whether anything may be served at all by package trust. docs/cache.md has the
// protocol of all three and why it is right.
//
// Its terms:
//
//   - A key is a hash over everything that decides what an answer says (key.go); an
//     entry is an answer with the tags that it depends on (entry.go), and a value is an
//     entry as it stands in Redis, ended by a seal that only our instances can make
//     (seal.go).
//   - The shelf is where answers and sessions are kept, each for as long as it stands
//     (shelf.go). Its tiers are the process, bounded in bytes with a part per clinic
//     (tier.go), and Redis.
//   - A ticket is a reader's moment, noted before it reads Postgres: only what was read
//     after it is stored with it.
//   - To fill is to find an answer or to compute it and keep it (fill.go); a flight is
//     one computing for all who want it (flight.go).
//   - A session is what is known of who asks, kept in the process alone (session.go); a
//     glimpse is a sequence seen while one was looked up (glimpse.go).
//   - The inspector looks at what Redis keeps without being an instance (inspect.go).
package answers
