package wireguard

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"
	"golang.zx2c4.com/wireguard/tun"

	"vpn/internal/engine/meter"
	"vpn/internal/protocol/wireguard"
	"vpn/internal/vpn"
)

const (
	// refusedFor is how long a device that was refused a flow is refused
	// without asking again: it may send a hundred thousand packets in a second.
	refusedFor = 50 * time.Millisecond

	// unreachables is how many clients are told in a second that they may not
	// reach something.
	unreachables = 200
)

// A tunDevice is the host's TUN device with the meter and the guard in front
// of it.
type tunDevice struct {
	tun.Device
	engine    *Engine
	four, six netip.Addr // the host's own in the tunnel
	tell      *rate.Limiter

	mu      sync.Mutex
	answers []answer // packets to devices that the host's device does not bring
}

// An answer is a packet to a device, and what to do when it is delivered.
type answer struct {
	packet    []byte
	delivered func() // or nil
}

// newTUN takes packets through the device that this process was given. Each
// time it is on a descriptor of its own, so that the device outlives it.
func (e *Engine) newTUN(_ vpn.ServerSpec, set settings) (carrier, error) {
	if e.tunnel == 0 {
		return carrier{}, vpn.Errorf(vpn.Unavailable, "no TUN device could be made for the server")
	}
	fd, err := unix.FcntlInt(uintptr(e.tunnel), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return carrier{}, fmt.Errorf("take over the TUN device: %w", err)
	}
	d, _, err := tun.CreateUnmonitoredTUNFromFD(fd)
	if err != nil {
		_ = unix.Close(fd)
		return carrier{}, fmt.Errorf("take over the TUN device: %w", err)
	}
	t := &tunDevice{Device: d, engine: e, tell: rate.NewLimiter(unreachables, unreachables)}
	t.four, t.six = set.network.Gateway()
	return carrier{Device: t, name: wireguard.TUN}, nil
}

// closeTUN gives the device back, which ends it.
func closeTUN(fd int) { _ = unix.Close(fd) }

// Read implements [tun.Device]: packets to devices. One that must not pass has
// a length of nothing, which wireguard-go leaves out.
func (t *tunDevice) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	for {
		if n := t.deliver(bufs, sizes, offset); n > 0 {
			return n, nil
		}
		n, err := t.Device.Read(bufs, sizes, offset)
		if errors.Is(err, os.ErrDeadlineExceeded) { // answer has something
			_ = t.File().SetReadDeadline(time.Time{})
			continue
		}
		t.admit(bufs[:n], sizes, offset)
		return n, err
	}
}

// admit takes packets to devices past the meter.
func (t *tunDevice) admit(bufs [][]byte, sizes []int, offset int) {
	var last netip.Addr
	var p *peer
	for i, b := range bufs {
		b = b[offset : offset+sizes[i]]
		h, ok := parsePacket(b)
		if ok && h.dst != last {
			p, last = t.engine.peerOf(h.dst), h.dst
		}
		f := t.flow(p)
		if !ok || f == nil {
			sizes[i] = 0
			continue
		}
		s := &t.shapers(p).down
		if !s.take(f, b) {
			sizes[i] = 0
			s.start(f) // what it passes is read later than this
		}
	}
}

// shapers are a device's.
type shapers struct{ up, down shaper }

// shapers returns those of p.
func (t *tunDevice) shapers(p *peer) *shapers {
	if s := p.shapers.Load(); s != nil {
		return s.(*shapers)
	}
	s := &shapers{up: shaper{direction: meter.Up}, down: shaper{direction: meter.Down}}
	s.up.pass = func(h held) {
		_, _ = t.Device.Write([][]byte{h.buf}, headroom) // a packet that is lost is one of many
		h.release()
		s.up.passed()
	}
	s.down.pass = func(h held) {
		t.answer(answer{h.packet(), func() {
			h.release()
			s.down.passed()
		}})
	}
	p.shapers.CompareAndSwap(nil, s)
	return p.shapers.Load().(*shapers)
}

// Write implements [tun.Device]: packets of one device, whose source addresses
// wireguard-go has checked.
func (t *tunDevice) Write(bufs [][]byte, offset int) (int, error) {
	kept := bufs[:0] // the caller has the buffers elsewhere
	var last packet
	var peer *peer
	var waits *shaper
	var by *meter.Flow
	allowed, all := false, len(bufs)
	for _, b := range bufs {
		h, ok := parsePacket(b[offset:])
		if !ok {
			continue
		}
		if h.dst != last.dst || !last.dst.IsValid() {
			allowed = t.engine.guard.Permits(h.dst)
		}
		if peer == nil || h.src != last.src {
			peer = t.engine.peerOf(h.src)
		}
		last = h
		if !allowed && !(h.ping && (h.dst == t.four || h.dst == t.six)) {
			t.refuse(h, b[offset:])
			continue
		}
		f := t.flow(peer)
		if f == nil {
			continue
		}
		if s := &t.shapers(peer).up; s.take(f, b[offset:]) {
			kept = append(kept, b)
		} else {
			waits, by = s, f
		}
	}
	var err error
	if len(kept) > 0 {
		_, err = t.Device.Write(kept, offset)
	}
	if waits != nil {
		waits.start(by) // or what waits would overtake what was kept
	}
	if err != nil {
		return 0, err
	}
	return all, nil
}

// flow returns the flow of a device, nil if it may have none.
func (t *tunDevice) flow(p *peer) *meter.Flow {
	if p == nil {
		return nil
	}
	if f := p.flow.Load(); f != nil {
		return f
	}
	now := time.Now()
	if now.UnixNano() < p.refused.Load() {
		return nil
	}
	f, err := t.engine.open(p)
	if err != nil {
		p.refused.Store(now.Add(refusedFor).UnixNano())
		return nil
	}
	return f
}

// refuse tells a device that it may not reach something, so that it does not
// wait.
func (t *tunDevice) refuse(h packet, b []byte) {
	if h.dst.IsMulticast() || h.icmp || h.later || !t.tell.Allow() {
		return
	}
	from := t.four
	if h.src.Is6() {
		from = t.six
	}
	t.answer(answer{packet: unreachable(from, h.src, b)})
}

// answer queues a packet to a device, and wakes the reader.
func (t *tunDevice) answer(a answer) {
	t.mu.Lock()
	t.answers = append(t.answers, a)
	t.mu.Unlock()
	_ = t.File().SetReadDeadline(time.Unix(1, 0))
}

// deliver hands over what is queued.
func (t *tunDevice) deliver(bufs [][]byte, sizes []int, offset int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(len(t.answers), len(bufs))
	for i, a := range t.answers[:n] {
		sizes[i] = copy(bufs[i][offset:], a.packet)
		if a.delivered != nil {
			a.delivered()
		}
		t.answers[i] = answer{}
	}
	if t.answers = t.answers[n:]; len(t.answers) == 0 {
		t.answers = nil
	}
	return n
}
