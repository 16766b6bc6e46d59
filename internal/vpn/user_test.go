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
		"at quota, both ways":      {vpn.User{Enabled: true, Limits: vpn.Limits{Quota: 10}, Used: used(5, 5)}, vpn.Limited},
		"beyond what can be added": {vpn.User{Enabled: true, Limits: vpn.Limits{Quota: vpn.MaxTraffic}, Used: used(vpn.MaxTraffic, vpn.MaxTraffic)}, vpn.Limited},
		"disabled and expired":     {vpn.User{ExpiresAt: at.Add(-1)}, vpn.Disabled},
		"expired and limited":      {vpn.User{Enabled: true, ExpiresAt: at, Limits: vpn.Limits{Quota: 1}, Used: used(1, 0)}, vpn.Expired},
	} {
		if got := c.user.Status(at); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
