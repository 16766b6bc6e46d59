package shadowsocks

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Jigsaw-Code/outline-ss-server/service"

	"vpn/internal/engine"
	"vpn/internal/engine/egress"
	"vpn/internal/engine/inbound"
	"vpn/internal/engine/meter"
	"vpn/internal/protocol/shadowsocks"
	"vpn/internal/vpn"
)

// handshakeTime is how long a client has to show a key and say where it wants
// to. It is that of Outline's servers: one that ended what it does not know
// after another time could be told from them.
const handshakeTime = 59 * time.Second

// aead implements [engine.Engine] for the AEAD methods.
type aead struct {
	log       *slog.Logger
	handshake time.Duration
	most      int64 // associations of one key
	meter     *meter.Meter
	guard     *egress.Guard
	live      *inbound.Registry
	replays   service.ReplayCache
	streams   *sources       // where strangers' connections come from
	datagrams *sources       // their datagrams: these may come from elsewhere than they say
	over      chan struct{}  // closed: nobody waits any more
	flows     sync.WaitGroup // of datagrams
	users     atomic.Pointer[users]

	mu     sync.Mutex // held by Apply and Close
	closed bool
	listen netip.Addr
	doors  map[uint16]*door // by port
}

var _ engine.Engine = (*aead)(nil)

func newAEAD(c engine.Config) (engine.Engine, error) { return newServer(c, handshakeTime), nil }

func newServer(c engine.Config, handshake time.Duration) *aead {
	s := &aead{
		log: c.Log, handshake: handshake, most: maxAssociations, meter: c.Meter, guard: c.Guard, live: inbound.NewRegistry(),
		replays: service.NewReplayCache(service.MaxCapacity), streams: newSources(), datagrams: newSources(),
		over: make(chan struct{}), doors: map[uint16]*door{},
	}
	s.users.Store(&users{})
	return s
}

// Apply implements [engine.Engine].
func (s *aead) Apply(ctx context.Context, spec vpn.Spec) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return vpn.Errorf(vpn.Unavailable, "the server is stopping")
	}
	// What can fail comes first, so that a spec is applied wholly or not at all.
	set, err := shadowsocks.ParseSettings(spec.Server.Settings)
	if err != nil {
		return err
	}
	if _, err := shadowsocks.ParseKeys(spec.Server.Private); err != nil {
		return err
	}
	next, gone, err := s.users.Load().plan(set, spec.Server.Port, spec.Grants)
	if err != nil {
		return err
	}
	for id, slot := range next.homeless {
		s.log.Error("a credential has no port", slog.String("credential", string(id)), slog.Uint64("slot", uint64(slot)))
	}
	opened, err := s.openDoors(ctx, spec.Server.Listen, next)
	if err != nil {
		return err
	}
	s.users.Store(next)
	for port, d := range opened {
		d.ring.set(next.byPort[port])
	}
	s.live.End(gone)
	for _, d := range opened {
		d.serve()
	}
	for port, d := range s.doors {
		if opened[port] == nil {
			d.ring.set(nil)
			d.close()
		}
	}
	s.doors, s.listen = opened, spec.Server.Listen
	return nil
}

// openDoors opens the doors that users need, or none.
func (s *aead) openDoors(ctx context.Context, listen netip.Addr, us *users) (map[uint16]*door, error) {
	opened := make(map[uint16]*door, len(us.byPort))
	for _, port := range slices.Sorted(maps.Keys(us.byPort)) {
		d := s.doors[port]
		if d == nil {
			d = newDoor(s)
		}
		opened[port] = d
		if err := d.open(ctx, listen, port); err != nil {
			for port, d := range opened {
				d.abandon()
				if d.closed() {
					delete(s.doors, port)
				}
			}
			return nil, err
		}
	}
	return opened, nil
}

// Close implements [engine.Engine].
func (s *aead) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	close(s.over)
	for _, d := range s.doors {
		d.close()
	}
	s.live.Close()
	s.flows.Wait()
	return nil
}

// A door is one port of a server: streams and datagrams, and the keys that
// open it.
type door struct {
	ring    *ring
	known   service.StreamAuthenticateFunc // tries the keys that an address has had
	any     service.StreamAuthenticateFunc // tries all keys
	streams *inbound.Gate
	packets *inbound.PacketGate
}

func newDoor(s *aead) *door {
	d := &door{ring: newRing()}
	d.known = service.NewShadowsocksStreamAuthenticator(knownKeys{d.ring}, &s.replays, nil, nil)
	d.any = service.NewShadowsocksStreamAuthenticator(d.ring, &s.replays, nil, nil)
	d.streams = inbound.NewGate(s.log, s.stream(d))
	d.packets = inbound.NewPacketGate(s.packets(d))
	return d
}

func (d *door) open(ctx context.Context, listen netip.Addr, port uint16) error {
	if err := d.streams.Open(ctx, listen, port); err != nil {
		return err
	}
	return d.packets.Open(ctx, listen, port)
}

func (d *door) abandon() {
	d.streams.Abandon()
	d.packets.Abandon()
}

func (d *door) serve() {
	d.streams.Serve()
	d.packets.Serve()
}

func (d *door) close() {
	d.streams.Close()
	d.packets.Close()
}

// closed reports whether streams or datagrams cannot come in.
func (d *door) closed() bool { return d.streams.Closed() || d.packets.Closed() }
