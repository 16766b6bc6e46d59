//go:build linux && e2e

package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"vpn/test/e2e/rig"
)

// What follows a log shows what a live worker logs, goes on through its
// restart and the log's rotation, and misses no line.
func TestFollowLogs(t *testing.T) {
	t.Parallel()
	i, _ := install(t, 0)
	follow := followLogs(i, t)
	workers := []int{i.OneWorker()}
	rig.Until(t, 5*time.Second, func() error { return printed(follow, runs(workers[0])) })

	const rotates = 10 << 20
	for _, large := range []bool{false, true} {
		if large {
			log, err := os.OpenFile(logFile(t, i), os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			line := strings.Repeat("x", 1023) + "\n"
			if _, err := log.WriteString(strings.Repeat(line, rotates/len(line)+1)); err != nil {
				t.Fatal(err)
			}
			log.Close()
		}
		i.Must("server", "restart", "main", "--yes")
		pid := i.OneWorker()
		rig.Until(t, 5*time.Second, func() error { return printed(follow, runs(pid)) })
		workers = append(workers, pid)
	}
	if _, err := os.Stat(logFile(t, i) + ".1"); err != nil {
		t.Errorf("the log was not rotated: %v", err)
	}
	text := follow.Output()
	for k, pid := range workers {
		if n := strings.Count(text, runs(pid)); n != 1 {
			t.Errorf("worker %d begins %d times", k, n)
		}
	}
	if n := strings.Count(text, "worker ends"); n != 2 {
		t.Errorf("%d workers end, want 2", n)
	}

	follow.Signal(os.Interrupt)
	if status := follow.Wait(t, 5*time.Second); status != 130 {
		t.Errorf("^C: status %d", status)
	}

	// The end of the daemon ends it too, and does not wait for it.
	follow = followLogs(i, t)
	rig.Until(t, 5*time.Second, func() error { return printed(follow, runs(workers[2])) })
	start := time.Now()
	if status := i.Daemon().Stop(t); status != 0 {
		t.Errorf("SIGTERM: status %d", status)
	}
	if took := time.Since(start); took > 4*time.Second && !rig.Slow() {
		t.Errorf("the daemon takes %v to end", took)
	}
	if status := follow.Wait(t, 5*time.Second); status != 0 {
		t.Errorf("at the daemon's end: status %d\n%s", status, follow.Output())
	}
}

// Without a daemon a log can be followed too, and a daemon can begin meanwhile.
func TestFollowLogsWithoutADaemon(t *testing.T) {
	t.Parallel()
	i, _ := install(t, 0)
	before := i.OneWorker()
	i.Daemon().Stop(t)
	follow := followLogs(i, t)
	rig.Until(t, 15*time.Second, func() error { return printed(follow, runs(before)) })
	i.Serve()
	rig.Until(t, 15*time.Second, func() error { return printed(follow, runs(i.OneWorker())) })
	follow.Signal(os.Interrupt)
	if status := follow.Wait(t, 5*time.Second); status != 130 {
		t.Errorf("^C: status %d", status)
	}
}

func followLogs(i *rig.Instance, t *testing.T) *rig.Process {
	t.Helper()
	return i.World.Server.Spawn(t, []string{"VPN_DATA_DIR=" + i.Data}, i.Bin, "server", "logs", "main", "-f")
}

// runs is what a worker logs first.
func runs(pid int) string { return fmt.Sprintf("msg=\"worker runs\" pid=%s ", strconv.Itoa(pid)) }

// logFile is where the one server's worker logs.
func logFile(t *testing.T, i *rig.Instance) string {
	t.Helper()
	return i.File("logs/" + string(daemonStatus(t, i).Servers[0].ID) + ".log")
}
