// Package store keeps files' bytes: in a folder, or in any store that speaks S3. It knows
// them by a clinic's UUID and their own, and never by what a client calls them.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
)

// ErrAbsent is what an object that is not there is answered with.
var ErrAbsent = errors.New("store: there is no such object")

// ErrFull is a store that has no room.
var ErrFull = errors.New("store: there is no room for it")

// ErrUnfit is a store that is there and can keep nothing until an operator mends it: it
// has no such bucket, does not let the key in, or may not be written.
var ErrUnfit = errors.New("store: it cannot be used as it is configured")

// Name is what an object is called.
type Name struct{ Clinic, ID uuid.UUID }

// Store keeps objects. It may be used from any goroutine and by several processes.
type Store interface {
	// Put keeps exactly size bytes of a content under a name, or nothing: where reading
	// fails, be it at the last byte, and where the process dies, there is no object.
	Put(ctx context.Context, name Name, size int64, content io.Reader) error
	// Open reads an object of so many bytes; ErrAbsent if there is none.
	Open(ctx context.Context, name Name, size int64) (io.ReadSeekCloser, error)
	// Remove removes an object, if it is there.
	Remove(ctx context.Context, name Name) error
	// Check tells whether objects can be kept now; ErrUnfit where that is not for an hour
	// but for a setting.
	Check(ctx context.Context) error
	// Tidy removes what processes that died have begun and not ended.
	Tidy(ctx context.Context) error
}

// Look is Check for who may not wait for longer than a context lasts: a folder of another
// machine's can hang, and no system call ends with a context.
func Look(ctx context.Context, s Store) error {
	checked := make(chan error, 1)
	go func() { checked <- s.Check(ctx) }()
	select {
	case err := <-checked:
		return err
	case <-ctx.Done():
		return fmt.Errorf("store: it does not answer: %w", ctx.Err())
	}
}

// Nowhere has no room for anything: it stands where nothing is ever uploaded.
type Nowhere struct{}

// Put implements Store.
func (Nowhere) Put(context.Context, Name, int64, io.Reader) error { return ErrFull }

// Open implements Store.
func (Nowhere) Open(context.Context, Name, int64) (io.ReadSeekCloser, error) { return nil, ErrAbsent }

// Remove implements Store.
func (Nowhere) Remove(context.Context, Name) error { return nil }

// Check implements Store.
func (Nowhere) Check(context.Context) error { return nil }

// Tidy implements Store.
func (Nowhere) Tidy(context.Context) error { return nil }
