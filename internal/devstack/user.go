package devstack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// childUser is who the servers run as: ourselves, or somebody unprivileged if
// we are root, whom Postgres refuses.
type childUser struct {
	uid, gid int
	drops    bool // whether that is somebody other than ourselves
}

func pickChildUser() (childUser, error) {
	if os.Geteuid() != 0 {
		return childUser{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	for _, name := range []string{"postgres", "_postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if uidErr == nil && gidErr == nil && uid > 0 && gid > 0 {
			return childUser{uid: uid, gid: gid, drops: true}, nil
		}
	}
	return childUser{}, errors.New("as root: Postgres refuses to run, and there is neither a user postgres nor nobody: run as a normal user")
}

// apply makes a process run as the user.
func (u childUser) apply(attr *syscall.SysProcAttr) {
	if u.drops {
		// The ids come from the user database and were checked to be above 0.
		attr.Credential = &syscall.Credential{Uid: uint32(u.uid), Gid: uint32(u.gid)}
	}
}

// reaches tells whether the user may pass through every folder of a path, and
// read what is at its end if that is a file.
func (u childUser) reaches(path string) bool {
	if !u.drops {
		return true
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	for {
		info, err := os.Stat(path)
		if err != nil || !u.executes(info) {
			return false
		}
		parent := filepath.Dir(path)
		if parent == path {
			return true
		}
		path = parent
	}
}

func (u childUser) executes(info fs.FileInfo) bool {
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	switch {
	case int(sys.Uid) == u.uid:
		return info.Mode()&0o100 != 0
	case int(sys.Gid) == u.gid:
		return info.Mode()&0o010 != 0
	default:
		return info.Mode()&0o001 != 0
	}
}

// ownFolder makes a folder that belongs to the user alone, and hands over what
// is in it if it belonged to another one: a server's own user may have been
// installed since.
func (u childUser) ownFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make a folder for the servers: %w", err)
	}
	if !u.drops {
		return nil
	}
	uid, err := ownerOf(dir)
	if err != nil {
		return err
	}
	if uid == u.uid {
		return nil
	}
	// Rooted: what lies in there belonged to somebody else until now, and no
	// link of theirs may lead out of it.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("hand a folder to the servers' user: %w", err)
	}
	defer func() { _ = root.Close() }() // only read
	err = fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return root.Lchown(path, u.uid, u.gid)
	})
	if err != nil {
		return fmt.Errorf("hand %s to the servers' user: %w", dir, err)
	}
	return nil
}

// ownerOf returns the uid of what is at a path, links not followed.
func ownerOf(path string) (int, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, fmt.Errorf("find the owner: %w", err)
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("find the owner of %s: not known on this system", path)
	}
	return int(sys.Uid), nil
}
