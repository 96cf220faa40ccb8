package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// quarantine is where objects are until they are whole, on the same file system as
	// where they go.
	quarantine = "quarantine"
	// begun is for how long an object may be on its way.
	begun = 2 * time.Hour
)

// Folder keeps objects in files that the process alone may read. Several processes may
// share one, on a file system whose renames replace at once.
type Folder struct{ dir string }

// NewFolder keeps objects below a folder, which it makes.
func NewFolder(dir string) (*Folder, error) {
	if err := os.MkdirAll(filepath.Join(dir, quarantine), 0o700); err != nil {
		return nil, fmt.Errorf("%w: make the folder: %w", ErrUnfit, err)
	}
	return &Folder{dir}, nil
}

// path is where an object is. A UUID's last digits are as good as random: no folder gets
// more than a 256th of a clinic's files.
func (f *Folder) path(name Name) string {
	id := name.ID.String()
	return filepath.Join(f.dir, name.Clinic.String(), id[len(id)-2:], id)
}

// Put implements Store: it writes into quarantine, waits until that is on the disk, and
// renames.
func (f *Folder) Put(ctx context.Context, name Name, size int64, content io.Reader) (err error) {
	file, err := os.CreateTemp(filepath.Join(f.dir, quarantine), name.ID.String()+"-")
	if err != nil {
		return put(err)
	}
	defer func() {
		err = errors.Join(err, closed(file))
		if err != nil {
			_ = os.Remove(file.Name()) // Tidy finds what is left
		}
	}()
	// CreateTemp gives it mode 600.
	written, err := io.Copy(file, io.LimitReader(content, size))
	switch {
	case err != nil:
		return put(err)
	case written != size:
		return fmt.Errorf("store: %d bytes came of %d: %w", written, size, io.ErrUnexpectedEOF)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if err := file.Sync(); err != nil {
		return put(err)
	}
	path := f.path(name)
	if err := makeAll(filepath.Dir(path)); err != nil {
		return put(err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return put(err)
	}
	return put(syncFolder(filepath.Dir(path)))
}

// put is an error of keeping something.
func put(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return errors.Join(ErrFull, err)
	}
	if err != nil {
		return fmt.Errorf("store: keep an object: %w", err)
	}
	return nil
}

func closed(file *os.File) error {
	if err := file.Close(); err != nil {
		return put(err)
	}
	return nil
}

// makeAll makes a clinic's folders, and has their names on the disk.
func makeAll(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	clinic := filepath.Dir(dir)
	return errors.Join(syncFolder(clinic), syncFolder(filepath.Dir(clinic)))
}

func syncFolder(dir string) error {
	folder, err := os.Open(dir) //nolint:gosec // of ours
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Open implements Store.
func (f *Folder) Open(_ context.Context, name Name, size int64) (io.ReadSeekCloser, error) {
	file, err := os.Open(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrAbsent
	}
	if err != nil {
		return nil, fmt.Errorf("store: read an object: %w", err)
	}
	if info, err := file.Stat(); err != nil || info.Size() != size {
		return nil, errors.Join(errors.New("store: an object is not as long as it was"), err, file.Close())
	}
	return file, nil
}

// Remove implements Store.
func (f *Folder) Remove(_ context.Context, name Name) error {
	path := f.path(name)
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("store: remove an object: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}

// Check implements Store: it writes a file and removes it.
func (f *Folder) Check(context.Context) error {
	file, err := os.CreateTemp(filepath.Join(f.dir, quarantine), "check-")
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w: the folder cannot be written: %w", ErrUnfit, err)
	}
	if err != nil {
		return put(err)
	}
	_, err = file.WriteString("check")
	return put(errors.Join(err, file.Sync(), file.Close(), os.Remove(file.Name())))
}

// Tidy implements Store.
func (f *Folder) Tidy(ctx context.Context) error {
	entries, err := os.ReadDir(filepath.Join(f.dir, quarantine))
	if err != nil {
		return fmt.Errorf("store: look into quarantine: %w", err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || time.Since(info.ModTime()) < begun {
			continue // gone by now, or being written
		}
		if err := os.Remove(filepath.Join(f.dir, quarantine, entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("store: tidy quarantine: %w", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}
