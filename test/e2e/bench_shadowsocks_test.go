//go:build linux && e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"vpn/test/e2e/rig"
)

// benchShadowsocks measures the product's Shadowsocks against what others run:
// Debian's ss-server, in C, and the bare library that Outline's server is made
// of. All are on one host, and one client program has a login for each.
func benchShadowsocks(t *testing.T, r *report) {
	const method = "chacha20-ietf-poly1305"
	i, logins := ways()["shadowsocks, ss-local"].install(t, 1)
	libev, outline := i.World.SSServer(t, port+1, method), i.World.BareOutline(t, port+2, method)
	client := i.World.SingBox(t, logins[0], rig.Login{Link: libev.Links[0]}, rig.Login{Link: outline.Links[0]})
	all := []named{{"ours", contender{0, i.OneWorker()}}, {"ss-server", contender{1, libev.PID()}}, {"Outline's library", contender{2, outline.PID()}}}
	for _, theirs := range all[1:] {
		b := newRace(t, r, client, "Shadowsocks, "+theirs.name, all[0].contender, theirs.contender)
		b.sessions()
		b.storm()
		b.transfer(false)
		b.transfer(true)
	}
	benchIdle(t, r, "Shadowsocks", client, all)
}

// benchKeys measures sessions on a server with many users: each is the first
// of a user, from an address that others have used, so that keys are tried.
func benchKeys(t *testing.T, r *report) {
	const sessions = 200
	i := rig.NewWorld(t).Instance(t)
	i.CreateServer("main", port, "--protocol", "shadowsocks")
	i.Serve()
	logins := grow(t, i, thousands)
	for _, keys := range []int{1000, 10_000} {
		if keys != 1000 {
			i.Must("server", "update", "main", "--keys-per-port", fmt.Sprint(keys), "--yes")
		}
		some := make([]rig.Login, sessions)
		for k, n := range rand.Perm(thousands)[:sessions] {
			some[k] = logins[n]
			if keys != 1000 {
				some[k].Link.Port = port
			}
		}
		client := i.World.SingBox(t, some...)
		worker := contender{0, i.OneWorker()}
		var first, second []time.Duration
		before := cpu(t, worker)
		for k := range sessions {
			first = append(first, open(t, client, k))
		}
		work := cpu(t, worker) - before
		for k := range sessions {
			second = append(second, open(t, client, k))
		}
		client.Kill()
		what := fmt.Sprintf("Shadowsocks, 10,000 users, %d at a port: ", keys)
		r.durations(t, what+"first session from an address", first, median, 0)
		r.durations(t, what+"the next one", second, median, 0)
		r.add(t, row{what: what + "processor time of a first session", result: fmt.Sprintf("mean %s of %d", ms(work/sessions), sessions)})
	}
}
