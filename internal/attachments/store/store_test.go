package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/attachments/store"
)

// stores are all kinds of them, each empty. TASKMED_TEST_S3 adds a real server:
// http://key:secret@host:port/bucket.
func stores(t *testing.T) map[string]store.Store {
	t.Helper()
	folder, err := store.NewFolder(filepath.Join(t.TempDir(), "files"))
	require.NoError(t, err)
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("files"))
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	bucket, err := store.NewS3(store.S3Config{Endpoint: server.URL, Bucket: "files", Region: "us-east-1", Key: "key", Secret: "secret"})
	require.NoError(t, err)
	all := map[string]store.Store{"a folder": folder, "a bucket": bucket}
	if address := os.Getenv("TASKMED_TEST_S3"); address != "" {
		all["a real bucket"] = realBucket(t, address)
	}
	return all
}

func realBucket(t *testing.T, address string) store.Store {
	t.Helper()
	scheme, rest, _ := strings.Cut(address, "://")
	access, at, _ := strings.Cut(rest, "@")
	key, secret, _ := strings.Cut(access, ":")
	host, bucket, found := strings.Cut(at, "/")
	require.True(t, found, "TASKMED_TEST_S3 is http://key:secret@host:port/bucket")
	made, err := store.NewS3(store.S3Config{Endpoint: scheme + "://" + host, Bucket: bucket, Region: "us-east-1", Key: key, Secret: secret})
	require.NoError(t, err)
	return made
}

func someName() store.Name { return store.Name{Clinic: uuid.New(), ID: uuid.New()} }

// failing fails before its last byte.
type failing struct {
	io.Reader
	err error
}

func (f failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = f.err
	}
	return n, err
}

func TestStore_KeepsWholeObjectsAndNothingElse(t *testing.T) {
	t.Parallel()
	errFails := errors.New("it fails")
	for kind, s := range stores(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			require.NoError(t, s.Check(ctx))
			name := someName()
			for _, size := range []int{1, 100, 3 << 20, 20 << 20} {
				name := someName()
				content := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
				require.NoError(t, s.Put(ctx, name, int64(size), bytes.NewReader(content)))
				object, err := s.Open(ctx, name, int64(size))
				require.NoError(t, err)
				read, err := io.ReadAll(object)
				require.NoError(t, err)
				require.True(t, bytes.Equal(content, read))
				for _, at := range []int{0, size / 2, size - 1} {
					where, err := object.Seek(int64(at), io.SeekStart)
					require.NoError(t, err)
					require.EqualValues(t, at, where)
					rest, err := io.ReadAll(io.LimitReader(object, 10))
					require.NoError(t, err)
					require.Equal(t, string(content[at:min(at+10, size)]), string(rest))
				}
				end, err := object.Seek(0, io.SeekEnd)
				require.NoError(t, err)
				require.EqualValues(t, size, end)
				require.NoError(t, object.Close())
				_, err = s.Open(ctx, store.Name{Clinic: uuid.New(), ID: name.ID}, int64(size))
				require.ErrorIs(t, err, store.ErrAbsent, "of another clinic")
				_, err = s.Open(ctx, name, int64(size)+1)
				require.Error(t, err)
				require.NoError(t, s.Remove(ctx, name))
				require.NoError(t, s.Remove(ctx, name), "it is gone")
				_, err = s.Open(ctx, name, int64(size))
				require.ErrorIs(t, err, store.ErrAbsent)
			}
			// What fails at its last byte, and what ends before it.
			err := s.Put(ctx, name, 100_001, failing{bytes.NewReader(make([]byte, 100_000)), errFails})
			require.ErrorIs(t, err, errFails)
			_, err = s.Open(ctx, name, 100_001)
			require.ErrorIs(t, err, store.ErrAbsent)
			require.Error(t, s.Put(ctx, name, 100_001, bytes.NewReader(make([]byte, 100_000))))
			_, err = s.Open(ctx, name, 100_001)
			require.ErrorIs(t, err, store.ErrAbsent)
			gone, leave := context.WithCancel(ctx)
			leave()
			require.Error(t, s.Put(gone, name, 10, bytes.NewReader(make([]byte, 10))))
			_, err = s.Open(ctx, name, 10)
			require.ErrorIs(t, err, store.ErrAbsent)
			require.NoError(t, s.Tidy(ctx))
		})
	}
}

func TestFolder_IsTheProcessAloneAndTidied(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "files")
	s, err := store.NewFolder(dir)
	require.NoError(t, err)
	clinic := uuid.New()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { assertPut(t, s, store.Name{Clinic: clinic, ID: uuid.New()}) })
	}
	wg.Wait()
	files := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := entry.Info()
		require.NoError(t, err)
		if entry.IsDir() {
			require.Equal(t, fs.FileMode(0o700), info.Mode().Perm(), path)
			return nil
		}
		files++
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), path)
		return nil
	}))
	require.Equal(t, 20, files, "nothing is left in quarantine")

	// What a process that was killed has left, and what one is at.
	old, young := filepath.Join(dir, "quarantine", "old"), filepath.Join(dir, "quarantine", "young")
	for _, path := range []string{old, young} {
		require.NoError(t, os.WriteFile(path, []byte("a part"), 0o600))
	}
	long := time.Now().Add(-3 * time.Hour)
	require.NoError(t, os.Chtimes(old, long, long))
	require.NoError(t, s.Tidy(t.Context()))
	require.NoFileExists(t, old)
	require.FileExists(t, young)
}

func assertPut(t *testing.T, s store.Store, name store.Name) {
	t.Helper()
	if err := s.Put(t.Context(), name, 5, strings.NewReader("bytes")); err != nil {
		t.Error(err)
	}
}

// The error is the system's own: Linux has a device that is always full.
func TestFolder_SaysThatItIsFull(t *testing.T) {
	t.Parallel()
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Fatalf("this test writes to %s: %v", full, err)
	}
	dir := filepath.Join(t.TempDir(), "files")
	s, err := store.NewFolder(dir)
	require.NoError(t, err)
	name := someName()
	err = s.Put(t.Context(), name, 10, failing{strings.NewReader("12345"), fmt.Errorf("write: %w", fullDisk())})
	require.ErrorIs(t, err, store.ErrFull)
	_, err = s.Open(t.Context(), name, 10)
	require.ErrorIs(t, err, store.ErrAbsent)
	entries, err := os.ReadDir(filepath.Join(dir, "quarantine"))
	require.NoError(t, err)
	require.Empty(t, entries)
}

// fullDisk is the error of writing where there is no room, by the system itself.
func fullDisk() error {
	file, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	_, err = file.Write([]byte("x"))
	return err
}

// hanging is a store that never answers, as a folder of another machine's that is gone.
type hanging struct {
	store.Nowhere

	ends chan struct{}
}

func (h hanging) Check(context.Context) error {
	<-h.ends
	return nil
}

func TestLook_WaitsNoLongerThanItMay(t *testing.T) {
	t.Parallel()
	ends := make(chan struct{})
	t.Cleanup(func() { close(ends) })
	ctx, done := context.WithCancel(t.Context())
	done()
	require.ErrorIs(t, store.Look(ctx, hanging{ends: ends}), context.Canceled)
	require.NoError(t, store.Look(t.Context(), store.Nowhere{}))
}
