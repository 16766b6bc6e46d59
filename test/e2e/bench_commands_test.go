//go:build linux && e2e

package e2e

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

const (
	thousands = 10_000 // users of a big installation
	few       = 10     // users of a small one
)

// benchBinary measures the program as users get it: in one file, static and
// stripped.
func benchBinary(t *testing.T, r *report) {
	bin := rig.NewWorld(t).Instance(t).Bin
	f, err := elf.Open(bin)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the binary is not static")
		}
	}
	if f.Section(".symtab") != nil {
		t.Error("the binary is not stripped")
	}
	info, err := os.Stat(bin)
	if err != nil {
		t.Fatal(err)
	}
	r.size(t, "the binary, static and stripped", 45e6, uint64(info.Size()))
}

// benchCommands measures what an administrator waits for.
func benchCommands(t *testing.T, r *report) {
	i, _ := install(t, few)
	benchCreate(t, r, i, few)
	logins := grow(t, i, thousands-few)
	benchCreate(t, r, i, thousands)
	r.durations(t, "`vpn version`", timed(t, i, 41, "version"), median, 20*time.Millisecond)
	const budget = 100 * time.Millisecond
	r.durations(t, "`vpn users list`, 10,000 users", timed(t, i, 21, "users", "list"), median, budget)
	r.durations(t, "`vpn users list -o json`, 10,000 users", timed(t, i, 21, "users", "list", "-o", "json"), median, 0)
	benchCut(t, r, i, logins[:20])
	memory(t, r, i, "10,000 users, none connected", 0)

	i.Daemon().Stop(t)
	r.durations(t, "`vpn users list`, 10,000 users, no daemon", timed(t, i, 21, "users", "list"), median, budget)
	var serve []time.Duration
	for range 7 {
		start := time.Now()
		i.Launch()
		i.Ready()
		serve = append(serve, time.Since(start))
		i.Daemon().Stop(t)
	}
	r.durations(t, "`vpn serve` until the server runs, 10,000 users", serve, median, 3*time.Second)
}

// timed returns how long each of n runs of a command takes as a process, after
// one that is not counted.
func timed(t *testing.T, i *rig.Instance, n int, args ...string) []time.Duration {
	t.Helper()
	i.Must(args...)
	var took []time.Duration
	for range n {
		res := i.Run(args...)
		if res.Status != 0 {
			t.Fatalf("vpn %v: %+v", args, res)
		}
		took = append(took, res.Took)
	}
	return took
}

// grow creates n users by the API, several at a time.
func grow(t *testing.T, i *rig.Instance, n int) []rig.Login {
	t.Helper()
	logins := make([]rig.Login, n)
	for k, c := range growth(t, i, n) {
		logins[k].Link = rig.ParseLink(t, c.Access[0].Link)
	}
	return logins
}

// growth is grow for users who may have no links.
func growth(t *testing.T, i *rig.Instance, n int) []vpn.UserChange {
	t.Helper()
	const atOnce = 4
	changes := make([]vpn.UserChange, n)
	errs := make([]error, n)
	each(n, atOnce, func(k int) {
		errs[k] = i.API(t.Context(), "POST", "/v1/users", vpn.NewUser{Name: fmt.Sprint("many", k)}, &changes[k])
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return changes
}

// benchCreate measures how long a new user waits: the command that creates it,
// from the start of its process to the end, and the first session. Between the
// two a client program is started with the new link, which is not counted; so
// the session is that program's first as well.
func benchCreate(t *testing.T, r *report, i *rig.Instance, others int) {
	t.Helper()
	var created, took []time.Duration
	for k := range 15 {
		var c vpn.UserChange
		name := fmt.Sprint("new", k)
		start := time.Now()
		i.JSON(&c, "users", "create", name)
		created = append(created, time.Since(start))
		if !c.Synced {
			t.Error("the answer says that no worker follows yet")
		}
		client := i.World.Xray(t, rig.Login{Link: rig.ParseLink(t, c.Access[0].Link)})
		took = append(took, created[k]+open(t, client, 0))
		client.Kill()
		i.Must("users", "delete", "--yes", name)
	}
	r.durations(t, fmt.Sprintf("`vpn users create`, %d other users", others), created, median, 0)
	r.durations(t, fmt.Sprintf("the same and the user's first session, %d other users", others), took, median, 200*time.Millisecond)
}

// benchCut measures the time from the start of a command that shuts a user out
// to the end of the user's live connection: as the destination sees it, and as
// the application behind the client program does. The connections are silent
// and busy ones, with and without TLS inside.
func benchCut(t *testing.T, r *report, i *rig.Instance, logins []rig.Login) {
	t.Helper()
	client := i.World.Xray(t, logins...)
	var outside, application []time.Duration
	for k := range logins {
		conn := client.MustOpen(t, k, k%2 == 1)
		ended := make(chan time.Time, 1)
		go func() {
			if k%4 < 2 {
				conn.Ended(time.Minute) // silent
			} else {
				_ = conn.Download(1<<40, 2e6)
			}
			ended <- time.Now()
		}()
		rig.Until(t, 10*time.Second, func() error {
			if k%4 >= 2 && conn.Received() < 500_000 {
				return errors.New("the download does not begin")
			}
			return nil
		})
		command := [][]string{{"users", "delete", "--yes"}, {"users", "disable"}}[k/4%2]
		gone := make(chan error, 1)
		start := time.Now()
		go func() {
			for len(i.World.Xfer.Live()) > 0 {
				if time.Since(start) > 10*time.Second {
					gone <- fmt.Errorf("%v: the destination still has the connection", command)
					return
				}
				pause(t.Context(), time.Millisecond)
			}
			outside = append(outside, time.Since(start))
			gone <- nil
		}()
		i.Must(append(command, fmt.Sprint("many", k))...)
		if err := <-gone; err != nil {
			t.Fatal(err)
		}
		select {
		case at := <-ended:
			application = append(application, at.Sub(start))
		case <-time.After(10 * time.Second):
			t.Fatalf("%v: the connection lives on", command)
		}
	}
	last := func(d []time.Duration) time.Duration { return quantile(d, 1) }
	const what = "cut: start of `users delete` or `disable` to the connection's end, 10,000 users, "
	r.durations(t, what+"as the destination sees it", outside, last, time.Second)
	r.durations(t, what+"as the client's application sees it", application, last, time.Second)
}
