//go:build linux && e2e

package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	_ "modernc.org/sqlite" // as another program that changes the store

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
	"vpn/test/xfer"
)

// A user's time begins with the first connection, over whichever protocol,
// and a worker ends it by itself; the control plane knows within a second, and
// learns it when it was away.
func TestValidForBeginsWithTheFirstUse(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]bool{"the control plane there": false, "away": true} {
		t.Run(name, func(t *testing.T) {
			i, links := threeProtocols(t)
			// Shorter than a person can ask for.
			const valid = 8
			patch := vpn.UserPatch{ValidFor: new(vpn.Seconds(valid))}
			if err := i.API(t.Context(), "PATCH", "/v1/users/alice", patch, nil); err != nil {
				t.Fatal(err)
			}
			if u := i.User("alice"); u.Status != vpn.OnHold || !u.ExpiresAt.IsZero() {
				t.Fatalf("before the first use: %+v", u.UserInfo)
			}
			client := i.World.SingBox(t, links...)
			if away {
				i.Daemon().Kill()
			}
			before := time.Now()
			conn := client.MustOpen(t, 2, false)
			after := time.Now()
			other := client.MustOpen(t, 1, false)
			if !away {
				rig.Until(t, 2*time.Second, func() error {
					users, err := i.Users()
					if err == nil && users["alice"].Status != vpn.Active {
						err = fmt.Errorf("alice is %s", users["alice"].Status)
					}
					return err
				})
			}
			both := []*xfer.Conn{conn, other}
			for _, c := range both {
				if err := c.Echo(10); err != nil {
					t.Errorf("while the time runs: %v", err)
				}
			}
			for _, c := range both {
				if !c.Ended(time.Until(after.Add((valid + 1) * time.Second))) {
					t.Error("a connection outlives its user's time by a second")
				}
				if early := time.Until(before.Add(valid * time.Second)); early > 0 {
					t.Errorf("cut %v too early", early)
				}
			}
			if away {
				i.Serve()
				rig.Until(t, 5*time.Second, func() error {
					users, err := i.Users()
					if err == nil && users["alice"].Status != vpn.Expired {
						err = fmt.Errorf("alice is %s", users["alice"].Status)
					}
					return err
				})
			}
			rig.Until(t, 3*time.Second, func() error { return client.Refused(t.Context(), 0) }) // where it was never used
			u := i.User("alice")
			if u.FirstUsedAt.Before(before) || u.FirstUsedAt.After(after) || !u.ExpiresAt.Equal(u.FirstUsedAt.Add(valid*time.Second)) {
				t.Errorf("first used %v, between %v and %v; it ends %v", u.FirstUsedAt, before, after, u.ExpiresAt)
			}
			if u.Status != vpn.Expired {
				t.Errorf("alice is %s", u.Status)
			}
		})
	}
}

// threeProtocols is an installation with three servers and the user alice.
func threeProtocols(t *testing.T, flags ...string) (*rig.Instance, []rig.Login) {
	t.Helper()
	i := rig.NewWorld(t).Instance(t)
	i.CreateServer("main", port)
	i.CreateServer("web", 8080, "--protocol", "http")
	i.CreateServer("socks", 1080, "--protocol", "socks5")
	i.Serve()
	var c vpn.UserChange
	i.JSON(&c, append([]string{"users", "create", "alice"}, flags...)...)
	var logins []rig.Login
	for _, a := range c.Access {
		logins = append(logins, rig.Login{Link: rig.ParseLink(t, a.Link)})
	}
	return i, logins
}

// Beyond the quota a user goes on slowly, by the connections that are live,
// what the kernel splices too, and at full speed when there is more.
func TestThrottleAfterTheQuota(t *testing.T) {
	t.Parallel()
	for name, inner := range map[string]bool{"plain": false, "spliced": true} {
		t.Run(name, func(t *testing.T) {
			i, logins := install(t, 1)
			const (
				quota = 10_000_000
				rate  = 1_000_000
			)
			i.Must("users", "update", "u0", "--quota", strconv.Itoa(quota), "--after-quota", "throttle:1MB/s")
			conn := i.World.Xray(t, logins...).MustOpen(t, 0, inner)
			go func() { _ = conn.Download(1<<40, 0) }()
			rig.Until(t, 10*time.Second, func() error {
				users, err := i.Users()
				if err == nil && users["u0"].Status != vpn.Limited {
					err = errors.New("the quota is not used up")
				}
				return err
			})
			measure := func() float64 {
				before, start := conn.Received(), time.Now()
				pause(t.Context(), 5*time.Second)
				return float64(conn.Received()-before) / time.Since(start).Seconds()
			}
			pause(t.Context(), 3*time.Second) // what was in buffers on the way
			if got := measure(); math.Abs(got-rate) > 0.15*rate {
				t.Errorf("%.2f MB/s beyond the quota, the throttle is 1", got/1e6)
			}
			i.Daemon().Kill() // the worker does it by itself
			if got := measure(); math.Abs(got-rate) > 0.15*rate {
				t.Errorf("%.2f MB/s without the control plane, the throttle is 1", got/1e6)
			}
			i.Serve()
			before := conn.Received() // here, for all of a quota passes in less time than the command takes to end
			i.Must("users", "reset", "u0")
			pause(t.Context(), time.Second)
			if got := conn.Received() - before; got < 3*rate {
				t.Errorf("%d bytes in the second after a reset", got)
			}
		})
	}
}

