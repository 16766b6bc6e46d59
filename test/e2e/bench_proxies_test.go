//go:build linux && e2e

package e2e

import (
	"testing"

	"vpn/test/e2e/rig"
)

// benchProxies measures the product's proxies against Debian's: HTTP's CONNECT
// against tinyproxy and squid, SOCKS5's against dante. Each asks for a
// password, as ours do. The test itself is the client.
func benchProxies(t *testing.T, r *report) {
	for _, tt := range []struct {
		name, protocol string
		theirs         []peer
	}{
		{"HTTP CONNECT", "http", []peer{{"tinyproxy", rig.TinyProxy}, {"squid", rig.Squid}}},
		{"SOCKS5", "socks5", []peer{{"dante", rig.Dante}}},
	} {
		i, logins := way{protocol: tt.protocol}.install(t, 1)
		links := []rig.Link{logins[0].Link}
		all := []named{{"ours", contender{0, i.OneWorker()}}}
		for k, p := range tt.theirs {
			s := p.start(t, i.World, port+1+k)
			links = append(links, s.Links[0])
			all = append(all, named{p.name, contender{1 + k, s.PID()}})
		}
		client := rig.NewDirect(i.World, links...)
		for _, theirs := range all[1:] {
			b := newRace(t, r, client, tt.name+", "+theirs.name, all[0].contender, theirs.contender)
			b.sessions()
			b.storm()
			b.transfer(false)
			b.transfer(true)
		}
		benchIdle(t, r, tt.name, client, all)
	}
}

// A peer is a server of another make.
type peer struct {
	name  string
	start func(testing.TB, *rig.World, int) *rig.BareServer
}
