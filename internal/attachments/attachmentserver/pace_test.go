package attachmentserver

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// line gives so many bytes each time that it is asked, which takes it so long.
type line struct {
	clock *time.Time
	bytes int
	takes time.Duration
	left  int
}

func (l *line) Read(into []byte) (int, error) {
	if l.left == 0 {
		return 0, io.EOF
	}
	*l.clock = l.clock.Add(l.takes)
	n := min(l.bytes, l.left, len(into))
	l.left -= n
	return n, nil
}

// A large file on a slow line comes in, however long that takes; one that is slower than
// the pace does not, nor one that only begins well.
func TestPaced_EndsWhoIsTooSlowAndNobodyElse(t *testing.T) {
	t.Parallel()
	const size = 50 << 20
	read := func(of *line, slowStore time.Duration) (time.Duration, error) {
		clock := time.Unix(0, 0)
		of.clock = &clock
		p := &paced{pace: slowest(), body: of, deadline: func(time.Time) error { return nil }, now: func() time.Time { return clock }}
		into := make([]byte, 32<<10)
		for {
			_, err := p.Read(into)
			if err != nil {
				return clock.Sub(time.Unix(0, 0)), err
			}
			clock = clock.Add(slowStore)
		}
	}
	took, err := read(&line{bytes: 17 << 10, takes: time.Second, left: size}, 0)
	require.ErrorIs(t, err, io.EOF)
	require.Greater(t, took, 50*time.Minute, "17 KB a second")
	took, err = read(&line{bytes: 15 << 10, takes: time.Second, left: size}, 0)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Equal(t, spare, took, "15 KB a second")
	took, err = read(&line{bytes: 1, takes: time.Second, left: size}, 0)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Equal(t, spare, took, "a byte a second")
	// The store's slowness is not the client's.
	_, err = read(&line{bytes: 32 << 10, takes: time.Millisecond, left: size}, 20*time.Second)
	require.ErrorIs(t, err, io.EOF)
}

// Over a connection: whoever trickles is ended, and so is who says nothing any more.
func TestPaced_EndsATrickleAndASilence(t *testing.T) {
	t.Parallel()
	for name, trickles := range map[string]bool{"a trickle": true, "a silence": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan error, 1)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h := &handler{pace: pace{window: 100 * time.Millisecond, least: 1 << 20}}
				_, body, done := h.receiving(w, r)
				defer done()
				_, err := io.Copy(io.Discard, body)
				ended <- err
				w.WriteHeader(http.StatusRequestTimeout)
			}))
			t.Cleanup(server.Close)
			sent, write := io.Pipe()
			leaving, leave := context.WithCancel(t.Context())
			t.Cleanup(leave)
			go func() {
				_, _ = write.Write(bytes.Repeat([]byte("x"), 1000))
				for trickles && leaving.Err() == nil {
					if _, err := write.Write([]byte("x")); err != nil {
						return
					}
					<-time.After(time.Millisecond)
				}
			}()
			request, err := http.NewRequestWithContext(leaving, http.MethodPut, server.URL, sent)
			require.NoError(t, err)
			go func() {
				if answer, err := http.DefaultClient.Do(request); err == nil {
					_ = answer.Body.Close()
				}
			}()
			require.ErrorIs(t, <-ended, os.ErrDeadlineExceeded)
			leave()
			_ = sent.Close()
		})
	}
}
