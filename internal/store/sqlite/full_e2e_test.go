//go:build e2e

package sqlite

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// A file system that is full for real, again and again: nothing is done by
// halves, what is there can be read, every refusal says why, and with space
// again everything goes on without a new start.
func TestFullFileSystem(t *testing.T) {
	const inside = "VPN_TEST_FULL_DIR"
	if dir := os.Getenv(inside); dir != "" {
		check(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m,mode=0700"))
		fillAndFree(t, dir)
		return
	}
	if os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("it needs root, to mount a file system of its own")
		}
		t.Skip("it needs root, to mount a file system of its own")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestFullFileSystem$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	check(t, err)
}

func fillAndFree(t *testing.T, dir string) {
	path := filepath.Join(dir, "vpn.db")
	s := mustOpen(t, path)
	srv, creds := populate(t, s, 2000)
	counters := make([]vpn.Counter, len(creds))
	var moved uint64
	refusals := 0
	for cycle := range rounds(t, "VPN_TEST_FULL", 50) {
		ballast := filepath.Join(dir, "ballast")
		fill(t, ballast)
		for i := 0; ; i++ {
			before := snapshot(t, s) // reading needs no space
			err := s.Update(t.Context(), func(tx app.Tx) error {
				moved++
				for i, c := range creds {
					counters[i] = vpn.Counter{Credential: c.ID, Traffic: vpn.Traffic{Up: moved}}
				}
				for range 50 {
					if err := tx.Users.Put(vpn.User{ID: vpn.UserID(vpn.NewID()), Name: vpn.NewID()}); err != nil {
						return err
					}
				}
				return tx.Usage.Record(srv.ID, fmt.Sprint("epoch", cycle), counters, time.Unix(1e9, 0))
			})
			if err == nil {
				continue // into what the log still had
			}
			refusals++
			if vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(err.Error(), "nothing was changed") {
				t.Fatalf("cycle %d, update %d: got %v", cycle, i, err)
			}
			if after := snapshot(t, s); !maps.Equal(after, before) {
				t.Fatalf("cycle %d, update %d: something was changed", cycle, i)
			}
			break
		}
		if err := s.Backup(t.Context(), filepath.Join(dir, "copy")); vpn.KindOf(err) != vpn.Unavailable {
			t.Fatalf("cycle %d: a backup onto a full disk: got %v", cycle, err)
		}
		if cycle%10 == 0 {
			// To close and to open need some space; without it they say so.
			check(t, s.Close())
			fill(t, ballast+"2")
			if again, err := Open(t.Context(), path, Options{}); err == nil {
				check(t, again.Close())
			} else if vpn.KindOf(err) != vpn.Unavailable {
				t.Fatalf("cycle %d: opening on a full disk: got %v", cycle, err)
			}
			check(t, os.Remove(ballast+"2"))
			check(t, os.Remove(ballast))
			s = mustOpen(t, path)
		} else {
			check(t, os.Remove(ballast))
		}
		update(t, s, func(tx app.Tx) error { return tx.Usage.End(fmt.Sprint("epoch", cycle), time.Now()) })
	}
	check(t, checkIntegrity(t.Context(), s.read, path))
	for _, name := range listing(t, dir) {
		if !strings.HasPrefix(name, "vpn.db") {
			t.Errorf("%s was left behind", name)
		}
	}
	t.Logf("%d refusals", refusals)
}

// fill writes until nothing goes in any more.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	check(t, err)
	defer f.Close()
	for _, size := range []int{1 << 20, 4096, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, io.ErrShortWrite) {
			t.Fatal(err)
		}
	}
}
