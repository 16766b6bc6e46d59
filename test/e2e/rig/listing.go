//go:build linux

package rig

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A Listing is what there is in a container: by path, what it is like.
type Listing map[string]string

// New returns the paths that are not in before.
func (l Listing) New(before Listing) []string {
	var paths []string
	for path := range l {
		if _, ok := before[path]; !ok {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// changing is what a running system changes by itself. The copies that
// groupadd and its kin make of what they replace are among it.
var changing = []string{
	"/proc", "/sys", "/dev", "/run", "/var/log/journal", "/var/log/wtmp", "/var/log/lastlog", "/var/lib/systemd",
	"/etc/group-", "/etc/gshadow-", "/etc/.pwd.lock", "/var/cache/ldconfig", coverDir,
}

// Files lists the container's files. Of what changes by itself it has only
// what bears the product's name.
func (c *Container) Files() Listing {
	c.t.Helper()
	root := fmt.Sprintf("/proc/%d/root", c.init)
	l := Listing{}
	err := filepath.WalkDir(root+"/", func(file string, d fs.DirEntry, err error) error {
		path := strings.TrimPrefix(file, root)
		if slices.Contains([]string{"/proc", "/sys", "/dev"}, path) {
			return fs.SkipDir
		}
		if err != nil {
			return nil //nolint:nilerr // it has gone meanwhile
		}
		own := slices.ContainsFunc(changing, func(dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") })
		if own && !strings.Contains(filepath.Base(path), "vpn") {
			return nil
		}
		text, err := describe(file, path)
		if err == nil {
			l[path] = text
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return l
}

// describe says what a file is like: type, mode, owner, and content. What is
// in /etc is compared by its bytes, for there files are written anew; the
// rest by size and time.
func describe(file, path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Lstat(file, &st); err != nil {
		return "", err
	}
	text := fmt.Sprintf("mode %o of %d:%d", st.Mode, st.Uid, st.Gid)
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		to, err := os.Readlink(file)
		return text + " to " + to, err
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return text, nil
	case strings.HasPrefix(path, "/etc/"):
		b, err := os.ReadFile(file)
		return fmt.Sprintf("%s with %x", text, sha256.Sum256(b)), err
	}
	return fmt.Sprintf("%s, %d bytes of %d", text, st.Size, st.Mtim.Nano()), nil
}

// Write writes a file in the container.
func (c *Container) Write(path, text string) {
	c.t.Helper()
	file := filepath.Join(c.Root, path)
	mode := os.FileMode(0o644)
	if st, err := os.Stat(file); err == nil {
		mode = st.Mode().Perm()
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		c.t.Fatal(err)
	}
}
