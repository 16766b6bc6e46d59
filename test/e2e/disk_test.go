//go:build linux && e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

const (
	diskSize  = 32 << 20
	diskFiles = 100
)

// installSmall is install on a data directory with little room.
func installSmall(t *testing.T, n int) (*rig.Instance, *rig.Disk, []rig.Login) {
	t.Helper()
	i := rig.NewWorld(t).Instance(t)
	disk := rig.NewDisk(t, i, diskSize, diskFiles)
	i.CreateServer("main", port)
	i.Serve()
	return i, disk, i.CreateUsers("u", n)
}

// A disk that is full stops changes, and nothing else: users go on, are
// counted and stop at their quotas, what is there can be read, and once there
// is space everything is stored as if nothing had been.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	const users, quota = 4, 3_000_000
	i, disk, logins := installSmall(t, users+1)
	limited := fmt.Sprint("u", users)
	client := i.World.Xray(t, logins...)
	load := client.Load(t, 0, users)
	i.Must("users", "update", limited, "--quota", strconv.Itoa(quota))
	conn := client.MustOpen(t, users, false)
	worker := i.OneWorker()

	disk.Fill(t)
	rig.Until(t, 15*time.Second, func() error { return refusesChanges(i) })
	rig.Until(t, 15*time.Second, func() error { return warnsOfDisk(i) })
	readable(t, i)
	if err := conn.Download(2*quota, 0); err == nil {
		t.Error("twice the quota has passed")
	}
	if err := client.Refused(t.Context(), users); err != nil {
		t.Error(err)
	}
	if used := usedUp(t, i, limited); used != quota {
		t.Errorf("used %d of %d bytes", used, quota)
	}
	for range 2 {
		i.Daemon().Kill()
		i.Serve()
		if err := load.Err(); err != nil {
			t.Fatal(err)
		}
		readable(t, i)
		if err := refusesChanges(i); err != nil {
			t.Error(err)
		}
	}
	rig.Throughout(t, 3*time.Second, load.Err)
	if n := strings.Count(i.Daemon().Output(), "\n"); n > 60 {
		t.Errorf("the daemon has logged %d lines", n)
	}

	disk.Free(t)
	start := time.Now()
	rig.Until(t, 10*time.Second, func() error {
		if err := warnsOfDisk(i); err == nil {
			return errors.New("vpn status still warns")
		}
		return stored(i)
	})
	t.Logf("recovered after %v", time.Since(start).Round(time.Millisecond))
	i.CreateUser("late")
	if pid := i.OneWorker(); pid != worker {
		t.Errorf("worker %d has taken the place of %d", pid, worker)
	}
	for k, want := range load.Stop(t) {
		wantUsed(t, i, fmt.Sprint("u", k), want)
	}
	if used := usedUp(t, i, limited); used != quota {
		t.Errorf("in the end: used %d of %d bytes", used, quota)
	}
}

// A worker that dies while the disk is full serves again at once, and what it
// had counted is stored when there is space.
func TestWorkerKilledOnAFullDisk(t *testing.T) {
	t.Parallel()
	i, disk, logins := installSmall(t, 1)
	client := i.World.Xray(t, logins...)
	disk.Fill(t)
	rig.Until(t, 15*time.Second, func() error { return refusesChanges(i) })
	conn := client.MustOpen(t, 0, false)
	if err := conn.Download(1<<20, 0); err != nil {
		t.Fatal(err)
	}
	total := func() uint64 {
		users, err := i.Users()
		if err != nil {
			t.Fatal(err)
		}
		return users["u0"].Used.Total()
	}
	counted := conn.Sent() + conn.Received()
	rig.Until(t, 5*time.Second, func() error {
		if got := total(); got != counted {
			return fmt.Errorf("%d of %d bytes are counted", got, counted)
		}
		return nil
	})
	start := time.Now()
	rig.Signal(t, i.OneWorker(), syscall.SIGKILL)
	rig.Until(t, 10*time.Second, func() error { return works(t, client, 0) })
	if took := time.Since(start); took > 2*time.Second && !rig.Slow() {
		t.Errorf("serves again after %v", took)
	}
	worker := i.OneWorker()
	if r := i.Run("server", "restart", "main"); r.Status != 6 || i.OneWorker() != worker {
		t.Errorf("a restart, which is a change: %+v", r)
	}
	if got := total(); got < counted {
		t.Errorf("%d bytes are counted, it were %d", got, counted)
	}
	disk.Free(t)
	rig.Until(t, 10*time.Second, func() error { return stored(i) })
	before := total()
	i.Daemon().Kill()
	i.Serve()
	if after := total(); after < counted || after != before {
		t.Errorf("%d bytes are counted, it were %d", after, before)
	}
}

