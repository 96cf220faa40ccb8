package devstack

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// state is what a stack must find again at its next start. It holds
// passwords, so its file is for the owner's eyes only.
type state struct {
	PostgresPort int       `json:"postgresPort"`
	RedisPort    int       `json:"redisPort"`
	Sockets      string    `json:"sockets"`
	Passwords    passwords `json:"passwords"`
}

type passwords struct {
	Superuser string `json:"superuser"`
	Owner     string `json:"owner"`
	App       string `json:"app"`
	Redis     string `json:"redis"`
}

// prepareHome makes the home, takes its lock and reads its state.
func (s *Stack) prepareHome(ctx context.Context) error {
	home := s.opts.Home
	if home == "" {
		if !s.opts.Ephemeral {
			return errors.New("devstack: a stack that keeps its data needs a home")
		}
		s.sweep(ctx, os.TempDir())
		s.sweep(ctx, memory)
		dir, err := os.MkdirTemp(tempFolder(), tempHomePrefix)
		if err != nil {
			return fmt.Errorf("make a home for the private servers: %w", err)
		}
		home, s.tempHome = dir, true
	}
	home, err := filepath.Abs(home)
	if err != nil {
		return fmt.Errorf("find the home: %w", err)
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return fmt.Errorf("make the home: %w", err)
	}
	// Links are resolved so that one folder has one name in the checks below.
	if home, err = filepath.EvalSymlinks(home); err != nil {
		return fmt.Errorf("find the home: %w", err)
	}
	s.home = home
	if uid, err := ownerOf(home); err != nil {
		return err
	} else if uid != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user (uid %d): run as that user, or set TASKMED_HOME to a folder of your own", home, uid)
	}
	if s.lock, err = lockHome(ctx, filepath.Join(home, "lock")); err != nil {
		return err
	}
	return s.loadState()
}

// memory is where Linux keeps files in memory.
const memory = "/dev/shm"

// tempFolder is where a stack that keeps nothing lives: in memory, unless TMPDIR says
// where else or there is no room. A test's database is a thousand files, which a disk
// takes ten times as long for (docs/decisions/0008).
func tempFolder() string {
	if os.Getenv("TMPDIR") == "" && roomy(memory) {
		return memory
	}
	return os.TempDir()
}

const (
	tempHomePrefix = "taskmed-stack-"
	// sweepAge keeps a home that was made a moment ago from being taken for an
	// abandoned one before its maker has locked it.
	sweepAge = 10 * time.Minute
)

// sweep removes a folder's temporary homes of processes that were killed: each holds
// a whole Postgres cluster. What cannot be removed is left for another time.
func (s *Stack) sweep(ctx context.Context, folder string) {
	homes, _ := filepath.Glob(filepath.Join(folder, tempHomePrefix+"*")) // only a malformed pattern is an error
	for _, home := range homes {
		info, err := os.Lstat(home)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < sweepAge {
			continue
		}
		if uid, err := ownerOf(home); err != nil || uid != os.Geteuid() {
			continue
		}
		if err := sweepHome(home); err != nil {
			s.log.DebugContext(ctx, "an abandoned home stays", slog.String("home", home), slog.Any("error", err))
		}
	}
}

// sweepHome removes a home whose lock nobody has.
func sweepHome(home string) (err error) {
	file, err := os.OpenFile(filepath.Join(home, "lock"), os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // in a home of our own
	if err != nil {
		return fmt.Errorf("lock it: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := flock(file, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("lock it: %w", err)
	}
	return os.RemoveAll(home)
}

func (s *Stack) statePath() string { return filepath.Join(s.home, "stack.json") }

func (s *Stack) loadState() error {
	text, err := os.ReadFile(s.statePath())
	if errors.Is(err, fs.ErrNotExist) {
		s.state.Passwords = passwords{
			Superuser: rand.Text(), Owner: rand.Text(), App: rand.Text(), Redis: rand.Text(),
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the stack's state: %w", err)
	}
	if err := json.Unmarshal(text, &s.state); err != nil {
		return fmt.Errorf("read the stack's state in %s: %w", s.statePath(), err)
	}
	return nil
}

func (s *Stack) saveState() error {
	text, err := json.MarshalIndent(s.state, "", "  ")
	if err != nil {
		return fmt.Errorf("write the stack's state: %w", err)
	}
	return WriteFile(s.statePath(), append(text, '\n'))
}

// WriteFile replaces a file as one step and with mode 600: a reader sees the
// old content or the new, never a part.
func WriteFile(path string, content []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone already after the rename
	_, err = tmp.Write(content)
	if err = errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// prepareData decides where the servers keep their files. That is the home,
// unless root's children, who are not root, could not reach it there: a
// checkout under a home folder of mode 700, say. Then it is a folder under
// /var/lib named after the home, with a link to it in the home.
func (s *Stack) prepareData() error {
	s.data = s.home
	if s.user.drops {
		if err := os.Chmod(s.home, 0o711); err != nil { //nolint:gosec // the children pass through; every secret in it has mode 600
			return fmt.Errorf("open the home to the servers: %w", err)
		}
		if !s.user.reaches(s.home) {
			sum := sha256.Sum256([]byte(s.home))
			s.data = filepath.Join(string(filepath.Separator), "var", "lib", "taskmed", hex.EncodeToString(sum[:6]))
			if err := linkData(s.data, filepath.Join(s.home, "data")); err != nil {
				return err
			}
		}
	}
	for _, dir := range []string{s.postgresData(), s.redisData()} {
		if err := s.user.ownFolder(dir); err != nil {
			return err
		}
	}
	return nil
}

// linkData makes a folder elsewhere and a link to it.
func linkData(data, link string) error {
	if err := os.MkdirAll(data, 0o711); err != nil { //nolint:gosec // the children pass through it
		return fmt.Errorf("make a folder for the servers' data: %w", err)
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("link the servers' data: %w", err)
	}
	if err := os.Symlink(data, link); err != nil {
		return fmt.Errorf("link the servers' data: %w", err)
	}
	return nil
}

// prepareSockets makes a folder for the sockets: private, because a predictable
// name in a shared folder could be taken by somebody else first, and short,
// because a socket's path may have only about 100 bytes.
func (s *Stack) prepareSockets() error {
	if old := s.state.Sockets; old != "" {
		// Left by a process that was killed. Only a folder of ours is removed.
		if uid, err := ownerOf(old); err == nil && uid == s.user.uid {
			if err := os.RemoveAll(old); err != nil {
				return fmt.Errorf("remove the old sockets: %w", err)
			}
		}
		s.state.Sockets = ""
	}
	dir, err := os.MkdirTemp("/tmp", "taskmed-")
	if err != nil {
		if dir, err = os.MkdirTemp("", "taskmed-"); err != nil {
			return fmt.Errorf("make a folder for the sockets: %w", err)
		}
	}
	s.state.Sockets = dir
	return s.user.ownFolder(dir)
}
