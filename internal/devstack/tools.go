package devstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// toolbox is the folder of fetched binaries, shared by all checkouts.
type toolbox struct {
	dir string
	log *slog.Logger
}

func (s *Stack) tools() (toolbox, error) { return openToolbox(s.opts, s.user, s.log) }

func openToolbox(opts Options, u childUser, log *slog.Logger) (toolbox, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	dir := opts.Tools
	if dir == "" {
		cache, err := os.UserCacheDir()
		switch {
		case err == nil && (!u.drops || u.reachesSomeday(cache)):
			dir = filepath.Join(cache, "taskmed")
		case u.drops:
			dir = "/var/cache/taskmed"
		default:
			return toolbox{}, fmt.Errorf("no folder for tools: set TASKMED_TOOLS: %w", err)
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return toolbox{}, fmt.Errorf("find the folder of tools: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // holds public programs, which the servers' user must reach
		return toolbox{}, fmt.Errorf("make a folder for tools: %w", err)
	}
	if !u.reaches(dir) {
		return toolbox{}, fmt.Errorf("the servers' user cannot reach %s: set TASKMED_TOOLS to a folder that others can pass through", dir)
	}
	return toolbox{dir: dir, log: log}, nil
}

// reachesSomeday is reaches for a path whose last folders may not exist yet.
func (u childUser) reachesSomeday(path string) bool {
	for {
		if _, err := os.Stat(path); err == nil {
			return u.reaches(path)
		}
		parent := filepath.Dir(path)
		if parent == path {
			return false
		}
		path = parent
	}
}

// get returns the folder of a tool, and fetches it first if it is not there or
// no longer works: the libraries of the system that it was fitted to may have
// changed since. fetch works in a folder of its own and returns the one to
// keep. Processes that want the same tool at once wait for each other.
func (t toolbox) get(ctx context.Context, name string, works func(root string) error, fetch func(work string) (string, error)) (string, error) {
	root := filepath.Join(t.dir, name)
	if works(root) == nil {
		return root, nil
	}
	lock, err := waitLock(ctx, root+".lock")
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.release() }() // closing a file that was not written
	if works(root) == nil {
		return root, nil // fetched while we waited
	}
	t.log.InfoContext(ctx, "fetching a private copy; the system is left as it is", slog.String("program", name), slog.String("folder", root))
	work, err := os.MkdirTemp(t.dir, ".fetch-")
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	defer func() { _ = os.RemoveAll(work) }() // what stays is removed by hand, and does no harm
	fetched, err := fetch(work)
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	if err := openToAll(fetched); err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	if err := os.RemoveAll(root); err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	if err := os.Rename(fetched, root); err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	if err := works(root); err != nil {
		return "", fmt.Errorf("%s was fetched but does not run: %w", name, err)
	}
	return root, nil
}

// openToAll lets every user read a tree, and run what its owner may run.
func openToAll(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if entry.IsDir() || mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(path, mode) //nolint:gosec // public programs, see get
	})
}

// fetchRedis returns a Redis from Debian's packages.
func (s *Stack) fetchRedis(ctx context.Context) (redisInstall, error) {
	tools, err := s.tools()
	if err != nil {
		return redisInstall{}, err
	}
	install := func(root string) redisInstall {
		return redisInstall{
			path: filepath.Join(root, "usr", "bin", "redis-server"),
			env:  []string{libraryPath(root)},
		}
	}
	root, err := tools.debian(ctx, "redis", []string{"redis-server"}, func(root string) error {
		return s.probeRedis(ctx, install(root))
	})
	return install(root), err
}

// libraryPath is the setting that lets a program find the shared libraries of
// an unpacked tree before the system's.
func libraryPath(root string) string {
	var dirs []string
	for _, pattern := range []string{"usr/lib/*-linux-gnu*", "lib/*-linux-gnu*", "usr/lib/*-linux-gnu*/*", "usr/lib/chromium"} {
		matches, _ := filepath.Glob(filepath.Join(root, pattern)) // only a malformed pattern is an error
		for _, dir := range matches {
			if libs, _ := filepath.Glob(filepath.Join(dir, "*.so*")); len(libs) > 0 {
				dirs = append(dirs, dir)
			}
		}
	}
	return "LD_LIBRARY_PATH=" + strings.Join(dirs, ":")
}

var errNoDebian = errors.New("this system does not have Debian's packages")
