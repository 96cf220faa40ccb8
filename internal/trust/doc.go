// Package trust is the second of the cache's three rooms: whether what is kept may
// be believed at this moment. Package coherence is right as long as every write is
// raised in the journal that its readers ask; this package knows when that may not be
// so, and then nothing is served. It knows nothing of what is kept (package answers).
//
// Its terms:
//
//   - A generation is a time through which everything could be trusted; what one
//     kept the next never serves (trust.go). The supervisor (supervise.go) begins one
//     once it reaches Redis and the others use the same, and gives it up when a write
//     may have been missed.
//   - The listener hears what was written outside the API, and by who could not raise
//     (listener.go, heard.go). A sign of life is its question to Postgres every
//     heartbeat; whoever had none for a lease serves nothing.
//   - To stand aside is to use the cache no more while an instance announces that it
//     writes and cannot tell Redis (aside.go). It is over when the announcer says so,
//     or is silent for long.
//   - To vouch is to tell, at each sign of life, that what is kept under an epoch has
//     heard everything; who begins then takes the epoch over (vouch.go).
//   - A place is a run of a Redis and what in it is ours. Instances agree on one by a
//     lock in Postgres; who has another uses none (agree.go).
//   - The database is named by what Postgres says of itself; where requests use
//     another than is heard nothing is served (database.go).
package trust
