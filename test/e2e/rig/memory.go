//go:build linux

package rig

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// StarveMemory leaves a process n bytes of memory beside what it has. When it
// wants more, the kernel's out-of-memory killer ends it, and nobody else.
func StarveMemory(t testing.TB, pid int, n uint64) {
	t.Helper()
	dir, err := os.MkdirTemp("/sys/fs/cgroup/memory", "vpn-e2e-")
	if err != nil {
		t.Fatalf("%v\nhint: it needs cgroup v1 with its memory controller", err)
	}
	t.Cleanup(func() { Until(t, 10*time.Second, func() error { return os.Remove(dir) }) })
	for _, c := range []struct {
		file string
		n    uint64
	}{{"memory.limit_in_bytes", n}, {"cgroup.procs", uint64(pid)}} {
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(strconv.FormatUint(c.n, 10)), 0); err != nil {
			t.Fatal(err)
		}
	}
}
