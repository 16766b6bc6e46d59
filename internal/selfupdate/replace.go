package selfupdate

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"vpn/internal/vpn"
)

// OldSuffix is what the name of the installed program has after it when
// another has taken its place.
const OldSuffix = ".old"

// Candidate is a copy of a program beside the installed one. Whatever becomes
// of this process, under the installed one's name there is always a whole
// program.
type Candidate struct {
	from   string // as the caller knows it
	file   string // the copy: what is checked is what is installed
	target string
	kept   string // the program that was replaced, until that is settled
}

// Stage copies file to beside target, the installed program, with its mode,
// owner and capabilities. Links are followed. It refuses what [Inspect] does,
// as far as that is known without running it. The caller ends with Discard.
func Stage(file, target string) (*Candidate, error) {
	if err := identify(file); err != nil {
		return nil, err
	}
	target, err := filepath.EvalSymlinks(target)
	if err != nil {
		return nil, replaceError(target, err)
	}
	old, err := os.Stat(target)
	if err != nil {
		return nil, replaceError(target, err)
	}
	from, err := os.Open(file)
	if err != nil {
		return nil, vpn.Errorf(vpn.Invalid, "%s cannot be read: %w", file, err)
	}
	defer from.Close()
	to, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*.new")
	if err != nil {
		return nil, replaceError(target, err)
	}
	c := &Candidate{from: file, file: to.Name(), target: target, kept: to.Name() + OldSuffix}
	_, err = io.Copy(to, from)
	err = errors.Join(err, copyOwner(old, to), to.Chmod(old.Mode().Perm()|0o100), to.Sync(), to.Close(), copyCapabilities(target, c.file))
	if err != nil {
		return nil, errors.Join(replaceError(target, err), c.Discard())
	}
	return c, nil
}

// Inspect is [Inspect] of the candidate.
func (c *Candidate) Inspect(ctx context.Context) (version string, err error) {
	return inspect(ctx, c.file, c.from)
}

// Check is [Check] of the candidate.
func (c *Candidate) Check(ctx context.Context, args []string) error {
	return check(ctx, c.file, c.from, args)
}

// CheckOld is [Check] of the program that was replaced.
func (c *Candidate) CheckOld(ctx context.Context, args []string) error {
	return check(ctx, c.kept, "the program before", args)
}

// Target returns the file that is replaced.
func (c *Candidate) Target() string { return c.target }

// Install puts the candidate in the place of the installed program.
func (c *Candidate) Install() error {
	if err := os.Link(c.target, c.kept); err != nil {
		return replaceError(c.target, err)
	}
	if err := os.Rename(c.file, c.target); err != nil {
		return replaceError(c.target, errors.Join(err, os.Remove(c.kept)))
	}
	return syncDir(c.target)
}

// Keep settles it: the program that was replaced is from now on beside the
// new one.
func (c *Candidate) Keep() error {
	if err := os.Rename(c.kept, c.target+OldSuffix); err != nil {
		return replaceError(c.target, err)
	}
	return syncDir(c.target)
}

// Undo puts the program that was replaced back in its place.
func (c *Candidate) Undo() error {
	if err := os.Rename(c.kept, c.target); err != nil {
		return replaceError(c.target, err)
	}
	return syncDir(c.target)
}

// Discard removes the candidate, if it was not installed.
func (c *Candidate) Discard() error {
	if err := os.Remove(c.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return replaceError(c.target, err)
	}
	return nil
}

func syncDir(file string) error {
	d, err := os.Open(filepath.Dir(file))
	if err != nil {
		return replaceError(file, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return replaceError(file, err)
	}
	return nil
}

func replaceError(target string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return vpn.Errorf(vpn.Denied, "the program %s may not be replaced: %w", target, err).WithHint("use sudo")
	}
	return vpn.Errorf(vpn.Unavailable, "the program %s cannot be replaced: %w", target, err)
}
