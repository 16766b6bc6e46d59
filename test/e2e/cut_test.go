//go:build linux && e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
	"vpn/test/xfer"
)

const (
	others = 20   // users who move data while somebody is cut
	packet = 1420 // bytes of the largest in a tunnel
)

// A cut is a way to end a user's connections. It returns the moment from
// which on the user is no longer welcome.
type cut struct {
	name  string
	do    func(t *testing.T, i *rig.Instance, user string) time.Time
	comes bool // the user may come back at once
}

func cuts() []cut {
	command := func(args ...string) func(*testing.T, *rig.Instance, string) time.Time {
		return func(_ *testing.T, i *rig.Instance, user string) time.Time {
			start := time.Now()
			i.Must(append(args, user)...)
			return start
		}
	}
	return []cut{
		{name: "delete", do: command("users", "delete", "--yes")},
		{name: "disable", do: command("users", "disable")},
		{name: "kick", do: command("users", "kick"), comes: true},
		{name: "access", do: command("users", "update", "--server", "none")},
		{name: "rotate", do: command("users", "rotate", "--yes")},
		{name: "expiry", do: func(_ *testing.T, i *rig.Instance, user string) time.Time {
			at := time.Now().Add(2 * time.Second).Truncate(time.Second)
			i.Must("users", "update", user, "--expires", at.UTC().Format(time.RFC3339))
			return at
		}},
		{name: "quota", do: func(t *testing.T, i *rig.Instance, user string) time.Time {
			quota := i.User(user).Used.Total() + 3*pace()
			i.Must("users", "update", user, "--quota", strconv.FormatUint(quota, 10))
			// Used up is used up when the product says so, or a little earlier:
			// where whole packets are counted, when the next does not fit.
			rig.Until(t, patience(), func() error {
				users, err := i.Users()
				if err == nil && users[user].Used.Total() <= quota-packet {
					err = errors.New("the quota is not used up")
				}
				return err
			})
			return time.Now()
		}},
	}
}

// A user who is cut loses every live connection within a second, spliced and
// silent ones too; of twenty others nobody notices.
func TestACutHitsOneUserWithinASecond(t *testing.T) {
	ws := heard()
	ws[tunneled] = ways()[tunneled]
	turns := make(chan struct{}, 2) // two at a time, beside nobody else: they wait, and what they move is little
	for name, w := range ws {
		t.Run(name, func(t *testing.T) {
			if !rig.Slow() || w.protocol != "wireguard" { // which takes all there is with the race detector
				t.Parallel()
				turns <- struct{}{}
				defer func() { <-turns }()
			}
			testCuts(t, w)
		})
	}
}

func testCuts(t *testing.T, w way) {
	t.Helper()
	i, logins := w.install(t, others)
	for _, c := range cuts() {
		logins = append(logins, i.CreateUsers("victim-"+c.name+"-", 1)...)
	}
	client := w.start(i.World, t, logins...)
	client.Stall *= 2 // the machine itself may stand still for one
	busy := others
	if rig.Slow() && w.packets || w.home != nil {
		busy = 4 // with the race detector a tunnel of many busy users starves them all; beside other protocols, too
	}
	load := client.Load(t, 0, busy)
	for k, c := range cuts() {
		t.Run(c.name, func(t *testing.T) {
			login, user := others+k, "victim-"+c.name+"-0"
			var live map[string]living
			told := !w.deaf // over a tunnel ends are told as a rule, and a packet may be lost
			if !told {
				live = converseAll(t, i.World, client, login)
			} else {
				live = connectAll(t, client, login)
			}
			from := c.do(t, i, user)
			for kind, l := range live {
				ended, err := l.wait(patience())
				if err != nil {
					t.Errorf("%s: %v", kind, err)
					continue
				}
				if late := ended.Sub(from); late > time.Second && !rig.Slow() {
					t.Errorf("%s: lives on for %v", kind, late)
				}
				early := from.Sub(ended)
				if !told {
					early -= pulse // it may have been the last before that
				}
				if c.name == "expiry" && early > 0 {
					t.Errorf("%s: ended %v too early", kind, early)
				}
			}
			err := client.Refused(t.Context(), login)
			if w.packets && c.name == "quota" && err != nil {
				// What is left, less than a large packet, lets small ones in until the control plane has seen it.
				rig.Until(t, 2*time.Second, func() error { return client.Refused(t.Context(), login) })
				err = nil
			}
			switch {
			case c.comes && rig.Slow():
				rig.Until(t, patience(), func() error { return works(t, client, login) })
			case c.comes && err == nil:
				t.Error("a user who was kicked cannot come back")
			}
			if !c.comes && err != nil {
				t.Error(err)
			}
			if err := load.Err(); err != nil {
				t.Fatalf("connections of others: %v", err)
			}
		})
	}
	load.Stop(t)
}

