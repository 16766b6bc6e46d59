//go:build linux && e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"syscall"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// The control plane is killed twenty times under traffic, every second time
// within its first 20 ms. No connection drops, no byte is lost or counted
// twice, and one worker is there all the time: the same.
func TestControlPlaneKilledTwentyTimes(t *testing.T) {
	for _, name := range []string{"vless, xray", "https, sing-box", "socks5, sing-box", "shadowsocks, ss-local", tunneled, "wireguard, userspace"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // beside its likes only
			testKills(t, ways()[name], 20)
		})
	}
	for _, name := range []string{"http, sing-box", "shadowsocks 2022, sing-box"} { // near relatives of those
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testKills(t, ways()[name], 6)
		})
	}
}

func testKills(t *testing.T, w way, kills int) {
	t.Helper()
	const users = 20
	i, logins := w.install(t, users)
	client := w.start(i.World, t, logins...)
	client.Stall *= 2 // while programs start and die, the machine itself may stand still for one
	load := client.Load(t, 0, users)
	worker := i.OneWorker()
	var late []time.Duration
	for k := range kills {
		i.Daemon().Kill()
		if k%2 == 0 {
			i.Launch()
			pause(t.Context(), rand.N(20*time.Millisecond))
		} else {
			i.Launch()
			if took := i.Ready(); took > 2*time.Second && !rig.Slow() {
				late = append(late, took)
			}
			pause(t.Context(), 100*time.Millisecond+rand.N(400*time.Millisecond)) // long enough to sample and to commit, or not
		}
		if err := load.Err(); err != nil {
			t.Fatalf("kill %d: %v", k, err)
		}
		if pids := i.Workers(); len(pids) != 1 || pids[0] != worker {
			t.Fatalf("kill %d: workers %v, it was %d", k, pids, worker)
		}
	}
	if len(late) > 1 { // once, the disk may have kept everybody waiting
		t.Errorf("after %d of %d kills the API was back late: %v", len(late), kills, late)
	}
	i.Daemon().Kill()
	i.Serve()
	moved := load.Stop(t)
	for k, want := range moved {
		wantCounted(t, i, fmt.Sprint("u", k), func() vpn.Traffic { return w.counts(client, k, want) })
	}
	enough := uint64(kills) << 18 // 20 users would move this much in 32 ms
	if rig.Slow() {
		enough >>= 3
	}
	if all := sum(moved); all.Up < enough {
		t.Errorf("only %+v has moved meanwhile", all)
	}
	if pid := i.OneWorker(); pid != worker {
		t.Errorf("worker %d has taken the place of %d", pid, worker)
	}
}

// A control plane that dies while it starts its first worker leaves none
// behind that the next one does not find.
func TestControlPlaneKilledWhileAWorkerIsBorn(t *testing.T) {
	i := rig.NewWorld(t).Instance(t)
	i.CreateServer("main", port)
	user := i.CreateUser("alice")
	for k := range 20 {
		daemon := i.Launch()
		if k%2 == 0 {
			pause(t.Context(), rand.N(20*time.Millisecond))
		} else {
			pause(t.Context(), rand.N(100*time.Millisecond))
		}
		daemon.Kill()
		atMostOne(t, i)
	}
	i.Serve()
	i.OneWorker()
	atMostOne(t, i)
	if err := i.World.Xray(t, rig.Login{Link: user}).MustOpen(t, 0, true).Download(1<<20, 0); err != nil {
		t.Error(err)
	}
}

// Whoever asks a control plane something in its first moment gets an answer,
// and nothing that the control plane forgets for it: changes still reach the
// worker.
func TestAskedWhileItStarts(t *testing.T) {
	for k := range 4 {
		t.Run(strconv.Itoa(k), func(t *testing.T) {
			t.Parallel()
			testStarts(t, 10)
		})
	}
}

func testStarts(t *testing.T, starts int) {
	t.Helper()
	i, _ := install(t, 1)
	for k := range starts {
		i.Daemon().Kill()
		i.Launch()
		i.Ready() // asks all the time
		var c vpn.UserChange
		verb := []string{"disable", "enable"}[k%2]
		i.JSON(&c, "users", verb, "u0")
		if !c.Synced {
			t.Fatalf("start %d: a change does not reach the worker", k)
		}
	}
}

// A worker that does not answer keeps its port: nobody may start a second one
// beside it, whoever has lost patience.
func TestAStoppedWorkerStaysAlone(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]bool{"the control plane stays": false, "the control plane is killed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, logins := install(t, 1)
			client := i.World.Xray(t, logins...)
			client.MustOpen(t, 0, false)
			worker := i.OneWorker()
			rig.Signal(t, worker, syscall.SIGSTOP)
			t.Cleanup(func() { rig.Signal(t, worker, syscall.SIGCONT) })
			if restart {
				i.Daemon().Kill()
				i.Launch()
			}
			rig.Throughout(t, 12*time.Second, func() error { return moreThanOne(i) })
			rig.Signal(t, worker, syscall.SIGCONT)
			rig.Until(t, 15*time.Second, func() error {
				if err := moreThanOne(i); err != nil {
					t.Fatal(err)
				}
				return works(t, client, 0)
			})
			i.OneWorker()
		})
	}
}

func atMostOne(t *testing.T, i *rig.Instance) {
	t.Helper()
	if err := moreThanOne(i); err != nil {
		t.Fatal(err)
	}
}

// moreThanOne returns an error if two workers live, or two sockets listen on
// the server's port.
func moreThanOne(i *rig.Instance) error {
	if pids := i.Workers(); len(pids) > 1 {
		return fmt.Errorf("workers %v", pids)
	}
	listening, err := i.World.Server.Listening()
	if err == nil && listening[port] > 1 {
		err = fmt.Errorf("%d sockets listen on port %d", listening[port], port)
	}
	return err
}
