package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
)

// The versions that TaskMed runs on.
const (
	oldestPostgres, newestPostgres = 14, 18
	oldestRedis, newestRedis       = 6, 8
)

// pgInstall is a folder with initdb and postgres.
type pgInstall struct {
	bin   string
	major int
}

// has tells whether the installation can load a library.
func (p pgInstall) has(library string) bool {
	for _, dir := range []string{"lib", filepath.Join("lib", "postgresql")} {
		for _, ext := range []string{".so", ".dylib"} {
			if _, err := os.Stat(filepath.Join(filepath.Dir(p.bin), dir, library+ext)); err == nil {
				return true
			}
		}
	}
	return false
}

// findPostgres returns the newest installation that can be used, of one major
// version if that is not 0: a cluster opens with the version that made it.
func (s *Stack) findPostgres(ctx context.Context, major int) (pgInstall, error) {
	var found []pgInstall
	for _, bin := range s.postgresFolders() {
		install, err := s.probePostgres(ctx, bin)
		if err != nil {
			if bin == s.opts.PostgresBin {
				return pgInstall{}, fmt.Errorf("TASKMED_POSTGRES_BIN: %w", err)
			}
			continue
		}
		if major == 0 || install.major == major {
			found = append(found, install)
		}
	}
	if len(found) > 0 {
		return slices.MaxFunc(found, func(a, b pgInstall) int { return a.major - b.major }), nil
	}
	if major != 0 && major != fetchedPostgres {
		return pgInstall{}, fmt.Errorf("the data in %s was made by PostgreSQL %d, which is not found: install it (%s), or remove that folder to begin anew",
			s.postgresData(), major, installHint("postgresql-"+strconv.Itoa(major), "postgresql@"+strconv.Itoa(major)))
	}
	bin, err := s.fetchPostgres(ctx)
	if err != nil {
		return pgInstall{}, fmt.Errorf("no PostgreSQL %d to %d is installed and none could be fetched (%w): %s",
			oldestPostgres, newestPostgres, err, installHint("postgresql", "postgresql@17"))
	}
	return s.probePostgres(ctx, bin)
}

// postgresFolders lists where Postgres may be, in no order.
func (s *Stack) postgresFolders() []string {
	if s.opts.PostgresBin != "" {
		return []string{s.opts.PostgresBin}
	}
	if s.opts.ToolsOnly {
		return nil
	}
	var folders []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", // Debian
		"/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin", "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
		"/usr/pgsql-*/bin", // the project's packages for Red Hat
	} {
		matches, _ := filepath.Glob(pattern) // only a malformed pattern is an error
		folders = append(folders, matches...)
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			folders = append(folders, filepath.Dir(path))
		}
	}
	return folders
}

func (s *Stack) probePostgres(ctx context.Context, bin string) (pgInstall, error) {
	for _, name := range []string{"initdb", "postgres"} {
		if path := filepath.Join(bin, name); !s.user.reaches(path) {
			return pgInstall{}, fmt.Errorf("%s is missing, or out of reach for the user who shall run it", path)
		}
	}
	version, err := s.output(ctx, spec{name: "postgres --version", path: filepath.Join(bin, "postgres"), args: []string{"--version"}, env: s.postgresEnv(), dir: "/"})
	if err != nil {
		return pgInstall{}, err
	}
	major, err := majorIn(version)
	if err != nil {
		return pgInstall{}, err
	}
	if major < oldestPostgres || major > newestPostgres {
		return pgInstall{}, fmt.Errorf("%s is not one of PostgreSQL %d to %d", version, oldestPostgres, newestPostgres)
	}
	return pgInstall{bin: bin, major: major}, nil
}

// redisInstall is a redis-server and the environment it needs.
type redisInstall struct {
	path string
	env  []string
}

func (s *Stack) findRedis(ctx context.Context) (redisInstall, error) {
	for _, path := range s.redisPaths() {
		install := redisInstall{path: path}
		err := s.probeRedis(ctx, install)
		if err == nil {
			return install, nil
		}
		if path == s.opts.RedisServer {
			return redisInstall{}, fmt.Errorf("TASKMED_REDIS_SERVER: %w", err)
		}
	}
	install, err := s.fetchRedis(ctx)
	if err != nil {
		return redisInstall{}, fmt.Errorf("no Redis %d to %d is installed and none could be fetched (%w): %s",
			oldestRedis, newestRedis, err, installHint("redis-server", "redis"))
	}
	return install, nil
}

func (s *Stack) redisPaths() []string {
	if s.opts.RedisServer != "" {
		return []string{s.opts.RedisServer}
	}
	if s.opts.ToolsOnly {
		return nil
	}
	paths := []string{
		"/usr/bin/redis-server", "/opt/homebrew/opt/redis/bin/redis-server",
		"/usr/local/opt/redis/bin/redis-server", "/home/linuxbrew/.linuxbrew/opt/redis/bin/redis-server",
	}
	if path, err := exec.LookPath("redis-server"); err == nil {
		paths = append([]string{path}, paths...)
	}
	return paths
}

func (s *Stack) probeRedis(ctx context.Context, install redisInstall) error {
	if !s.user.reaches(install.path) {
		return fmt.Errorf("%s is missing, or out of reach for the user who shall run it", install.path)
	}
	version, err := s.output(ctx, spec{name: "redis-server --version", path: install.path, args: []string{"--version"}, env: install.env, dir: "/"})
	if err != nil {
		return err
	}
	major, err := majorIn(version)
	if err != nil {
		return err
	}
	if major < oldestRedis || major > newestRedis {
		return fmt.Errorf("%s is not one of Redis %d to %d", version, oldestRedis, newestRedis)
	}
	return nil
}

var firstNumber = regexp.MustCompile(`\d+`)

func majorIn(version string) (int, error) {
	number := firstNumber.FindString(version)
	if number == "" {
		return 0, errors.New("a version without a number: " + strconv.Quote(version))
	}
	return strconv.Atoi(number)
}

// installHint says what a person can do, for the system at hand.
func installHint(debian, brew string) string {
	if runtime.GOOS == "darwin" {
		return "brew install " + brew
	}
	if _, err := exec.LookPath("apt-get"); err == nil {
		return "apt-get install " + debian
	}
	return "install the package " + debian + " or your system's equivalent"
}
