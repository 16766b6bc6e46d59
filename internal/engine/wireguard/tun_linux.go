package wireguard

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/tun"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"vpn/internal/engine/meter"
	"vpn/internal/protocol/wireguard"
	"vpn/internal/vpn"
)

const (
	// refusedFor is how long a device that was refused a flow is refused
	// without asking again: it may send a hundred thousand packets in a second.
	refusedFor = 50 * time.Millisecond
)

// A tunDevice is the host's TUN device with the meter and the guard in front
// of it.
type tunDevice struct {
	tun.Device
	engine    *Engine
	four, six netip.Addr // the host's own in the tunnel
	tell      *teller    // of those who are not known any more

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
	t := &tunDevice{Device: d, engine: e, tell: newTeller()}
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

// A stretch is of packets, one after the other, that pass by one flow or do not.
type stretch struct {
	peer *peer
	flow *meter.Flow // nil: they do not
	from int
}

// admit takes packets to devices past the meter.
func (t *tunDevice) admit(bufs [][]byte, sizes []int, offset int) {
	var r stretch
	at := func(i int) []byte { return bufs[i][offset : offset+sizes[i]] }
	settle := func(to int) {
		n := to - r.from
		if r.flow != nil {
			s := &t.passage(r.peer).down
			passes := s.take(r.flow, n, func(i int) []byte { return at(r.from + i) })
			if passes < n {
				s.start(r.flow) // what it passes is read later than this
			}
			r.from, n = r.from+passes, n-passes
		}
		clear(sizes[r.from : r.from+n])
	}
	var h packet
	var ok bool
	var before []byte
	for i := range bufs {
		b := at(i)
		if r.flow != nil && h.alike(before, b) && !h.notable(b) && !r.peer.past.over.Load() {
			continue
		}
		before = b
		p, last := r.peer, h
		if h, ok = parsePacket(b); ok && h.dst != last.dst {
			p = t.engine.peerOf(h.dst)
		}
		var f *meter.Flow
		if ok {
			f = t.welcome(p, h, b, meter.Down)
		}
		if f != r.flow || p != r.peer {
			settle(i)
			r = stretch{p, f, i}
		}
	}
	settle(len(bufs))
}

// A passage is a device's.
type passage struct {
	up, down shaper
	tell     *teller
}

// passage returns that of p.
func (t *tunDevice) passage(p *peer) *passage {
	if s := p.passage.Load(); s != nil {
		return s.(*passage)
	}
	s := &passage{up: shaper{direction: meter.Up}, down: shaper{direction: meter.Down}, tell: newTeller()}
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
	p.passage.CompareAndSwap(nil, s)
	return p.passage.Load().(*passage)
}

// Write implements [tun.Device]: packets of one device, whose source addresses
// wireguard-go has checked.
func (t *tunDevice) Write(bufs [][]byte, offset int) (int, error) {
	kept, all := bufs[:0], len(bufs) // the caller has the buffers elsewhere
	var r, waits stretch
	settle := func(to int) {
		if r.flow == nil {
			return
		}
		n := to - r.from
		passes := t.passage(r.peer).up.take(r.flow, n, func(i int) []byte { return bufs[r.from+i][offset:] })
		kept = append(kept, bufs[r.from:r.from+passes]...)
		if passes < n {
			waits = r
		}
	}
	var h packet
	var ok, allowed bool
	var before []byte
	for i, b := range bufs {
		b = b[offset:]
		if r.flow != nil && h.alike(before, b) && !h.notable(b) && !r.peer.past.over.Load() {
			continue
		}
		before = b
		p, last := r.peer, h
		if h, ok = parsePacket(b); ok && h.dst != last.dst {
			allowed = t.engine.guard.Permits(h.dst)
		}
		if ok && h.src != last.src {
			p = t.engine.peerOf(h.src)
		}
		var f *meter.Flow
		switch {
		case !ok:
		case allowed, h.ping && (h.dst == t.four || h.dst == t.six):
			f = t.welcome(p, h, b, meter.Up)
		default:
			t.refuse(p, h, b)
		}
		if f != r.flow || p != r.peer {
			settle(i)
			r = stretch{p, f, i}
		}
	}
	settle(all)
	var err error
	if len(kept) > 0 {
		_, err = t.Device.Write(kept, offset)
	}
	if waits.flow != nil {
		t.passage(waits.peer).up.start(waits.flow) // or what waits would overtake what was kept
	}
	if err != nil {
		return 0, err
	}
	return all, nil
}

// welcome returns the flow by which a packet of a device, or to one, passes:
// nil if it must not. Then who sent it is told, and of a connection the other
// end too.
func (t *tunDevice) welcome(p *peer, h packet, b []byte, d meter.Direction) *meter.Flow {
	var s segment
	var c connection
	ok, over := false, p != nil && h.tcp && p.past.over.Load()
	if over || h.notable(b) {
		if s, ok = parseSegment(h, b); ok {
			c = s.connection(d)
		}
	}
	if over && ok && !s.begins() && p.past.has(c, false) { // which brings nobody back
		t.end(p, s, d)
		return nil
	}
	f, denied := t.flow(p)
	switch {
	case f == nil && !denied:
		return nil
	case f != nil:
		if ok {
			p.past.has(c, s.begins())
			p.openings.note(c, s, d)
		}
		return f
	}
	if s, ok = parseSegment(h, b); ok {
		t.end(p, s, d)
	} else if d == meter.Up {
		t.refuse(p, h, b)
	}
	return nil
}

// flow returns the flow of a device: nil if it may have none, or it is not
// known yet whether it may.
func (t *tunDevice) flow(p *peer) (f *meter.Flow, denied bool) {
	if p == nil {
		return nil, true
	}
	if f := p.flow.Load(); f != nil {
		return f, false
	}
	now := time.Now()
	if now.UnixNano() < p.refused.Load() {
		return nil, p.denied.Load()
	}
	f, err := t.engine.open(p)
	if err != nil {
		p.denied.Store(vpn.KindOf(err) == vpn.Denied)
		p.refused.Store(now.Add(refusedFor).UnixNano())
		return nil, p.denied.Load()
	}
	return f, false
}

// teller returns what a device may be told.
func (t *tunDevice) teller(p *peer) *teller {
	if p == nil {
		return t.tell
	}
	return t.passage(p).tell
}

// end tells both ends of a connection that it is over, in the place of a
// segment that comes from one of them.
func (t *tunDevice) end(p *peer, s segment, d meter.Direction) {
	if s.flags.Contains(header.TCPFlagRst) {
		if p != nil && d == meter.Up {
			p.openings.heard(s.connection(d))
		}
		return
	}
	may, again := t.teller(p).mayEnd(s)
	if !may {
		return
	}
	var in, out []byte // of the device, and of the host
	switch {
	case d == meter.Up:
		in = s.back()
	case again || s.begins():
		out = s.back()
	default:
		// What was on its way need not be what the device waits for, and then
		// it heeds no reset (RFC 5961, section 3.2). What the other end sends
		// again is that, so it lives until then.
	}
	if !s.begins() { // or the other end has not heard of it
		if d == meter.Up {
			out = s.onward()
		} else {
			in = s.onward()
		}
	}
	if out != nil {
		_, _ = t.Device.Write([][]byte{out}, headroom) // the other end finds out later, if it must
	}
	if in != nil {
		t.answer(answer{packet: in[headroom:]})
	}
}

// part implements [parter].
func (t *tunDevice) part(p *peer) {
	if p.openings.cut() {
		t.ask(p)
	}
}

// ask asks a device about connections that were cut, again and again.
func (t *tunDevice) ask(p *peer) {
	packets, again := p.openings.questions(p.four, p.six)
	for _, b := range packets {
		t.answer(answer{packet: b[headroom:]})
	}
	if again {
		time.AfterFunc(askEvery, func() { t.ask(p) })
	}
}

// refuse tells a device that it may not reach something, so that it does not
// wait.
func (t *tunDevice) refuse(p *peer, h packet, b []byte) {
	if h.dst.IsMulticast() || h.icmp || h.later || !t.teller(p).may() {
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
