package wireguard

import (
	"encoding/binary"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.zx2c4.com/wireguard/tun"

	"vpn/internal/engine"
	"vpn/internal/engine/egress"
	"vpn/internal/engine/meter"
	"vpn/internal/vpn"
)

// limited returns a flow of a user who is limited to so many bytes per second
// each way.
func limited(t *testing.T, m *meter.Meter, rate uint64) *meter.Flow {
	t.Helper()
	m.Set([]vpn.Grant{{Credential: "c", User: "u", RateUp: rate, RateDown: rate}})
	f, err := m.Open("c", netip.MustParseAddrPort("192.0.2.1:1"), "ip", nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A sender is a TCP with what matters here: a window that grows by what is
// acknowledged, and is halved once for the losses of one window, which show by
// what comes behind them.
type sender struct {
	id     byte // the last of its packets' bytes
	shaper *shaper
	flow   *meter.Flow
	far    time.Duration // a way and back, without the shaper

	mu               sync.Mutex
	window, slowdown float64  // in packets; it grows fast below slowdown
	next, recovered  uint32   // of packets' numbers; one loss counts until recovered
	flying, back     []uint32 // sent and not acknowledged; of these, acknowledgements on their way
	arrived          int
	waited           time.Duration // the longest of them, lately
	losses           []time.Time
	sent             map[uint32]time.Time
}

const full = 1420 // bytes of a packet

// send sends as much as the window lets it.
func (s *sender) send() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.flying) < int(s.window) {
		b := make([]byte, full)
		b[full-1] = s.id
		binary.BigEndian.PutUint32(b, s.next)
		s.flying = append(s.flying, s.next)
		s.sent[s.next] = time.Now()
		s.next++
		if s.shaper.take(s.flow, 1, func(int) []byte { return b }) == 1 {
			s.comes(b)
		}
		s.shaper.start(s.flow)
	}
}

// comes is what the far end does with a packet. The caller holds s.mu.
func (s *sender) comes(b []byte) {
	n := binary.BigEndian.Uint32(b)
	s.arrived += len(b)
	s.waited = max(s.waited, time.Since(s.sent[n]))
	delete(s.sent, n)
	s.back = append(s.back, n)
	time.AfterFunc(s.far, func() {
		s.acknowledged()
		s.send()
	})
}

func (s *sender) acknowledged() {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.back[0]
	s.back = s.back[1:]
	for len(s.flying) > 0 && s.flying[0] < n { // nothing overtakes anything
		s.losses = append(s.losses, time.Now())
		if s.flying[0] >= s.recovered {
			s.window = max(s.window/2, 2)
			s.slowdown, s.recovered = s.window, s.next
		}
		s.flying = s.flying[1:]
	}
	s.flying = s.flying[1:]
	if s.window < s.slowdown {
		s.window++
	} else {
		s.window += 1 / s.window
	}
}

// A TCP that goes as fast as it can is at a user's rate, alone or beside
// others, and is told to slow down by few losses. A queue that overflows loses
// hundreds of packets of one window.
func TestShaperKeepsTCPAtItsRate(t *testing.T) {
	for _, c := range []struct {
		name  string
		rate  uint64
		far   time.Duration
		flows int
	}{
		{"near", 4 << 20, 2 * time.Millisecond, 1},
		{"far", 2 << 20, 60 * time.Millisecond, 1},
		{"slow", 128 << 10, 30 * time.Millisecond, 1},
		{"fast", 8 << 20, 20 * time.Millisecond, 1},
		{"several", 1 << 20, 30 * time.Millisecond, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := meter.New(meter.Options{Epoch: "e"})
				defer m.Close()
				flow := limited(t, m, c.rate)
				sh := &shaper{direction: meter.Up}
				senders := make([]*sender, c.flows)
				for i := range senders {
					senders[i] = &sender{id: byte(i), shaper: sh, flow: flow, far: c.far, window: 10, slowdown: 1e9, sent: map[uint32]time.Time{}}
				}
				// The flows of one device share a shaper: a packet says whose it is.
				sh.pass = func(h held) {
					b := slices.Clone(h.packet())
					h.release()
					sh.passed()
					s := senders[b[full-1]]
					s.mu.Lock()
					s.comes(b)
					s.mu.Unlock()
				}
				for _, s := range senders {
					s.send()
				}
				const whole = 20 * time.Second
				<-time.After(whole / 2)
				half := arrivals(senders)
				<-time.After(whole / 2)
				got := float64(arrivals(senders)-half) / (whole / 2).Seconds()
				if got < 0.93*float64(c.rate) || got > 1.01*float64(c.rate) {
					t.Errorf("%.0f KiB/s pass, the rate is %d", got/1024, c.rate/1024)
				}
				for i, s := range senders {
					s.mu.Lock()
					if n := most(s.losses, 100*time.Millisecond); n > 12 {
						t.Errorf("sender %d lost %d packets within 100 ms", i, n)
					}
					if s.waited > 250*time.Millisecond {
						t.Errorf("sender %d had a packet wait for %v", i, s.waited)
					}
					s.mu.Unlock()
				}
				flow.Close()
				for _, s := range senders { // none sends again
					s.mu.Lock()
					s.window = 0
					s.mu.Unlock()
				}
				<-time.After(time.Second)
			})
		})
	}
}

