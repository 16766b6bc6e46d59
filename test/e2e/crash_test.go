//go:build linux && e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
	"vpn/test/xfer"
)

// A worker that is killed serves again within two seconds, and what it had
// counted is known but for the last second.
func TestWorkerKilled(t *testing.T) {
	const users, rate = 5, 1_000_000
	i, logins := install(t, users)
	client := i.World.Xray(t, logins...)
	conns := make([]*xfer.Conn, users)
	for k := range conns {
		conns[k] = client.MustOpen(t, k, k%2 == 1)
		if k%2 == 0 {
			go func() { _ = conns[k].Download(1<<40, rate) }()
		} else {
			go func() { _ = conns[k].Upload(context.Background(), 1<<40, rate) }()
		}
	}
	pause(t.Context(), 3300*time.Millisecond)
	worker := i.OneWorker()
	start := time.Now()
	rig.Signal(t, worker, syscall.SIGKILL)
	rig.Until(t, 10*time.Second, func() error { return works(t, client, 0) })
	if took := time.Since(start); took > 2*time.Second && !rig.Slow() {
		t.Errorf("serves again after %v", took)
	}
	if pid := i.OneWorker(); pid == worker {
		t.Error("the killed worker is still there")
	}

	var moved, counted uint64
	list, err := i.Users()
	if err != nil {
		t.Fatal(err)
	}
	for k, conn := range conns {
		conn.Close()
		moved += conn.Sent() + conn.Received()
		counted += list[fmt.Sprint("u", k)].Used.Total()
	}
	if lost := int64(moved) - int64(counted); lost > users*rate || counted == 0 {
		t.Errorf("%d bytes have moved, %d are counted: %d lost, more than the last second", moved, counted, lost)
	}

	// From here on every byte counts again.
	before := list["u4"].Used
	again := client.MustOpen(t, 4, true)
	if err := again.Download(1<<20, 0); err != nil {
		t.Fatal(err)
	}
	wantUsed(t, i, "u4", before.Add(vpn.Traffic{Up: again.Sent(), Down: again.Received()}))
}

// An orderly stop loses nothing, and a start brings back what there was.
func TestStopAndStart(t *testing.T) {
	t.Parallel()
	i, logins := install(t, 1)
	client := i.World.Xray(t, logins...)
	conn := client.MustOpen(t, 0, true)
	if err := conn.Download(5<<20, 0); err != nil {
		t.Fatal(err)
	}
	want := vpn.Traffic{Up: conn.Sent(), Down: conn.Received()}
	i.Must("server", "stop", "main", "--yes")
	if !conn.Ended(3 * time.Second) {
		t.Error("a connection outlives its server")
	}
	if err := client.Refused(t.Context(), 0); err != nil {
		t.Error(err)
	}
	if pids := i.Workers(); len(pids) > 0 {
		t.Errorf("workers %v of a stopped server", pids)
	}
	wantUsed(t, i, "u0", want)
	i.Must("server", "start", "main")
	rig.Until(t, 5*time.Second, func() error { return works(t, client, 0) })

	status := i.Daemon().Stop(t)
	if status != 0 {
		t.Errorf("SIGTERM: status %d", status)
	}
	if pids := i.Workers(); len(pids) > 0 {
		t.Errorf("in the foreground, SIGTERM leaves workers %v", pids)
	}
	if used := i.User("u0").Used; used.Down <= want.Down {
		t.Errorf("without a daemon: %+v, it was %+v", used, want)
	}
}

// A daemon on a data directory that has one is refused, and disturbs nothing.
func TestASecondDaemonIsRefused(t *testing.T) {
	t.Parallel()
	i, logins := install(t, 1)
	client := i.World.Xray(t, logins...)
	conn := client.MustOpen(t, 0, false)
	worker := i.OneWorker()
	if r := i.Run("serve"); r.Status == 0 {
		t.Errorf("a second daemon: %+v", r)
	}
	if err := errors.Join(conn.Echo(10), moreThanOne(i), works(t, client, 0)); err != nil {
		t.Error(err)
	}
	if pid := i.OneWorker(); pid != worker {
		t.Errorf("worker %d has taken the place of %d", pid, worker)
	}
}