// A new limit takes nothing from a user who keeps it.
func TestALimitThatIsKeptCutsNothing(t *testing.T) {
	t.Parallel()
	i, logins := install(t, 1)
	client := i.World.Xray(t, logins...)
	load := client.Load(t, 0, 1)
	for _, change := range [][]string{
		{"--quota", "1GB"},
		{"--quota", "2GB"},
		{"--quota", "none"},
		{"--quota", "500MB", "--devices", "3", "--connections", "30"},
		{"--expires", "30d"},
		{"--expires", "never"},
		{"--rate-down", "1gbit", "--rate-up", "1gbit"},
		{"--rate-down", "none", "--rate-up", "none"},
		{"--name", "renamed"},
	} {
		i.Must(append([]string{"users", "update", "u0"}, change...)...)
		pause(t.Context(), 300*time.Millisecond)
		if err := load.Err(); err != nil {
			t.Fatalf("%v: %v", change, err)
		}
	}
	load.Stop(t)
}

// Blocked users come back as they were.
func TestAnEnabledUserIsBack(t *testing.T) {
	t.Parallel()
	i, logins := install(t, 1)
	client := i.World.Xray(t, logins...)
	client.MustOpen(t, 0, false)
	i.Must("users", "disable", "u0")
	if err := client.Refused(t.Context(), 0); err != nil {
		t.Error(err)
	}
	i.Must("users", "enable", "u0")
	client.MustOpen(t, 0, false)

	var k vpn.Kicked
	i.JSON(&k, "users", "kick", "u0")
	if k.Connections != 1 {
		t.Errorf("kicked %d connections, one was open", k.Connections)
	}
}

// A living is a connection whose end is awaited.
type living struct {
	ended chan time.Time
}

func (l living) wait(timeout time.Duration) (time.Time, error) {
	select {
	case at := <-l.ended:
		return at, nil
	case <-time.After(timeout):
		return time.Time{}, fmt.Errorf("still alive after %v", timeout)
	}
}

// pace is at how many bytes per second victims move data.
func pace() uint64 {
	if rig.Slow() {
		return 2e5
	}
	return 2e6
}

// patience is how long is waited for what has no time to be measured by.
func patience() time.Duration {
	if rig.Slow() {
		return 30 * time.Second
	}
	return 10 * time.Second
}

// connectAll opens a connection of each kind: silent ones and busy ones, with
// and without TLS inside. They have moved data when it returns.
func connectAll(t *testing.T, c *rig.Client, login int) map[string]living {
	t.Helper()
	live := map[string]living{}
	open := func(kind string, inner bool, use func(*xfer.Conn)) {
		conn := c.MustOpen(t, login, inner)
		l := living{make(chan time.Time, 1)}
		live[kind] = l
		go func() {
			use(conn)
			l.ended <- time.Now()
		}()
		if kind[0] == 'd' {
			rig.Until(t, patience(), func() error {
				if conn.Received() < pace()/4 {
					return fmt.Errorf("%s: received %d bytes only", kind, conn.Received())
				}
				return nil
			})
		}
	}
	rate := pace()
	silent := func(c *xfer.Conn) { c.Ended(time.Minute) }
	download := func(c *xfer.Conn) { _ = c.Download(1<<40, rate) }
	upload := func(c *xfer.Conn) { _ = c.Upload(context.Background(), 1<<40, rate) }
	open("silent", false, silent)
	open("silent, TLS inside", true, silent)
	open("download", false, download)
	open("download, spliced", true, download)
	open("upload", false, upload)
	open("upload, TLS inside", true, upload)
	return live
}

// Where nobody is told of an end, something comes at least so often, and a
// connection has ended when for so long nothing came.
const (
	pulse  = 500 * time.Millisecond
	silent = 1200 * time.Millisecond
)

// converseAll is connectAll for those who are not told of an end: it is when
// the last byte has arrived.
func converseAll(t *testing.T, w *rig.World, c *rig.Client, login int) map[string]living {
	t.Helper()
	live := map[string]living{}
	silence := silent
	if rig.Slow() { // what it carries may stall
		silence *= 4
	}
	await := func(kind string, heard func() uint64) {
		l := living{make(chan time.Time, 1)}
		live[kind] = l
		go func() {
			count, last := heard(), time.Now()
			for time.Since(last) < silence {
				pause(t.Context(), 5*time.Millisecond)
				if now := heard(); now != count {
					count, last = now, time.Now()
				}
			}
			l.ended <- last
		}()
	}
	rate := pace()
	for _, inner := range []bool{false, true} {
		kind := map[bool]string{false: "", true: ", TLS inside"}[inner]
		talk := c.MustOpen(t, login, inner)
		go func() {
			for talk.Echo(1) == nil {
				pause(t.Context(), pulse/10)
			}
		}()
		await("a word now and then"+kind, talk.Received)
		down := c.MustOpen(t, login, inner)
		go func() { _ = down.Download(1<<40, rate) }()
		await("download"+kind, down.Received)
		port := 10000 + 10*login + 2*len(live)
		destination := w.Transfers(t, port)
		up, err := c.OpenAt(t.Context(), login, port, inner)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { up.Close() })
		go func() { _ = up.Upload(context.Background(), 1<<40, rate) }()
		await("upload"+kind, func() uint64 { received, _ := destination.Moved(); return received })
		rig.Until(t, patience(), func() error {
			if received, _ := destination.Moved(); min(received, down.Received()) < pace()/10 {
				return fmt.Errorf("received are %d bytes, and %d the other way", down.Received(), received)
			}
			return nil
		})
	}
	return live
}
