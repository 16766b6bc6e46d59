package vpn_test

import (
	"testing"
	"time"

	"vpn/internal/vpn"
)

func TestStatus(t *testing.T) {
	at := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	used := func(up, down uint64) vpn.Traffic { return vpn.Traffic{Up: up, Down: down} }
	for name, c := range map[string]struct {
		user vpn.User
		want vpn.UserStatus
	}{
		"no limits":                {vpn.User{Enabled: true, Used: used(5, 5)}, vpn.Active},
		"zero user":                {vpn.User{}, vpn.Disabled},
		"a moment before expiry":   {vpn.User{Enabled: true, ExpiresAt: at.Add(1)}, vpn.Active},
		"at expiry":                {vpn.User{Enabled: true, ExpiresAt: at}, vpn.Expired},
		"after expiry":             {vpn.User{Enabled: true, ExpiresAt: at.Add(-1)}, vpn.Expired},
		"a byte below quota":       {vpn.User{Enabled: true, Limits: vpn.Limits{Quota: 10}, Used: used(4, 5)}, vpn.Active},
		"a packet below quota":     {vpn.User{Enabled: true, Limits: vpn.Limits{Quota: 2e6}, Used: used(1e6, 1e6-1501)}, vpn.Active},
		"less than a packet below": {vpn.User{Enabled: true, Limits: vpn.Limits{Quota: 2e6}, Used: used(1e6, 1e6-1500)}, vpn.Limited},
		"at quota, both ways":      {vpn.User{Enabled: true, Limits: vpn.Limits{Quota: 10}, Used: used(5, 5)}, vpn.Limited},
		"beyond what can be added": {vpn.User{Enabled: true, Limits: vpn.Limits{Quota: vpn.MaxTraffic}, Used: used(vpn.MaxTraffic, vpn.MaxTraffic)}, vpn.Limited},
		"disabled and expired":     {vpn.User{ExpiresAt: at.Add(-1)}, vpn.Disabled},
		"on hold":                  {vpn.User{Enabled: true, Hold: vpn.Hold{ValidFor: 5}}, vpn.OnHold},
		"used first":               {vpn.User{Enabled: true, Hold: vpn.Hold{ValidFor: 5, FirstUsedAt: at}, ExpiresAt: at.Add(5)}, vpn.Active},
		"used up":                  {vpn.User{Enabled: true, Hold: vpn.Hold{ValidFor: 5, FirstUsedAt: at}, ExpiresAt: at}, vpn.Expired},
		"on hold and disabled":     {vpn.User{Hold: vpn.Hold{ValidFor: 5}}, vpn.Disabled},
		"on hold and limited":      {vpn.User{Enabled: true, Hold: vpn.Hold{ValidFor: 5}, Limits: vpn.Limits{Quota: 1}, Used: used(1, 0)}, vpn.Limited},
		"expired and limited":      {vpn.User{Enabled: true, ExpiresAt: at, Limits: vpn.Limits{Quota: 1}, Used: used(1, 0)}, vpn.Expired},
	} {
		if got := c.user.Status(at); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// Of the reports of a hold's first use the earliest counts; those of another
// hold, and of none, count nothing.
func TestBegin(t *testing.T) {
	held := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	u := vpn.User{ID: "u", Hold: vpn.Hold{ValidFor: 60, HeldSince: held}}
	for i, c := range []struct {
		held, at time.Duration
		changes  bool
	}{{-time.Hour, 1, false}, {0, 100 * time.Second, true}, {0, 100 * time.Second, false}, {0, 200 * time.Second, false}, {0, 99 * time.Second, true}} {
		if got := u.Begin(vpn.FirstUse{User: "u", Held: held.Add(c.held), At: held.Add(c.at)}); got != c.changes {
			t.Errorf("report %d: %t", i, got)
		}
	}
	if first := held.Add(99 * time.Second); !u.FirstUsedAt.Equal(first) || !u.ExpiresAt.Equal(first.Add(time.Minute)) || u.Holds() {
		t.Errorf("it has come to %+v", u)
	}
	if free := (vpn.User{}); free.Begin(vpn.FirstUse{At: held}) {
		t.Error("a user who is not on hold has begun")
	}
}
