package devstack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// debian returns a folder in which Debian packages, and those of their
// dependencies that the system lacks, are unpacked. Nothing is installed,
// nothing is started, and root is not needed.
func (t toolbox) debian(ctx context.Context, name string, packages []string, works func(root string) error) (string, error) {
	return t.get(ctx, name, works, func(work string) (string, error) {
		for _, program := range []string{"apt-get", "dpkg-deb"} {
			if _, err := exec.LookPath(program); err != nil {
				return "", errNoDebian
			}
		}
		archives, err := aptDownload(ctx, work, packages)
		if err != nil {
			return "", err
		}
		root := filepath.Join(work, "root")
		if err := os.Mkdir(root, 0o755); err != nil { //nolint:gosec // public programs, see get
			return "", err
		}
		for _, archive := range archives {
			// Another C library than the one the dynamic linker belongs to crashes.
			if base := filepath.Base(archive); strings.HasPrefix(base, "libc6_") || strings.HasPrefix(base, "libc-bin_") {
				continue
			}
			unpack := exec.CommandContext(ctx, "dpkg-deb", "-x", archive, root) //nolint:gosec // our own download
			if _, err := run(unpack, "dpkg-deb"); err != nil {
				return "", err
			}
		}
		return root, nil
	})
}

// aptDownload fetches packages and what they need beyond what is installed,
// checked by apt against Debian's signatures as ever, into a folder of its own.
func aptDownload(ctx context.Context, work string, packages []string) ([]string, error) {
	cache, lists := filepath.Join(work, "cache"), filepath.Join(work, "lists")
	for _, dir := range []string{filepath.Join(cache, "archives", "partial"), filepath.Join(lists, "partial")} {
		if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // public packages
			return nil, err
		}
	}
	options := []string{
		"-qq", "-y",
		"-o", "Dir::Cache=" + cache,
		"-o", "Debug::NoLocking=1",
		// As root apt drops to a user of its own, who could not write here.
		"-o", "APT::Sandbox::User=root",
		"-o", "Acquire::Retries=2",
	}
	apt := func(args ...string) error {
		cmd := exec.CommandContext(ctx, "apt-get", append(args, options...)...) //nolint:gosec // constants and our own folder
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
		_, err := run(cmd, "apt-get "+args[0])
		return err
	}
	// Named again though they may be installed: a tool for itself is wanted.
	download := append([]string{"install", "--download-only", "--no-install-recommends", "--reinstall"}, packages...)
	if err := apt(download...); err != nil {
		// The system's lists are missing or old: get lists of our own. A
		// source that is out of reach is not an error if the rest suffice.
		options = append(options, "-o", "Dir::State::lists="+lists)
		updated := apt("update")
		if err := apt(download...); err != nil {
			if updated != nil {
				return nil, fmt.Errorf("%w; %w", updated, err)
			}
			return nil, err
		}
	}
	archives, err := filepath.Glob(filepath.Join(cache, "archives", "*.deb"))
	if err != nil {
		return nil, err
	}
	if len(archives) == 0 {
		return nil, fmt.Errorf("apt-get fetched none of %s", strings.Join(packages, ", "))
	}
	return archives, nil
}
