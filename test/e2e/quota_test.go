//go:build linux && e2e

package e2e

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// A quota stops at the byte, what the kernel splices too.
func TestQuotaStopsAtTheByte(t *testing.T) {
	t.Parallel()
	for name, w := range heard() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testQuota(t, w)
		})
	}
}

func testQuota(t *testing.T, w way) {
	t.Helper()
	cases := []struct {
		name  string
		up    bool
		inner bool   // TLS inside: it may be spliced
		rate  uint64 // 0: as fast as it goes
	}{
		{name: "download", rate: 10e6},
		{name: "download, spliced", inner: true, rate: 10e6},
		{name: "download at full speed"},
		{name: "download at full speed, spliced", inner: true},
		{name: "upload", up: true, rate: 10e6},
		{name: "upload, TLS inside", up: true, inner: true, rate: 10e6},
		{name: "upload at full speed", up: true},
		{name: "upload at full speed, TLS inside", up: true, inner: true},
	}
	cases = some(w, cases, 3, 6)
	i, logins := w.install(t, len(cases))
	client := w.start(i.World, t, logins...)
	for k, c := range cases {
		const quota = 20_000_000
		user := fmt.Sprint("u", k)
		i.Must("users", "update", user, "--quota", strconv.Itoa(quota))
		t.Run(c.name, func(t *testing.T) {
			conn := client.MustOpen(t, k, c.inner)
			var err error
			if c.up {
				err = conn.Upload(t.Context(), 100*quota, c.rate)
			} else {
				err = conn.Download(100*quota, c.rate)
			}
			if err == nil {
				t.Fatal("a hundred times the quota has passed")
			}
			used := usedUp(t, i, user)
			if used != quota {
				t.Errorf("stopped at %d of %d bytes: %+d", used, quota, int64(used)-quota)
			}
			if got := conn.Received(); !c.up && got > used {
				t.Errorf("received %d bytes, counted are %d", got, used)
			}
			if err := client.Refused(t.Context(), k); err != nil {
				t.Error(err)
			}
			i.Must("users", "update", user, "--quota", "500MB")
			if err := client.MustOpen(t, k, c.inner).Download(1000, 0); err != nil {
				t.Errorf("with a new quota: %v", err)
			}
		})
	}
}

// usedUp waits until the product says that the quota is used up, and returns
// what was used once that stands still.
func usedUp(t *testing.T, i *rig.Instance, user string) uint64 {
	t.Helper()
	last := uint64(0)
	still := time.Now()
	rig.Until(t, 10*time.Second, func() error {
		users, err := i.Users()
		if err != nil {
			return err
		}
		u := users[user]
		if total := u.Used.Total(); total != last {
			last, still = total, time.Now()
		}
		if u.Status != vpn.Limited {
			return fmt.Errorf("user %s is %s with %d bytes", user, u.Status, last)
		}
		if time.Since(still) < 1500*time.Millisecond {
			return errors.New("the count still moves")
		}
		return nil
	})
	return last
}

// The workers hold the quota while the control plane is away.
func TestQuotaHoldsWithoutTheControlPlane(t *testing.T) {
	t.Parallel()
	i, logins := install(t, 1)
	const quota = 3_000_000
	i.Must("users", "update", "u0", "--quota", strconv.Itoa(quota))
	client := i.World.Xray(t, logins...)
	conn := client.MustOpen(t, 0, false)
	i.Daemon().Kill()
	if err := conn.Download(2*quota, 0); err == nil {
		t.Error("twice the quota has passed")
	}
	if err := client.Refused(t.Context(), 0); err != nil {
		t.Error(err)
	}
	i.Serve()
	if used := usedUp(t, i, "u0"); used != quota {
		t.Errorf("used %d of %d bytes", used, quota)
	}
}
