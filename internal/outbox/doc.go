// Package outbox tells what happened in a clinic, in the order of commits.
//
// Triggers write an event in the transaction that it tells of, whoever writes
// (migrations/00019_outbox.sql). One server at a time, the leader, gives what is committed
// the clinic's next positions, and from then on it is a Change: who reads on from a
// position misses nothing, whatever is written meanwhile. docs/decisions/0016 says why a
// number that writers take themselves would not do.
package outbox