// A machine that boots with a full disk serves all the same, and stores what
// it has counted when there is space.
func TestServeStartsOnAFullDisk(t *testing.T) {
	t.Parallel()
	i, disk, logins := installSmall(t, 1)
	if status := i.Daemon().Stop(t); status != 0 {
		t.Fatalf("SIGTERM: status %d", status)
	}
	disk.Fill(t)
	i.Serve()
	conn := i.World.Xray(t, logins...).MustOpen(t, 0, false)
	if err := conn.Download(1<<20, 0); err != nil {
		t.Fatal(err)
	}
	readable(t, i)
	if err := errors.Join(refusesChanges(i), warnsOfDisk(i)); err != nil {
		t.Error(err)
	}
	disk.Free(t)
	rig.Until(t, 10*time.Second, func() error { return stored(i) })
	want := vpn.Traffic{Up: conn.Sent(), Down: conn.Received()}
	wantUsed(t, i, "u0", want)
	i.CreateUser("late")
	i.Daemon().Kill()
	i.Serve()
	wantUsed(t, i, "u0", want)
}

// Without a daemon a command on a full disk says so, and leaves the store as
// it was.
func TestCommandOnAFullDisk(t *testing.T) {
	t.Parallel()
	for name, names := range map[string]bool{"no byte": false, "no file": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := rig.NewWorld(t).Instance(t)
			disk := rig.NewDisk(t, i, diskSize, diskFiles)
			i.CreateServer("main", port)
			i.CreateUser("alice")
			before := i.Must("users", "list", "-o", "json")
			if names {
				fillNames(t, i)
			} else {
				disk.Fill(t)
			}
			for range 3 {
				if err := refusesChanges(i); err != nil {
					t.Error(err)
				}
			}
			if r := i.Run("users", "list"); r.Status != 0 {
				t.Errorf("users list: %+v", r)
			}
			for _, name := range listFiles(t, i) {
				if strings.HasPrefix(name, "ballast") {
					if err := os.Remove(i.File(name)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if after := i.Must("users", "list", "-o", "json"); after != before {
				t.Errorf("it was\n%s\nand is\n%s", before, after)
			}
			i.CreateUser("bob")
		})
	}
}

// fillNames makes files until no more can be made.
func fillNames(t *testing.T, i *rig.Instance) {
	t.Helper()
	for k := range diskFiles + 1 {
		f, err := os.Create(i.File(fmt.Sprint("ballast", k)))
		if errors.Is(err, syscall.ENOSPC) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	t.Fatal("there is still room for files")
}

func listFiles(t *testing.T, i *rig.Instance) []string {
	t.Helper()
	paths, err := filepath.Glob(i.File("*"))
	if err != nil {
		t.Fatal(err)
	}
	for k, p := range paths {
		paths[k] = filepath.Base(p)
	}
	return paths
}

// refusesChanges returns nil if a change is refused in words that help.
func refusesChanges(i *rig.Instance) error {
	const unavailable = 6
	r := i.Run("users", "create", "nobody")
	if r.Status == 0 {
		i.Must("users", "delete", "nobody", "--yes")
		return errors.New("there is still room for a user")
	}
	for _, want := range []string{"full", "nothing was changed", i.Data, "hint:", "free"} {
		if r.Status != unavailable || !strings.Contains(r.Err, want) {
			return fmt.Errorf("status %d, %q does not say %q", r.Status, r.Err, want)
		}
	}
	return nil
}

// readable fails the test unless everything can be read.
func readable(t *testing.T, i *rig.Instance) {
	t.Helper()
	for _, args := range [][]string{
		{"users", "list"},
		{"users", "show", "u0"},
		{"users", "link", "u0"},
		{"server", "list"},
		{"server", "show", "main"},
		{"server", "logs", "main"},
		{"status"},
	} {
		if r := i.Run(args...); r.Status != 0 {
			t.Errorf("vpn %v: %+v", args, r)
		}
	}
}

// warnsOfDisk returns nil if vpn status says that the disk is full.
func warnsOfDisk(i *rig.Instance) error {
	r := i.Run("status")
	if r.Status != 0 || !strings.Contains(r.Err, "full") || !strings.Contains(r.Err, i.Data) {
		return fmt.Errorf("vpn status: %+v", r)
	}
	return nil
}

// stored returns nil once no usage waits to be stored.
func stored(i *rig.Instance) error {
	s, err := i.Status()
	for _, w := range s.Warnings {
		if strings.Contains(w, "full") || strings.Contains(w, "stored") {
			return errors.New(w)
		}
	}
	return err
}
