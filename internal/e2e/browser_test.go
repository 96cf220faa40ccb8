package e2e_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/devstack"
)

// patience bounds each wait in the browser: far more than a page takes on two
// busy cores, so that only a page that hangs runs into it.
const patience = time.Minute

// browser is a tab of a headless Chromium with a profile of its own.
type browser struct {
	ctx context.Context

	mu       sync.Mutex
	requests []string
	console  []string
}

// newBrowser opens an empty tab. When the test ends it fails the test for
// anything that the page wrote to its console as an error (a breach of the
// Content-Security-Policy is one), and for a request that left the origins.
func newBrowser(t *testing.T, origins ...string) *browser {
	t.Helper()
	options := devstack.FromEnv(os.Getenv)
	options.Log = slog.New(slog.DiscardHandler)
	path, env, err := devstack.Chromium(t.Context(), options)
	require.NoError(t, err)

	flags := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.Env(env...), chromedp.UserDataDir(t.TempDir()),
		chromedp.DisableGPU, chromedp.WindowSize(1440, 900),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
	)
	if os.Geteuid() == 0 { // Chromium's sandbox refuses root.
		flags = append(flags, chromedp.NoSandbox)
	}
	// The test's own context ends before its cleanups, which close the browser.
	ctx, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), flags...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)

	b := &browser{ctx: ctx}
	// The first action starts the browser, which lives as long as its context: no
	// time-out here.
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("about:blank")))
	b.watch(t)
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		assert.Empty(t, b.console, "errors in the page's console")
		for _, url := range b.requests {
			within := slices.ContainsFunc(origins, func(origin string) bool { return strings.HasPrefix(url, origin+"/") })
			assert.True(t, within || strings.HasPrefix(url, "data:") || url == "about:blank", "the page asked for %s", url)
		}
	})
	return b
}

func (b *browser) watch(t *testing.T) {
	t.Helper()
	_, err := chromedp.Call(b.ctx, network.Enable, network.EnableParams{})
	require.NoError(t, err)
	require.NoError(t, chromedp.Listen(b.ctx, func(event any) {
		if sent, ok := event.(*network.EventRequestWillBeSent); ok {
			b.mu.Lock()
			b.requests = append(b.requests, sent.Request.URL)
			b.mu.Unlock()
		}
	}))
	messages := chromedp.Console(b.ctx)
	go func() {
		for message, err := range messages {
			if err != nil {
				return // The tab is closed.
			}
			// A refusal is an answer of the API; that the browser notes it is no fault of the page.
			refused := message.Source == "network" && strings.HasSuffix(message.URL, "/graphql")
			if message.IsException() || message.Type == "error" && !refused {
				b.mu.Lock()
				b.console = append(b.console, message.String())
				b.mu.Unlock()
			}
		}
	}()
}

func (b *browser) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, done := context.WithTimeout(b.ctx, patience)
	defer done()
	require.NoError(t, chromedp.Do(ctx, steps...))
}

// text waits until the element shows a text that holds want, and returns it
// with the editor's no-break spaces made plain.
func (b *browser) text(t *testing.T, selector, want string) string {
	t.Helper()
	ctx, done := context.WithTimeout(b.ctx, patience)
	defer done()
	look := chromedp.PollFunction[string](`(selector, want) => {
		const text = (document.querySelector(selector)?.innerText ?? '').replaceAll('\u00a0', ' ');
		return text.includes(want) ? text : null;
	}`, chromedp.WithPollingArgs(selector, want), chromedp.WithPollingInterval(50*time.Millisecond))
	shown, err := chromedp.Run(ctx, look)
	// The page that was begun to be looked at may be just leaving.
	for err != nil && strings.Contains(err.Error(), "Cannot find context") {
		shown, err = chromedp.Run(ctx, look)
	}
	if err != nil {
		b.picture(t)
	}
	require.NoError(t, err, "waiting for %q in %s", want, selector)
	return shown
}

// picture leaves what the tab shows among the test's artifacts (go test -artifacts).
func (b *browser) picture(t *testing.T) {
	t.Helper()
	b.keep(t, "tab.png")
}

// keep is picture under a name.
func (b *browser) keep(t *testing.T, name string) {
	t.Helper()
	ctx, done := context.WithTimeout(b.ctx, patience)
	defer done()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(t.ArtifactDir(), name), png, 0o600))
}
