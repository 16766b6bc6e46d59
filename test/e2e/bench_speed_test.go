//go:build linux && e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"vpn/test/e2e/rig"
	"vpn/test/xfer"
)

// A contender is one of the two servers that a client can go through.
type contender struct {
	login int
	pid   int
}

// benchSpeed measures the product against the bare engine: two servers on one
// host with one site to hide behind, one client program with a login for each.
// They take turns, A B B A, so that a drift of the machine's speed hits both.
func benchSpeed(t *testing.T, r *report) {
	i, logins := install(t, 1)
	bare := i.World.Bare(t, port+1, 1)
	client := i.World.Xray(t, logins[0], rig.Login{Link: bare.Links[0]})
	ours, theirs := contender{0, i.OneWorker()}, contender{1, bare.PID()}
	for _, c := range []contender{ours, theirs} {
		open(t, client, c.login) // a bare server lets its first client wait for 5 s
	}
	benchSessions(t, r, client, ours, theirs)
	for _, inner := range []bool{false, true} {
		for _, up := range []bool{false, true} {
			benchTransfer(t, r, client, ours, theirs, bulk{inner: inner, up: up})
		}
	}
	// The kernel gives one user only so many pipes, by which it splices; root,
	// as whom the bare server runs, gets more. Silent connections must not
	// hold them.
	const others = 100
	for k := range 2 * others {
		if err := client.MustOpen(t, k%2, true).Pull(1 << 20); err != nil {
			t.Fatal(err)
		}
	}
	benchTransfer(t, r, client, ours, theirs, bulk{inner: true, beside: others})
}

// pairs runs f for both contenders n times, in turn.
func pairs(n int, ours, theirs contender, f func(contender)) {
	for k := range n {
		if k%2 == 0 {
			f(ours)
			f(theirs)
		} else {
			f(theirs)
			f(ours)
		}
	}
}

// ratio divides pair by pair.
func ratio[T float64 | time.Duration](a, b []T) []float64 {
	var q []float64
	for k := range a {
		q = append(q, float64(a[k])/float64(b[k]))
	}
	return q
}

// benchSessions measures new sessions, from the SOCKS request to the last of
// three bytes that came back one by one.
func benchSessions(t *testing.T, r *report, client *rig.Client, ours, theirs contender) {
	t.Helper()
	const sessions = 200
	latency := map[contender][]time.Duration{}
	work := map[contender]time.Duration{}
	pairs(sessions, ours, theirs, func(c contender) {
		before := cpu(t, c)
		latency[c] = append(latency[c], open(t, client, c.login))
		work[c] += cpu(t, c) - before
	})
	r.ratios(t, "new session, time, bare / ours", fmt.Sprintf("ours median %s, p95 %s; bare %s, %s",
		ms(median(latency[ours])), ms(quantile(latency[ours], 0.95)), ms(median(latency[theirs])), ms(quantile(latency[theirs], 0.95))),
		ratio(latency[theirs], latency[ours]), 0)
	r.add(t, row{what: "new session, processor time of the server", result: fmt.Sprintf("ours %s, bare %s (mean of %d)",
		ms(work[ours]/sessions), ms(work[theirs]/sessions), sessions)})
}

// bulk is a kind of transfer.
type bulk struct {
	inner  bool // TLS inside
	up     bool
	beside int // connections that are open meanwhile and silent
}

func (b bulk) String() string {
	s := "download"
	if b.up {
		s = "upload"
	}
	if b.inner {
		s += ", TLS 1.3 inside (Vision)"
	} else {
		s += ", plain inside"
	}
	if b.beside > 0 {
		s += fmt.Sprintf(", %d others silent", b.beside)
	}
	return s
}

// benchTransfer measures bulk transfers, each on a connection of its own that
// has exchanged a few bytes before: a bulk flow without may never find the
// place where Vision goes over to splicing, on either server.
func benchTransfer(t *testing.T, r *report, client *rig.Client, ours, theirs contender, b bulk) {
	t.Helper()
	const n, size, budget = 12, 1 << 30, 0.97
	move := (*xfer.Conn).Pull
	if b.up {
		move = (*xfer.Conn).Push
	}
	speed, work := map[contender][]float64{}, map[contender][]float64{}
	transfer := func(c contender) (mbps, secondsPerGiB float64) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		conn, err := client.Open(ctx, c.login, b.inner)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		before, start := cpu(t, c), time.Now()
		if err := move(conn, size); err != nil {
			t.Fatal(err)
		}
		took, used := time.Since(start), cpu(t, c)-before
		return size / 1e6 / took.Seconds(), used.Seconds() * (1 << 30) / size
	}
	transfer(ours)
	transfer(theirs)
	pairs(n, ours, theirs, func(c contender) {
		mbps, perGiB := transfer(c)
		speed[c] = append(speed[c], mbps)
		work[c] = append(work[c], perGiB)
	})
	r.ratios(t, b.String()+": speed, ours / bare",
		fmt.Sprintf("ours %.0f, bare %.0f MB/s", median(speed[ours]), median(speed[theirs])), ratio(speed[ours], speed[theirs]), budget)
	r.ratios(t, b.String()+": processor time per byte, bare / ours",
		fmt.Sprintf("ours %.3f, bare %.3f s/GiB", median(work[ours]), median(work[theirs])), ratio(work[theirs], work[ours]), budget)
}

// cpu returns the processor time that a contender has used, with all the
// processes that it has made.
func cpu(t *testing.T, c contender) time.Duration {
	t.Helper()
	d, err := rig.FamilyCPU(c.pid)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
