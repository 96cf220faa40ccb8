// Package webhooks tells others what happened in a clinic, as Standard Webhooks has it
// (https://www.standardwebhooks.com): each change that an endpoint asked for is posted to
// it once at least, those of one entity in the order of their positions.
//
// Whoever leads the outbox sends. Each endpoint has a lane of its own (lane.go): a cursor
// over `changes` that leaves a delivery for each change that was asked for, and some
// posts under way. A lane's turn (turn.go) is one transaction, which locks the lane's row
// first; who led before and has not noticed yet changes nothing that another has changed
// since. docs/decisions/0019 says why.
package webhooks
