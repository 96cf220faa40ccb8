package devstack_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/devstack"
)

// TestChromium_RendersAPage has the browser fetch a page, run its script and
// measure a text: without a font it has no width.
func TestChromium_RendersAPage(t *testing.T) {
	t.Parallel()
	path, env, err := devstack.Chromium(t.Context(), devstack.FromEnv(os.Getenv))
	require.NoError(t, err)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(`<span id="text">Clínica Aurora</span><script>
			document.title = text.getBoundingClientRect().width > 40 ? "drawn with " + [6, 7].map(x => x * 7) : "no font"
		</script>`))
	}))
	t.Cleanup(page.Close)
	cmd := exec.CommandContext(t.Context(), path, "--headless", "--no-sandbox", "--disable-gpu",
		"--disable-dev-shm-usage", "--user-data-dir="+t.TempDir(), "--dump-dom", page.URL)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	require.NoError(t, err)
	assert.Contains(t, string(out), "<title>drawn with 42,49</title>")
	assert.Contains(t, string(out), "Clínica Aurora")
}
