//go:build linux && e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"vpn/test/e2e/rig"
	"vpn/test/xfer"
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
		b := race{t, r, client, "Shadowsocks, " + theirs.name, all[0].contender, theirs.contender}
		b.sessions()
		b.storm()
		b.transfer(false)
		b.transfer(true)
	}
	benchIdle(t, r, "Shadowsocks", client, all)
}

type named struct {
	name string
	contender
}

// A race is between the product and one other server.
type race struct {
	*testing.T
	r            *report
	client       *rig.Client
	name         string
	ours, theirs contender
}

// parity is what a ratio has to reach.
const parity = 0.97

// sessions measures new sessions, one at a time.
func (b race) sessions() {
	const sessions = 200
	latency, work := map[contender][]time.Duration{}, map[contender]time.Duration{}
	pairs(sessions, b.ours, b.theirs, func(c contender) {
		before := cpu(b.T, c)
		latency[c] = append(latency[c], open(b.T, b.client, c.login))
		work[c] += cpu(b.T, c) - before
	})
	b.r.ratios(b.T, b.name+": new session, time, theirs / ours", fmt.Sprintf("ours median %s, p99 %s; theirs %s, %s; processor time %s, theirs %s",
		ms(median(latency[b.ours])), ms(quantile(latency[b.ours], 0.99)), ms(median(latency[b.theirs])), ms(quantile(latency[b.theirs], 0.99)),
		ms(work[b.ours]/sessions), ms(work[b.theirs]/sessions)), ratio(latency[b.theirs], latency[b.ours]), 0)
}

// storm measures how many sessions a server takes when many come at once.
func (b race) storm() {
	const rounds, sessions, atOnce = 8, 400, 32
	rate, latency := map[contender][]float64{}, map[contender][]time.Duration{}
	pairs(rounds, b.ours, b.theirs, func(c contender) {
		took, errs := make([]time.Duration, sessions), make([]error, sessions)
		start := time.Now()
		each(sessions, atOnce, func(k int) {
			ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
			defer cancel()
			begin := time.Now()
			conn, err := b.client.Open(ctx, c.login, false)
			if errs[k] = err; err == nil {
				took[k] = time.Since(begin)
				conn.Close()
			}
		})
		rate[c] = append(rate[c], sessions/time.Since(start).Seconds())
		latency[c] = append(latency[c], took...)
		if err := errors.Join(errs...); err != nil {
			b.Fatal(err)
		}
	})
	b.r.ratios(b.T, fmt.Sprintf("%s: new sessions per second, %d at once, ours / theirs", b.name, atOnce), fmt.Sprintf("ours %.0f, p99 %s; theirs %.0f, p99 %s",
		median(rate[b.ours]), ms(quantile(latency[b.ours], 0.99)), median(rate[b.theirs]), ms(quantile(latency[b.theirs], 0.99))),
		ratio(rate[b.ours], rate[b.theirs]), parity)
}

// transfer measures bulk transfers.
func (b race) transfer(up bool) {
	const n, size = 12, 256 << 20
	what, move := b.name+": download", (*xfer.Conn).Pull
	if up {
		what, move = b.name+": upload", (*xfer.Conn).Push
	}
	speed, work := map[contender][]float64{}, map[contender][]float64{}
	one := func(c contender) {
		ctx, cancel := context.WithTimeout(b.Context(), 30*time.Second)
		defer cancel()
		conn, err := b.client.Open(ctx, c.login, false)
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		before, start := cpu(b.T, c), time.Now()
		if err := move(conn, size); err != nil {
			b.Fatal(err)
		}
		took := time.Since(start)
		speed[c] = append(speed[c], size/1e6/took.Seconds())
		work[c] = append(work[c], (cpu(b.T, c)-before).Seconds()*(1<<30)/size)
	}
	one(b.ours) // which is not counted
	one(b.theirs)
	clear(speed)
	clear(work)
	pairs(n, b.ours, b.theirs, one)
	b.r.ratios(b.T, what+": speed, ours / theirs", fmt.Sprintf("ours %.0f, theirs %.0f MB/s", median(speed[b.ours]), median(speed[b.theirs])),
		ratio(speed[b.ours], speed[b.theirs]), parity)
	b.r.ratios(b.T, what+": processor time per byte, theirs / ours", fmt.Sprintf("ours %.3f, theirs %.3f s/GiB", median(work[b.ours]), median(work[b.theirs])),
		ratio(work[b.theirs], work[b.ours]), parity)
}

// benchIdle measures what a server keeps for a connection on which nothing
// moves.
func benchIdle(t *testing.T, r *report, over string, client *rig.Client, all []named) {
	t.Helper()
	const conns = 500
	for _, c := range all {
		before, err := rig.Memory(c.pid)
		if err != nil {
			t.Fatal(err)
		}
		open := make([]*xfer.Conn, conns)
		errs := make([]error, conns)
		each(conns, 16, func(k int) {
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			open[k], errs[k] = client.Open(ctx, c.login, false)
		})
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		pause(t.Context(), 10*time.Second)
		after, err := rig.Memory(c.pid)
		if err != nil {
			t.Fatal(err)
		}
		for _, conn := range open {
			conn.Close()
		}
		r.add(t, row{what: over + ": memory (PSS) for a live connection, " + c.name, result: fmt.Sprintf("%.1f KB (%d of them)", float64(after-min(before, after))/conns/1e3, conns)})
	}
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
		r.add(t, row{what: what + "processor time of a first session", result: ms(work / sessions)})
	}
}
