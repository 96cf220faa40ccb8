// Package webhooks tells others what happened in a clinic, as Standard Webhooks has it
// (https://www.standardwebhooks.com): each change that an endpoint asked for is posted to
// it once at least, those of one entity in the order of their positions.
//
// Whoever leads the outbox sends. Each endpoint has a lane of its own (lane.go): a cursor
// over `changes` that leaves a delivery for each change that was asked for, and some
// posts under way. A lane's turn (turn.go) is one transaction, which locks the lane's row
// first; who led before and has not noticed yet changes nothing that another has changed
// since. docs/decisions/0019 says why.
//
// Its files:
//
//   - turn.go has what a lane's turn does, in SQL: which deliveries are left, which may go
//     next, what becomes of those that failed, and when an endpoint is paused.
//   - sender.go wakes the lanes of all clinics, and says when a delivery is tried again;
//     taking.go holds back endpoints that do not take, so that others need not wait.
//   - post.go makes one call, which keys.go signs; test_call.go makes one now.
//   - endpoint.go declares endpoints and deliveries as they are read; write.go has what
//     mutations do with them.
package webhooks
