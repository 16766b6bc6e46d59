//go:build linux && e2e

package e2e

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"vpn/test/e2e/rig"
	"vpn/test/xfer"
)

// One user's rate holds over three servers of three protocols together, either
// way.
func TestRateIsSharedByServers(t *testing.T) {
	for name, test := range map[string]func(*testing.T){"down": testSharedRateDown, "up": testSharedRateUp} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // with nobody else: what each takes is little, and they wait
			test(t)
		})
	}
}

// The rate is there two seconds after the flows have begun or one of them has
// stopped, whether or not the control plane lives; and nobody else is touched.
func testSharedRateDown(t *testing.T) {
	t.Helper()
	i := newTrio(t, "--rate-down", "10MB/s")
	others := i.World.Xray(t, loginsOf(t, i.Instance, "other")...).Load(t, 0, 3)
	client := i.World.Xray(t, i.logins...)

	alone := pull(t, client, 0, true)
	pause(t.Context(), 2*time.Second)
	each, sum := speeds(t.Context(), 2*time.Second, alone)
	wantSpeed(t, "alone on one of three servers", each, sum)

	all := []puller{alone, pull(t, client, 1, false), pull(t, client, 2, false)}
	pause(t.Context(), 2*time.Second)
	each, sum = speeds(t.Context(), 3*time.Second, all...)
	wantSpeed(t, "on three servers at once", each, sum)
	for k, v := range each {
		if v < sharedRate/3*0.8 {
			t.Errorf("server %d is left with %.2f MB/s", k, v/1e6)
		}
	}

	i.Daemon().Kill()
	each, sum = speeds(t.Context(), 3*time.Second, all...)
	wantSpeed(t, "the control plane is away", each, sum)
	i.Serve()
	each, sum = speeds(t.Context(), 2*time.Second, all...)
	wantSpeed(t, "another control plane has adopted the workers", each, sum)

	all[1].Close()
	pause(t.Context(), 2*time.Second)
	each, sum = speeds(t.Context(), 2*time.Second, all[0], all[2])
	wantSpeed(t, "one of three has stopped", each, sum)

	i.Daemon().Kill()
	late := pull(t, client, 1, false)
	pause(t.Context(), time.Second)
	each, sum = speeds(t.Context(), 2*time.Second, all[0], all[2], late)
	wantSpeed(t, "one comes while the control plane is away", each, sum)
	if each[2] < sharedRate/100 {
		t.Errorf("who comes while the control plane is away is left with %.3f MB/s", each[2]/1e6)
	}
	i.Serve()
	pause(t.Context(), 2*time.Second)
	each, sum = speeds(t.Context(), 2*time.Second, all[0], all[2], late)
	wantSpeed(t, "the control plane is back", each, sum)
	if each[2] < sharedRate/3*0.8 {
		t.Errorf("who came meanwhile is left with %.2f MB/s", each[2]/1e6)
	}
	others.Stop(t)
}

// A single flow among three servers has nearly all after a poll, wherever it
// begins.
func testSharedRateUp(t *testing.T) {
	t.Helper()
	i := newTrioWith(t, thirds["shadowsocks"], "--rate-up", "10MB/s")
	client := i.World.SingBox(t, i.logins...)
	const own = 9100
	destination := i.World.Transfers(t, own)
	push := func(server int) *xfer.Conn {
		t.Helper()
		conn, err := client.OpenAt(t.Context(), server, own, server == 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		go func() { _ = conn.Upload(context.Background(), 1<<40, 0) }()
		return conn
	}
	measure := func(when string) {
		t.Helper()
		pause(t.Context(), 2*time.Second)
		before, _ := destination.Moved()
		start := time.Now()
		pause(t.Context(), 3*time.Second)
		after, _ := destination.Moved()
		sum := float64(after-before) / time.Since(start).Seconds()
		wantSpeed(t, when, nil, sum)
	}
	for server := range 3 {
		conn := push(server)
		measure(fmt.Sprintf("alone on server %d", server))
		conn.Close()
		i.Must("users", "kick", "shared") // or what is in buffers goes on arriving, for seconds
	}
	for server := range 3 {
		push(server)
	}
	measure("on three servers at once")
}

// Datagrams take part in it: what Shadowsocks drops because of its part makes
// it have more, beside a stream that would take all, and together they keep
// the rate.
func TestDatagramsShareTheRate(t *testing.T) {
	t.Parallel()
	const rate = 4e6
	i := newTrioWith(t, thirds["shadowsocks"], "--rate-down", "4MB/s")
	client := i.World.SingBox(t, i.logins...)
	stream := pull(t, client, 0, true)
	flow, err := client.UDP(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(flow.Close)
	echo, payload := rig.UDPAddr().String(), make([]byte, 1200)
	if err := flow.Exchange(echo, payload, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	go func() { // twice what the rate lets come back
		for t.Context().Err() == nil {
			for range 13 {
				_ = flow.Send(echo, payload)
			}
			pause(t.Context(), 2*time.Millisecond)
		}
	}()
	var echoed atomic.Uint64
	go func() {
		for t.Context().Err() == nil {
			got, _ := flow.Receive(time.Second)
			echoed.Add(uint64(len(got)))
		}
	}()
	pause(t.Context(), 3*time.Second)
	before, start := echoed.Load(), time.Now()
	_, streamed := speeds(t.Context(), 3*time.Second, stream)
	datagrams := float64(echoed.Load()-before) / time.Since(start).Seconds()
	t.Logf("of %.1f MB/s the stream has %.2f, the datagrams %.2f", rate/1e6, streamed/1e6, datagrams/1e6)
	if sum := streamed + datagrams; sum > rate*1.1 {
		t.Errorf("together they have %.2f MB/s of %.2f", sum/1e6, rate/1e6)
	}
	// A worker that does not say that it drops has a sixtieth for ever. Of what
	// it lets pass some is lost on the way, on a busy machine half of it.
	if streamed < rate/4 || datagrams < rate/10 {
		t.Errorf("the stream has %.2f MB/s and the datagrams %.2f of %.2f", streamed/1e6, datagrams/1e6, rate/1e6)
	}
}

// What a user has beyond the quota is one rate over all servers, whether or
// not the control plane lives.
func TestThrottleIsSharedByServers(t *testing.T) {
	t.Parallel()
	const throttle = 2e6
	i := newTrioWith(t, thirds["shadowsocks"], "--quota", "1000000", "--after-quota", "throttle:2MB/s")
	client := i.World.Xray(t, i.logins...)
	var all []puller
	for server := range 3 {
		all = append(all, pull(t, client, server, false))
	}
	want := func(when string) {
		t.Helper()
		each, sum := speeds(t.Context(), 3*time.Second, all...)
		t.Logf("%s: %.2f MB/s in all, %.2f", when, sum/1e6, scaled(each))
		if math.Abs(sum-throttle) > throttle/10 {
			t.Errorf("%s: %.2f MB/s in all, the throttle is %.2f: %.2f", when, sum/1e6, throttle/1e6, scaled(each))
		}
	}
	pause(t.Context(), 4*time.Second)
	want("beyond the quota")
	i.Daemon().Kill()
	want("the control plane is away")
	i.Serve()
	want("another control plane has adopted the workers")
}