func arrivals(senders []*sender) (n int) {
	for _, s := range senders {
		s.mu.Lock()
		n += s.arrived
		s.waited = 0 // of slow start
		s.mu.Unlock()
	}
	return n
}

// most is how many of the times lie in one span at most.
func most(times []time.Time, span time.Duration) (n int) {
	for i, from := 0, 0; i < len(times); i++ {
		for times[i].Sub(times[from]) > span {
			from++
		}
		n = max(n, i-from+1)
	}
	return n
}

// What a rate holds up stays in order with what it does not.
func TestShaperKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := meter.New(meter.Options{Epoch: "e"})
		defer m.Close()
		flow := limited(t, m, 1<<20)
		defer flow.Close()
		e := newEngine(engine.Config{Meter: m, Guard: egress.New(nil), Log: slog.New(slog.DiscardHandler)}, hasty)
		defer func() { _ = e.Close() }()
		p := &peer{credential: "c"}
		p.flow.Store(flow)
		src, dst := netip.MustParseAddr("10.7.0.2"), netip.MustParseAddr("8.8.8.8")
		e.peers.Store(&peers{byAddr: map[netip.Addr]*peer{src: p}})
		out := &recorder{}
		d := &tunDevice{Device: out, engine: e}
		sent := uint32(0)
		const many = 100 // of which a burst lets some pass at once
		for range 100 {
			var batch [][]byte
			for range many {
				batch = append(batch, numbered(src, dst, sent))
				sent++
			}
			if _, err := d.Write(batch, headroom); err != nil {
				t.Fatal(err)
			}
			<-time.After(many * full * time.Second / (1 << 20))
		}
		<-time.After(time.Second)
		out.mu.Lock()
		defer out.mu.Unlock()
		if !slices.IsSorted(out.numbers) {
			t.Error("packets overtake each other")
		}
		if len(out.numbers) < int(sent)*9/10 || out.batches == len(out.numbers) {
			t.Errorf("of %d packets %d passed, in %d batches", sent, len(out.numbers), out.batches)
		}

		// Towards the device, what is on its way to be read is not overtaken by
		// what the host brings meanwhile.
		var passed []held
		s := &shaper{direction: meter.Down, pass: func(h held) { passed = append(passed, h) }}
		b := func(int) []byte { return make([]byte, full) }
		for s.take(flow, 1, b) == 1 {
		}
		s.start(flow)
		<-time.After(time.Second) // and the rate would let another pass
		synctest.Wait()
		if len(passed) != 1 || s.take(flow, 1, b) != 0 {
			t.Errorf("%d packets are on their way, and another overtakes them", len(passed))
		}
		s.passed()
		s.start(flow)
		<-time.After(time.Second)
		synctest.Wait()
		s.passed()
		if len(passed) != 2 || s.take(flow, 3, b) != 3 {
			t.Error("nothing passes any more")
		}
	})
}

// numbered makes a packet behind headroom.
func numbered(src, dst netip.Addr, n uint32) []byte {
	b := make([]byte, headroom+full)
	p := b[headroom:]
	p[0] = 0x45
	copy(p[12:], src.AsSlice())
	copy(p[16:], dst.AsSlice())
	binary.BigEndian.PutUint32(p[headerSize4:], n)
	return b
}

// A recorder is a TUN device that notes what is written.
type recorder struct {
	tun.Device
	mu      sync.Mutex
	numbers []uint32
	batches int
}

func (r *recorder) Write(bufs [][]byte, offset int) (int, error) {
	if len(bufs) > 1 {
		<-time.After(50 * time.Millisecond) // it is not this process's turn
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches++
	for _, b := range bufs {
		r.numbers = append(r.numbers, binary.BigEndian.Uint32(b[offset+headerSize4:]))
	}
	return len(bufs), nil
}
