package attachments

import (
	"context"
	"errors"
	"time"
)

// errHanging tells that too many calls of the store hang already for another to begin.
var errHanging = errors.New("attachments: the store does not answer, and did not when it was asked before")

// calls are those of a store that may take for ever: a folder of another machine's hangs,
// and no system call ends with a context. Who waits is let go; what hangs is counted, and
// where that is the most there may be nothing is begun.
type calls chan struct{}

func newCalls(most int) calls { return make(calls, most) }

// call waits for a call for so long at most.
func (c calls) call(ctx context.Context, patience time.Duration, do func(context.Context) error) error {
	select {
	case c <- struct{}{}:
	default:
		return errHanging
	}
	bounded, done := context.WithTimeout(ctx, patience)
	ended := make(chan error, 1)
	go func() {
		err := do(bounded)
		<-c
		ended <- err
		done()
	}()
	select {
	case err := <-ended:
		return err
	case <-bounded.Done():
	}
	select {
	case err := <-ended: // it has ended, and its context with it
		return err
	default:
		return bounded.Err()
	}
}
