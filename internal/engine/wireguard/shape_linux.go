package wireguard

import (
	"context"
	"sync"
	"time"

	"vpn/internal/engine/inbound"
	"vpn/internal/engine/meter"
)

const (
	// maxWaiting bounds how many packets wait for a user's rate. A sender who
	// is told by a loss does not get there, but at several hundred megabits.
	maxWaiting = 2048
	// usualPacket is as much as most networks carry. What is longer, where a
	// server has a larger MTU, gets a buffer of its own.
	usualPacket = 1500
)

// packets are copies of packets that wait.
var packets = inbound.NewBuffers(headroom + usualPacket) //nolint:gochecknoglobals // a pool is the process's by nature

// A shaper holds up one direction of one device while its user's rate is used
// up. It has a goroutine only while something waits.
//
// What cannot wait is dropped where the queue begins, not where it ends, and
// early, one by one (see [codel]). A queue that drops its newest packets when
// it is full tells the sender late, by as long as the queue is, and drops half
// of what comes meanwhile: hundreds of packets at once, after which a TCP may
// take seconds to be at its rate again. Nor is age a reason to drop: it may be
// this process that was not given a processor.
//
// Packets stay in order. take and start are called by one goroutine.
type shaper struct {
	direction meter.Direction
	pass      func(held) // it releases the packet, and says so by passed

	mu      sync.Mutex
	waiting []held
	bytes   int // of waiting
	running bool
	passing int // handed to pass, and not passed
	aqm     codel
	sizes   []int // of what take is taking
}

// held is a packet that waits.
type held struct {
	buf     []byte // headroom, and the packet
	release func()
	since   time.Time
}

func hold(b []byte) held {
	h := held{release: func() {}, since: time.Now()}
	if len(b) <= usualPacket {
		h.buf, h.release = packets.Borrow()
		h.buf = h.buf[:headroom+len(b)]
	} else {
		h.buf = make([]byte, headroom+len(b))
	}
	copy(h.buf[headroom:], b)
	return h
}

func (h held) packet() []byte { return h.buf[headroom:] }

// take takes n packets, of which the caller passes the first ones, and returns
// how many. Of the others some may be dropped, and the rest waits from the next
// start on: those before it must be on their way by then.
func (s *shaper) take(f *meter.Flow, n int, packet func(i int) []byte) (passes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sizes = s.sizes[:0]
	for i := range n {
		s.sizes = append(s.sizes, len(packet(i)))
	}
	if !s.running && s.passing == 0 && len(s.waiting) == 0 {
		passes = f.TakeSome(s.direction, s.sizes)
	}
	for i := passes; i < n; i++ {
		if len(s.waiting) == maxWaiting {
			s.pop().release()
		}
		s.waiting = append(s.waiting, hold(packet(i)))
		s.bytes += s.sizes[i]
	}
	return passes
}

// start lets what waits go on, as f allows.
func (s *shaper) start(f *meter.Flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running || len(s.waiting) == 0 {
		return
	}
	s.running = true
	go s.run(f)
}

// run passes what waits as the rate allows, until nothing does or the flow has
// ended.
func (s *shaper) run(f *meter.Flow) {
	for {
		h, ok := s.next()
		if !ok {
			return
		}
		for left := len(h.packet()); left > 0; {
			n, err := f.Wait(context.Background(), s.direction, left) // it ends with the flow
			if err != nil {
				h.release()
				s.passed()
				s.drop()
				return
			}
			left -= n
		}
		s.pass(h)
	}
}

// next returns what has waited longest, of what may pass. After false there is
// no goroutine.
func (s *shaper) next() (held, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for now := time.Now(); len(s.waiting) > 0; {
		h := s.pop()
		if !s.aqm.drops(now, now.Sub(h.since), s.bytes) {
			s.passing++
			return h, true
		}
		h.release()
	}
	s.running, s.waiting = false, nil
	return held{}, false
}

// pop takes out what has waited longest. The caller holds s.mu.
func (s *shaper) pop() held {
	h := s.waiting[0]
	s.waiting[0] = held{}
	s.waiting = s.waiting[1:]
	s.bytes -= len(h.packet())
	return h
}

// passed says that a packet is where no later one overtakes it.
func (s *shaper) passed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passing--
}

// drop forgets what waits.
func (s *shaper) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) > 0 {
		s.pop().release()
	}
	s.running, s.waiting = false, nil
}
