//go:build linux

package rig

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// grouped are the hierarchies of cgroup v1 in which an init system keeps track
// of its services; v2 is one without a name.
var grouped = []string{"name=systemd", "memory", "pids", ""}

// ownGroups makes a control group in each of those, below the test's own, until
// it ends. Without them, init systems of containers that run side by side would
// share theirs, and remove each other's.
func ownGroups(t testing.TB) (dirs []string) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) { // 8:pids:/some/group
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		name, path, _ := strings.Cut(rest, ":")
		root := filepath.Join("/sys/fs/cgroup", strings.TrimPrefix(name, "name="))
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil || !slices.Contains(grouped, name) {
			continue // it is not there, or not mounted
		}
		dir, err := os.MkdirTemp(filepath.Join(root, path), "vpn-e2e-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { Until(t, 10*time.Second, func() error { return removeGroup(dir) }) })
		dirs = append(dirs, dir)
	}
	return dirs
}

// removeGroup removes a control group with all below it, in which no process is
// left.
func removeGroup(dir string) error {
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	for _, path := range slices.Backward(all) {
		if err == nil {
			err = os.Remove(path)
		}
	}
	return err
}
