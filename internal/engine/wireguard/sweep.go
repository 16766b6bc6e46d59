package wireguard

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"vpn/internal/protocol/wireguard"
)

const (
	sweepEvery = 5 * time.Second
	// silence is how long a device may be silent before it counts as gone. By
	// then its keys are no longer valid (RejectAfterTime of the protocol).
	silence = 180 * time.Second
	// fresh is how long it is believed where a device is.
	fresh = time.Second
)

// What the garbage collector aims to stay below, unless it was told to aim
// lower, as by the control plane on a small machine: about what wireguard-go
// alone takes for a busy device, and more than a silent one takes.
// docs/benchmarks.md has both, and what other limits cost.
const (
	memoryBase    = 192 << 20
	memoryPerPeer = 40 << 10
)

// A sighting is what wireguard-go knows of one device.
type sighting struct {
	at       netip.AddrPort
	received uint64
}

// A sweeper looks at wireguard-go every few seconds, which tells nothing by
// itself: who has moved, who has gone silent, and whether memory can be given
// back.
type sweeper struct {
	engine *Engine
	patience
	stop chan struct{}
	done sync.WaitGroup
	most int64  // of memory, as it was before there was anything here; guarded by Engine.mu
	busy bool   // since memory was last given back
	seen uint64 // bytes, by the last sweep
	last map[wireguard.Key]sighting

	mu   sync.Mutex
	when time.Time
	now  map[wireguard.Key]sighting
}

// patience says how often a sweeper looks, and how long a device may be silent.
type patience struct{ every, silence time.Duration }

func newSweeper(e *Engine, p patience) *sweeper {
	s := &sweeper{engine: e, patience: p, stop: make(chan struct{})}
	s.done.Go(s.run)
	return s
}

func (s *sweeper) close() {
	close(s.stop)
	s.done.Wait()
}

func (s *sweeper) run() {
	t := time.NewTicker(s.every)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
			s.sweep(time.Now())
		}
	}
}

// sweep moves the flows of devices that have roamed, and closes those of
// devices that are silent.
func (s *sweeper) sweep(now time.Time) {
	seen := s.look(0)
	var total uint64
	for k, is := range seen {
		total += is.received
		p := s.engine.peers.Load().byKey[k]
		if p == nil {
			continue
		}
		p.mu.Lock()
		if is.received != s.last[k].received {
			p.stirred = now
		}
		switch {
		case p.flow.Load() == nil:
		case now.Sub(p.stirred) > s.silence:
			p.rest()
		case is.at.IsValid() && is.at.Addr() != p.source.Addr():
			s.engine.move(p, is.at)
		}
		p.mu.Unlock()
	}
	s.last = seen
	s.reclaim(total)
}

// reclaim gives memory back to the system when a busy time is over: what
// wireguard-go has held for its batches, the Go runtime keeps for minutes.
func (s *sweeper) reclaim(total uint64) {
	const idle, load = 64 << 10 * uint64(sweepEvery/time.Second), 4 << 20
	moved := total - min(s.seen, total)
	s.seen = total
	switch {
	case moved > load:
		s.busy = true
	case s.busy && moved < idle:
		s.busy = false
		debug.FreeOSMemory() // empties half of each pool,
		debug.FreeOSMemory() // and then the other
	}
}

// limitMemory sets what the garbage collector aims at with so many devices: no
// more than it was told to when the process began.
func (s *sweeper) limitMemory(devices int) {
	if s.most == 0 {
		s.most = debug.SetMemoryLimit(-1)
	}
	debug.SetMemoryLimit(min(s.most, int64(memoryBase+memoryPerPeer*devices)))
}

// sourceOf returns where a device was last heard from.
func (s *sweeper) sourceOf(p *peer) netip.AddrPort {
	if at := s.look(fresh)[p.public].at; at.IsValid() {
		return at
	}
	return s.look(0)[p.public].at
}

// look returns what wireguard-go knows of each device, or knew so long ago at
// most.
func (s *sweeper) look(age time.Duration) map[wireguard.Key]sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.when) < age {
		return s.now
	}
	d := s.engine.running.Load()
	if d == nil {
		return nil
	}
	var b bytes.Buffer
	if err := d.IpcGetOperation(&b); err != nil {
		return s.now
	}
	s.now, s.when = sightings(b.Bytes()), time.Now()
	return s.now
}

// sightings reads what wireguard-go writes.
func sightings(text []byte) map[wireguard.Key]sighting {
	out := map[wireguard.Key]sighting{}
	var key wireguard.Key
	for line := range bytes.Lines(text) {
		name, value, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte("="))
		is := out[key]
		switch string(name) {
		case "public_key":
			if n, err := hex.Decode(key[:], value); err != nil || n != len(key) {
				return out
			}
			is = sighting{}
		case "endpoint":
			if at, err := netip.ParseAddrPort(string(value)); err == nil {
				is.at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
			}
		case "rx_bytes":
			is.received, _ = strconv.ParseUint(string(value), 10, 64)
		default:
			continue
		}
		out[key] = is
	}
	return out
}
