package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"vpn/internal/vpn"
)

// How commands write files. What root makes in somebody else's directory
// belongs to that person: a file of root's there could not be used.

// onWindows reports that there is no sudo, no mode of a file, and no path
// without a drive.
const onWindows = runtime.GOOS == "windows"

// ids are who owns a file.
type ids struct{ uid, gid int }

func idsOf(info fs.FileInfo) ids {
	if uid, gid, ok := ownerOf(info); ok {
		return ids{uid, gid}
	}
	return ids{os.Geteuid(), os.Getegid()}
}

// ownerIn returns who is to own something new in dir.
func ownerIn(dir string) (ids, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return ids{}, err
	}
	owner := idsOf(info)
	if os.Geteuid() != 0 || owner.uid == 0 {
		return ids{os.Geteuid(), os.Getegid()}, nil
	}
	return owner, nil
}

// replaceFile puts data into the file at path, wholly or not at all. A file
// that is there keeps its mode and its owner, and a link to it stays; a new
// one, and the directories to it, are made.
func replaceFile(path string, data []byte, perm fs.FileMode) error {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		path = to
	}
	var owner ids
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return vpn.Errorf(vpn.Invalid, "%s is not a file", path)
	case err == nil:
		owner, perm = idsOf(info), info.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return fileProblem("write", path, err)
	default:
		if err := makeDirs(filepath.Dir(path)); err != nil {
			return fileProblem("write", path, err)
		}
		if owner, err = ownerIn(filepath.Dir(path)); err != nil {
			return fileProblem("write", path, err)
		}
	}
	return putFile(path, data, perm, owner)
}

// putFile writes a file beside path and renames it to that.
func putFile(path string, data []byte, perm fs.FileMode, owner ids) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fileProblem("write", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
			err = fileProblem("write", path, err)
		}
	}()
	err = errors.Join(fill(f, data, perm, owner), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// createFile makes a file that is not there yet.
func createFile(path string, data []byte, perm fs.FileMode) (err error) {
	owner, err := ownerIn(filepath.Dir(path))
	if err != nil {
		return fileProblem("write", path, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return fileProblem("write", path, err)
	}
	if err := errors.Join(fill(f, data, perm, owner), f.Close()); err != nil {
		_ = os.Remove(path)
		return fileProblem("write", path, err)
	}
	return nil
}

func fill(f *os.File, data []byte, perm fs.FileMode, owner ids) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if idsOf(info) != owner {
		if err := f.Chown(owner.uid, owner.gid); err != nil {
			return err
		}
	}
	if err := f.Chmod(perm); err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

func syncDir(dir string) error {
	if onWindows {
		return nil // it takes care of that by itself, and of nobody who asks
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDirs makes a directory and those above it that are missing.
func makeDirs(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if filepath.Dir(dir) == dir {
		return fs.ErrNotExist // a drive of Windows'
	}
	if err := makeDirs(filepath.Dir(dir)); err != nil {
		return err
	}
	owner, err := ownerIn(filepath.Dir(dir))
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if os.Geteuid() != 0 {
		return nil
	}
	return os.Lchown(dir, owner.uid, owner.gid)
}

// fileProblem says what is wrong with a file in the product's words.
func fileProblem(verb, path string, err error) error {
	if e, ok := errors.AsType[*vpn.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err // the path is in the message already
	}
	switch {
	case isFull(err):
		return noRoom(fmt.Errorf("%s %s: %w", verb, path, err))
	case errors.Is(err, fs.ErrPermission) && onWindows:
		return vpn.Errorf(vpn.Denied, "%s %s: %w", verb, path, err).WithHint("name a file of your own")
	case errors.Is(err, fs.ErrPermission):
		return vpn.Errorf(vpn.Denied, "%s %s: %w", verb, path, err).WithHint("use sudo, or name a file of your own")
	case errors.Is(err, fs.ErrExist):
		return vpn.Errorf(vpn.Conflict, "%s exists already", path).WithHint("add --yes to replace it, or choose another name")
	case errors.Is(err, fs.ErrNotExist) && verb == "read":
		return vpn.Errorf(vpn.Invalid, "%s %s: no such file", verb, path).WithHint("is it written right, and on this machine?")
	case errors.Is(err, fs.ErrNotExist) && onWindows:
		return vpn.Errorf(vpn.Invalid, "%s %s: its directory is not there", verb, path).WithHint("make it: mkdir %s", filepath.Dir(path))
	case errors.Is(err, fs.ErrNotExist):
		return vpn.Errorf(vpn.Invalid, "%s %s: its directory is not there", verb, path).WithHint("make it: mkdir -p %s", filepath.Dir(path))
	case errors.Is(err, syscall.EROFS):
		return vpn.Errorf(vpn.Unavailable, "%s %s: %w", verb, path, err).
			WithHint("name a file elsewhere, or make that file system writable: mount -o remount,rw …; findmnt -T %s says which it is", filepath.Dir(path))
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ELOOP):
		return vpn.Errorf(vpn.Invalid, "%s %s: %w", verb, path, err).WithHint("choose another name")
	}
	return fmt.Errorf("%s %s: %w", verb, path, err)
}

// isFull reports that there was no room for a file, or none that its owner
// may fill.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

func noRoom(err error) error {
	return vpn.Errorf(vpn.Unavailable, "%w", err).WithHint("make room on that disk, and try again; how full each is: df -h")
}
