package wireguard

import (
	"context"
	"sync"
	"time"

	"vpn/internal/engine/inbound"
	"vpn/internal/engine/meter"
)

const (
	// maxDelay is how long packets may wait for a user's rate: no longer than a
	// slow line would hold them. Who sends more loses what comes last, which is
	// how TCP learns.
	maxDelay = 300 * time.Millisecond
	// maxWaiting bounds what waits, in bytes.
	maxWaiting = 1 << 20
	// headroom is in front of a packet on its way to the device: a virtio
	// header, and what wireguard-go leaves there.
	headroom = 16
	// maxPacket is more than any MTU that a server may have.
	maxPacket = 9000
)

// packets are copies of packets that wait.
var packets = inbound.NewBuffers(headroom + maxPacket) //nolint:gochecknoglobals // a pool is the process's by nature

// A shaper holds up one direction of one device while its user's rate is used
// up. Dropping in place of that would cost TCP most of the rate. It has a
// goroutine only while something waits.
type shaper struct {
	direction meter.Direction
	pass      func(packet []byte) // behind headroom; it does not keep it

	mu      sync.Mutex
	waiting []held
	bytes   int
	running bool
}

// held is a packet that waits.
type held struct {
	buf     []byte // headroom, and the packet
	release func()
	since   time.Time
}

// take passes a packet, or lets it wait, or drops it: it reports whether the
// caller passes it.
func (s *shaper) take(f *meter.Flow, b []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running && f.Take(s.direction, len(b)) {
		return true
	}
	now := time.Now()
	if len(s.waiting) > 0 && now.Sub(s.waiting[0].since) > maxDelay || s.bytes+len(b) > maxWaiting || len(b) > maxPacket {
		return false
	}
	buf, release := packets.Borrow()
	copy(buf[headroom:], b)
	s.waiting = append(s.waiting, held{buf[:headroom+len(b)], release, now})
	s.bytes += len(b)
	if !s.running {
		s.running = true
		go s.run(f)
	}
	return false
}

// run passes what waits as the rate allows, until nothing does or the flow has
// ended.
func (s *shaper) run(f *meter.Flow) {
	for {
		h, ok := s.next()
		if !ok {
			return
		}
		for left := len(h.buf) - headroom; left > 0; {
			n, err := f.Wait(context.Background(), s.direction, left) // it ends with the flow
			if err != nil {
				h.release()
				s.drop()
				return
			}
			left -= n
		}
		s.pass(h.buf)
		h.release()
	}
}

// next returns what has waited longest. After false there is no goroutine.
func (s *shaper) next() (held, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		s.running, s.waiting = false, nil
		return held{}, false
	}
	h := s.waiting[0]
	s.waiting = s.waiting[1:]
	s.bytes -= len(h.buf) - headroom
	return h, true
}

// drop forgets what waits.
func (s *shaper) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.waiting {
		h.release()
	}
	s.running, s.waiting, s.bytes = false, nil, 0
}
