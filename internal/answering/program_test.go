package answering

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Programs of other sources have other build IDs, the same source has the same; and what
// has none is told apart by its bytes.
func TestBuildID_TellsProgramsApart(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		require.Empty(t, buildID(strings.NewReader("no ELF")))
		return
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module program\n"), 0o600))
	build := func(prints string, flags ...string) string {
		source := filepath.Join(dir, "main.go")
		require.NoError(t, os.WriteFile(source, []byte("package main\n\nfunc main() { println(\""+prints+"\") }\n"), 0o600))
		out := filepath.Join(dir, "program")
		command := exec.CommandContext(t.Context(), "go", append(append([]string{"build", "-o", out}, flags...), ".")...)
		command.Dir = dir
		said, err := command.CombinedOutput()
		require.NoError(t, err, string(said))
		file, err := os.Open(out)
		require.NoError(t, err)
		defer func() { _ = file.Close() }()
		return buildID(file)
	}
	one := build("one")
	require.NotEmpty(t, one)
	require.NotEqual(t, one, build("two"))
	require.Equal(t, one, build("one"))
	require.Empty(t, build("one", "-ldflags=-buildid="))
	require.NotEmpty(t, executableName())
}
