package attachments_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/attachments"
	"github.com/taskmed/taskmed/internal/attachments/store"
)

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestContent_GivesItsLastByteOnlyIfAllFit(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 3071, 3072, 3073, 100_000} {
		text := strings.Repeat("a", size)
		for name, from := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "with its end": iotest.DataErrReader,
		} {
			read := func(sent, digest string) (string, error) {
				checked, err := attachments.Checked(from(strings.NewReader(sent)), size, digest, "text/plain")
				if err != nil {
					return "", err
				}
				got, err := io.ReadAll(checked)
				return string(got), err
			}
			got, err := read(text, digestOf(text))
			require.NoError(t, err, "%d %s", size, name)
			require.Equal(t, text, got)
			for what, wrong := range map[string]struct {
				sent, digest string
				err          error
			}{
				"longer":  {text + "a", digestOf(text), attachments.ErrTooLong},
				"shorter": {text[1:], digestOf(text), attachments.ErrTooShort},
				"another": {text[1:] + "b", digestOf(text), attachments.ErrDigest},
			} {
				got, err := read(wrong.sent, wrong.digest)
				require.ErrorIs(t, err, wrong.err, "%d %s %s", size, name, what)
				require.Less(t, len(got), size, "the last byte is kept back")
			}
		}
	}
	_, err := attachments.Checked(iotest.ErrReader(io.ErrClosedPipe), 10, digestOf("x"), "text/plain")
	require.ErrorIs(t, err, attachments.ErrBroken)
	require.ErrorIs(t, err, io.ErrClosedPipe)
}

func TestContent_KnowsTypesByTheirBeginning(t *testing.T) {
	t.Parallel()
	begins := map[string]string{
		"application/pdf": "%PDF-1.7\n", "application/dicom": strings.Repeat("\x00", 128) + "DICM", "image/jpeg": "\xff\xd8\xff\xe0", "image/png": "\x89PNG\r\n\x1a\n",
		"image/webp": "RIFF\x00\x00\x00\x00WEBPVP8 ", "image/gif": "GIF89a", "image/tiff": "II*\x00", "image/heic": "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00",
		"text/plain": "um texto, sem mais", "text/csv": "a,b,c\n1,2,3\n4,5,6\n", "audio/mpeg": "ID3\x03\x00\x00\x00\x00\x00\x21TIT2\x00\x00\x00\x0b\x00\x00\x00" + strings.Repeat("\x00", 40), "video/mp4": "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom",
		"": "<!DOCTYPE html><html>", " ": `<svg xmlns="http://www.w3.org/2000/svg">`, "  ": "PK\x03\x04", "   ": "#!/bin/sh\n", "    ": `{"a": 1}`,
	}
	for is, begin := range begins {
		for said := range begins {
			if strings.TrimSpace(said) == "" {
				continue
			}
			_, err := attachments.Checked(strings.NewReader(begin), len(begin), digestOf(begin), said)
			both := strings.HasPrefix(is, "text/") && strings.HasPrefix(said, "text/")
			if is == said || both {
				assert.NoError(t, err, "%q as %s", begin, said)
			} else {
				assert.ErrorIs(t, err, attachments.ErrType, "%q as %s", begin, said)
			}
		}
	}
}

// endless is so many bytes of a text, of which nobody knows when they end.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), e.left)], bytes.Repeat([]byte("1"), 32<<10))
	e.left -= n
	return n, nil
}

// A gigabyte goes through the check and into a bucket, and memory is not what it takes.
func TestContent_OfAGigabyteTakesLittleMemory(t *testing.T) { //nolint:paralleltest // it measures the process
	const size = 1 << 30
	var took atomic.Int64
	bucket := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		took.Add(n)
	}))
	t.Cleanup(bucket.Close)
	kept, err := store.NewS3(store.S3Config{Endpoint: bucket.URL, Bucket: "files", Region: "us-east-1", Key: "key", Secret: "secret"})
	require.NoError(t, err)
	hash := sha256.New()
	_, err = io.Copy(hash, &endless{size})
	require.NoError(t, err)

	heap := func() uint64 {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapInuse
	}
	runtime.GC()
	before := heap()
	var most atomic.Uint64
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			most.Store(max(most.Load(), heap()))
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	began := time.Now()
	checked, err := attachments.Checked(&endless{size}, size, hex.EncodeToString(hash.Sum(nil)), "text/plain")
	require.NoError(t, err)
	require.NoError(t, kept.Put(t.Context(), store.Name{Clinic: uuid.New(), ID: uuid.New()}, size, checked))
	close(done)
	<-stopped
	require.GreaterOrEqual(t, took.Load(), int64(size))
	grown := int64(most.Load()) - int64(before)
	t.Logf("a gigabyte in %v, %.1f MB of memory at most", time.Since(began), float64(grown)/(1<<20))
	require.Less(t, grown, int64(32<<20))
}
