//go:build linux && e2e

package e2e

import (
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// An update of any protocol says beforehand how many connections it ends, and
// ends no others. (VLESS: TestAnUpdateDropsNobody.)
func TestUpdatesEndWhatTheySay(t *testing.T) {
	t.Parallel()
	for name, updates := range map[string][]struct {
		flags []string
		drops bool // the last one only
	}{
		"socks5, sing-box": {
			{flags: []string{"--deny-port", "25", "--deny-destination", "*.example.net"}},
			{flags: []string{"--source", "203.0.113.0/24", "--request-rate", "600/m"}},
			{flags: []string{"--udp-ports", "42000-42099"}},
			{flags: []string{"--allow", "10.0.0.0/8"}},
			{flags: []string{"--port", "1081"}},
			{flags: []string{"--port", "442"}, drops: true}, // a worker that may bind it
		},
		"http, sing-box": {
			{flags: []string{"--allow-port", "1-65535"}},
			{flags: []string{"--tls"}},
			{flags: []string{"--port", "8443"}},
		},
		"shadowsocks, sing-box": {
			{flags: []string{"--prefix", "POST%20"}},
			{flags: []string{"--keys-per-port", "1"}},
			{flags: []string{"--method", "chacha20-ietf-poly1305"}},
			{flags: []string{"--port", "8443"}},
			{flags: []string{"--prefix", ""}},
			{flags: []string{"--method", "2022-blake3-aes-256-gcm"}, drops: true},
		},
		"shadowsocks 2022, sing-box": {
			{flags: []string{"--method", "2022-blake3-aes-256-gcm"}},
			{flags: []string{"--port", "8443"}},
			{flags: []string{"--method", "aes-256-gcm"}, drops: true},
		},
		tunneled: {
			{flags: []string{"--dns", rig.OutsideAddr, "--keepalive", "20", "--allowed-ip", "0.0.0.0/0"}},
			{flags: []string{"--allow", "10.0.0.0/8"}},
			{flags: []string{"--port", "8443"}},
			{flags: []string{"--mtu", "1380"}, drops: true},
		},
		"wireguard, userspace": {
			{flags: []string{"--port", "8443"}},
			{flags: []string{"--carrier", "tun"}, drops: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := ways()[name]
			i := rig.NewWorld(t).Instance(t)
			i.CreateServer("main", 8445, append([]string{"--protocol", w.protocol}, w.flags...)...) // a port that any worker may bind
			i.Serve()
			client := w.start(i.World, t, i.CreateUsers("u", 2)...)
			first, second := client.MustOpen(t, 0, false), client.MustOpen(t, 1, true)
			worker := i.OneWorker()
			for _, u := range updates {
				var said, done vpn.ServerChange
				command := append([]string{"server", "update", "main", "--yes"}, u.flags...)
				i.JSON(&said, append(command, "--dry-run")...)
				want := 0
				if u.drops {
					want = 2
				}
				if said.Connections != want || said.Effects == nil || said.Effects.Drops != u.drops {
					t.Errorf("%v: said are %d connections and %+v, want %d", u.flags, said.Connections, said.Effects, want)
				}
				alive(t, "after what was not done", first, second)
				i.JSON(&done, command...)
				if !done.Synced || done.Effects == nil || done.Effects.Drops != u.drops {
					t.Errorf("%v: synced %v, effects %+v", u.flags, done.Synced, done.Effects)
				}
				if !u.drops {
					alive(t, u.flags[0], first, second)
					if now := i.OneWorker(); now != worker {
						t.Errorf("%v: the worker was %d and is %d", u.flags, worker, now)
					}
					continue
				}
				if !w.deaf && (!first.Ended(5*time.Second) || !second.Ended(5*time.Second)) {
					t.Errorf("%v: a connection goes on that was said to end", u.flags)
				}
			}
		})
	}
}
