package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/taskmed/taskmed/internal/devstack"
)

// devFile is dev.json: what a program must know to use a running `taskmed
// dev`. It is there exactly as long as that is ready, holds passwords and
// tokens, and so has mode 600.
type devFile struct {
	URL              string      `json:"url"`
	AdminURL         string      `json:"adminUrl"`
	DatabaseURL      string      `json:"databaseUrl"`
	OwnerDatabaseURL string      `json:"ownerDatabaseUrl"`
	RedisURL         string      `json:"redisUrl"`
	Clinics          []devClinic `json:"clinics"`
}

type devClinic struct {
	// ID is the clinic's global id, UUID the same as the database has it.
	ID   string `json:"id"`
	UUID string `json:"uuid"`
	Slug string `json:"slug"`
	// Tokens are bearer tokens by role.
	Tokens map[string]string `json:"tokens"`
}

// devAttachments is the folder below its home in which taskmed dev keeps files.
const devAttachments = "attachments"

func devFilePath(home string) string { return filepath.Join(home, "dev.json") }

func readDevFile(home string) (devFile, error) {
	var f devFile
	text, err := os.ReadFile(devFilePath(home))
	if err != nil {
		return f, fmt.Errorf("read what taskmed dev left: %w", err)
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return f, fmt.Errorf("read %s: %w", devFilePath(home), err)
	}
	return f, nil
}

func (f devFile) write(home string) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("write dev.json: %w", err)
	}
	return devstack.WriteFile(devFilePath(home), append(text, '\n'))
}

func removeDevFile(home string) error {
	if err := os.Remove(devFilePath(home)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove dev.json: %w", err)
	}
	return nil
}
