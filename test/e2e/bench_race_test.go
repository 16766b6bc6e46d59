//go:build linux && e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"vpn/test/e2e/rig"
	"vpn/test/xfer"
)

type named struct {
	name string
	contender
}

// A race is between the product and one other server.
type race struct {
	*testing.T
	r            *report
	client       opener
	name         string
	ours, theirs contender
	us, them     string  // how the two are called
	size         uint64  // of a bulk transfer, in bytes
	goal         float64 // what the ratio of bulk transfers has to reach; 0: it is reported only
}

// An opener goes through a contender to the transfer server.
type opener interface {
	Open(ctx context.Context, login int, inner bool) (*xfer.Conn, error)
}

// parity is what a ratio has to reach.
const parity = 0.97

func newRace(t *testing.T, r *report, client opener, name string, ours, theirs contender) race {
	return race{t, r, client, name, ours, theirs, "ours", "theirs", 256 << 20, parity}
}

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
	const n = 12
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
		if err := move(conn, b.size); err != nil {
			b.Fatal(err)
		}
		took := time.Since(start)
		speed[c] = append(speed[c], float64(b.size)/1e6/took.Seconds())
		work[c] = append(work[c], (cpu(b.T, c)-before).Seconds()*(1<<30)/float64(b.size))
	}
	one(b.ours) // which is not counted
	one(b.theirs)
	clear(speed)
	clear(work)
	pairs(n, b.ours, b.theirs, one)
	b.r.ratios(b.T, fmt.Sprintf("%s: speed, %s / %s", what, b.us, b.them), fmt.Sprintf("%s %.0f, %s %.0f MB/s", b.us, median(speed[b.ours]), b.them, median(speed[b.theirs])),
		ratio(speed[b.ours], speed[b.theirs]), b.goal)
	b.r.ratios(b.T, fmt.Sprintf("%s: processor time per byte, %s / %s", what, b.them, b.us), fmt.Sprintf("%s %.3f, %s %.3f s/GiB", b.us, median(work[b.ours]), b.them, median(work[b.theirs])),
		ratio(work[b.theirs], work[b.ours]), b.goal)
}

// benchIdle measures what a server keeps for a connection on which nothing
// moves.
func benchIdle(t *testing.T, r *report, over string, client opener, all []named) {
	t.Helper()
	const conns = 500
	for _, c := range all {
		before, err := rig.FamilyMemory(c.pid)
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
		after, err := rig.FamilyMemory(c.pid)
		if err != nil {
			t.Fatal(err)
		}
		for _, conn := range open {
			conn.Close()
		}
		r.add(t, row{what: over + ": memory (PSS) for a live connection, " + c.name, result: fmt.Sprintf("%.1f KB (%d of them)", float64(after-min(before, after))/conns/1e3, conns)})
	}
}
