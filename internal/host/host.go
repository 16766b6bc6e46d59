// Package host tells how the machine is that this process runs on: how busy
// its processors are, what is left of its memory and of a disk, and what
// passes its network. It reads what the kernel shows everybody, changes
// nothing, and knows nothing of users and servers.
package host

import (
	"context"
	"os"
	"sync"
	"time"

	"vpn/internal/vpn"
)

const (
	every = time.Second            // between two readings, while it is watched
	least = 200 * time.Millisecond // between two readings that make a speed
	stale = 3 * time.Second        // a reading that is older makes none
)

// A Meter tells about this machine. It may be used concurrently.
type Meter struct {
	dir  string
	read func() reading // tests put another machine here

	mu           sync.Mutex
	before, last reading // two readings, the later one last; of the zero time: none
}

// New returns a meter for the machine and for the file system that dir is on.
func New(dir string) *Meter { return &Meter{dir: dir, read: read} }

// A reading is what the kernel's counters said at one time.
type reading struct {
	at          time.Time
	busy, all   uint64 // ticks of all cores together, since the start
	cores       int
	in, out     uint64 // bytes, since the start
	interfaces  []string
	hasCPU      bool
	hasNetworks bool
}

// Watch reads once a second until ctx ends, so that [Meter.Now] answers at
// once.
func (m *Meter) Watch(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		m.take()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// take makes a reading. One that comes too soon after the last replaces it,
// so that two that are far enough apart remain.
func (m *Meter) take() {
	r := m.read()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last.at.Sub(m.before.at) >= least {
		m.before = m.last
	}
	m.last = r
}

// Now returns how the machine is. Speeds are those of the last second; if
// nobody has watched, it waits a moment to find them out.
func (m *Meter) Now(ctx context.Context) (vpn.Host, error) {
	if before, last := m.pair(); !fits(before, last) {
		m.take()
		for {
			if before, last = m.pair(); fits(before, last) {
				break
			}
			select {
			case <-ctx.Done():
				return vpn.Host{}, ctx.Err()
			case <-time.After(least):
			}
			m.take()
		}
	}
	before, last := m.pair()
	out := m.describe()
	out.At = last.at.UTC()
	out.Name, _ = os.Hostname() // a machine without a name has none
	between(&out, before, last)
	return out, nil
}

func (m *Meter) pair() (before, last reading) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.before, m.last
}

// fits reports whether two readings make a speed of this moment.
func fits(before, last reading) bool {
	apart := last.at.Sub(before.at)
	return !before.at.IsZero() && apart >= least && apart <= stale && time.Since(last.at) <= stale
}

// between fills in what two readings say together.
func between(h *vpn.Host, before, last reading) {
	if last.hasCPU && before.hasCPU {
		h.CPU = &vpn.HostCPU{Cores: last.cores}
		if all := since(last.all, before.all); all > 0 {
			h.CPU.Percent = round(min(100, 100*float64(since(last.busy, before.busy))/float64(all)))
		}
	}
	if last.hasNetworks && before.hasNetworks {
		seconds := last.at.Sub(before.at).Seconds()
		h.Network = &vpn.HostNetwork{
			In:      uint64(float64(since(last.in, before.in)) / seconds),
			Out:     uint64(float64(since(last.out, before.out)) / seconds),
			TotalIn: last.in, TotalOut: last.out, Interfaces: last.interfaces,
		}
	}
}

// since is how far a counter has come; one that fell, as when an interface
// goes, has not moved.
func since(now, before uint64) uint64 { return now - min(now, before) }

// round leaves a tenth of a percent.
func round(percent float64) float64 { return float64(int(percent*10+0.5)) / 10 }
