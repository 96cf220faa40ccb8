package devstack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Chromium returns a browser for headless tests and the environment to add
// for it: the system's if it has one, otherwise Debian's, fetched with the
// libraries and fonts it lacks and without installing anything. Run by root
// it needs --no-sandbox.
func Chromium(ctx context.Context, opts Options) (path string, env []string, err error) {
	if !opts.ToolsOnly {
		for _, name := range []string{
			"chromium", "chromium-browser", "google-chrome", "google-chrome-stable",
			"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium",
		} {
			if path, err := exec.LookPath(name); err == nil {
				return path, nil, nil
			}
		}
	}
	// A browser runs as ourselves, so nobody else need reach it.
	tools, err := openToolbox(opts, childUser{}, opts.Log)
	if err != nil {
		return "", nil, err
	}
	path, env, err = tools.chromium(ctx)
	if err != nil {
		return "", nil, fmt.Errorf("no Chromium is installed and none could be fetched (%w): %s", err, installHint("chromium", "--cask chromium"))
	}
	return path, env, nil
}

func (t toolbox) chromium(ctx context.Context) (string, []string, error) {
	program := func(root string) string { return filepath.Join(root, "usr", "lib", "chromium", "chromium") }
	root, err := t.debian(ctx, "chromium", []string{"chromium", "chromium-common", "fonts-dejavu-core", "fontconfig-config"}, func(root string) error {
		cmd := exec.CommandContext(ctx, program(root), "--version") //nolint:gosec // what was just fetched
		cmd.Env = append(os.Environ(), libraryPath(root))
		_, err := run(cmd, "chromium --version")
		return err
	})
	if err != nil {
		return "", nil, err
	}
	// The system may have no font at all; the fetched ones are named here.
	fonts := filepath.Join(root, "taskmed-fonts.conf")
	conf := `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>` +
		`<dir>/usr/share/fonts</dir><dir>` + filepath.Join(root, "usr", "share", "fonts") + `</dir>` +
		`<cachedir prefix="xdg">fontconfig</cachedir></fontconfig>`
	if err := WriteFile(fonts, []byte(conf)); err != nil {
		return "", nil, err
	}
	return program(root), []string{libraryPath(root), "FONTCONFIG_FILE=" + fonts}, nil
}