// A period begins anew while the control plane is there, and when it comes
// back to find that one has.
func TestAQuotaBeginsAnew(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]bool{"the control plane there": false, "away": true} {
		t.Run(name, func(t *testing.T) {
			const quota = 3_000_000
			i, logins := threeProtocols(t, "--quota", strconv.Itoa(quota), "--quota-period", "month")
			client := i.World.SingBox(t, logins...)
			if err := client.MustOpen(t, 0, false).Download(4*quota, 0); err == nil {
				t.Fatal("four times the quota has passed")
			}
			useUp(t, i, client, quota)
			due := time.Now().Add(10 * time.Second)
			i.Daemon().Kill()
			begin(t, i, due)
			if !away {
				i.Serve()
			}
			if u := client.Refused(t.Context(), 0); u != nil {
				t.Errorf("before the period ends: %v", u)
			}
			pause(t.Context(), time.Until(due.Add(time.Second)))
			if away {
				if err := client.Refused(t.Context(), 1); err != nil {
					t.Errorf("the quota was reset by nobody: %v", err)
				}
				i.Serve()
				pause(t.Context(), 2*time.Second)
			}
			for k := range logins {
				if err := works(t, client, k); err != nil {
					t.Errorf("login %d, a second after the reset: %v", k, err)
				}
			}
			u := i.User("alice")
			if len(u.Resets) != 1 || u.Resets[0].Actor != "system" || u.Resets[0].Used.Total() > quota || u.Resets[0].Used.Total() < quota-10 {
				t.Errorf("resets %+v", u.Resets)
			}
			if late := u.Resets[0].At.Sub(due); !away && (late < 0 || late > time.Second) {
				t.Errorf("reset %v after its time", late)
			}
			if !u.ResetsAt.After(time.Now()) {
				t.Errorf("it resets next at %v", u.ResetsAt)
			}
		})
	}
}

// begin sets the end of alice's period, which would be at midnight somewhere,
// in the store of a daemon that is gone.
func begin(t *testing.T, i *rig.Instance, at time.Time) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+i.File("vpn.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(`UPDATE users SET turns_at = $1, resets_at = $1 WHERE name = 'alice'`, at.UnixMicro())
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// useUp uses what is left of alice's quota until it is too little to be
// divided among the servers.
func useUp(t *testing.T, i *rig.Instance, client *rig.Client, quota uint64) {
	t.Helper()
	rig.Until(t, 30*time.Second, func() error {
		users, err := i.Users()
		if err != nil {
			return err
		}
		used := users["alice"].Used.Total()
		if used > quota {
			t.Fatalf("used %d of %d bytes", used, quota)
		} else if used > quota-10 {
			return nil
		}
		for k := range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			if conn, err := client.Open(ctx, k, false); err == nil {
				_ = conn.Download(quota, 0)
				conn.Close()
			}
			cancel()
		}
		return fmt.Errorf("used %d of %d bytes", used, quota)
	})
}

// The sum over three protocols holds while the control plane is away.
func TestOneQuotaOverThreeProtocolsWithoutTheControlPlane(t *testing.T) {
	t.Parallel()
	const quota = 9_000_000
	i, logins := threeProtocols(t, "--quota", strconv.Itoa(quota))
	client := i.World.SingBox(t, logins...)
	var conns []*xfer.Conn
	for k := range logins {
		conns = append(conns, client.MustOpen(t, k, false))
	}
	i.Daemon().Kill()
	ended := make(chan error, len(conns))
	for _, conn := range conns {
		go func() { ended <- conn.Download(quota, 4e6) }()
	}
	for range conns {
		if err := <-ended; err == nil {
			t.Error("a whole quota has passed by one of three connections")
		}
	}
	for k := range logins {
		if err := client.Refused(t.Context(), k); err != nil {
			t.Errorf("%s: %v", logins[k].Link.Scheme, err)
		}
	}
	i.Serve()
	rig.Until(t, 5*time.Second, func() error {
		users, err := i.Users()
		if err != nil {
			return err
		}
		if used := users["alice"].Used.Total(); used > quota || used < quota*9/10 {
			return fmt.Errorf("used %d of %d bytes", used, quota)
		}
		return nil
	})
}

// A phone that has changed its network is let in from the new one although its
// old connections hang about, once they have been silent for ten seconds.
func TestAPhoneThatRoams(t *testing.T) {
	t.Parallel()
	i, logins := install(t, 1)
	i.Must("users", "update", "u0", "--devices", "1")
	link := logins[0].Link
	client := i.World.Xray(t, rig.Login{Link: link, From: rig.ClientAddr(1)}, rig.Login{Link: link, From: rig.ClientAddr(2)})
	old := client.MustOpen(t, 0, false)
	if err := client.Refused(t.Context(), 1); err != nil {
		t.Error(err)
	}
	pause(t.Context(), 11*time.Second)
	phone := client.MustOpen(t, 1, false)
	if err := phone.Echo(10); err != nil {
		t.Error(err)
	}
	if !old.Ended(2 * time.Second) {
		t.Error("the old connection is still there")
	}
	if err := client.Refused(t.Context(), 0); err != nil {
		t.Errorf("the old network: %v", err)
	}
}
