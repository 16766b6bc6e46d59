package meter

import (
	"math"
	"net/netip"
	"sync"
	"time"

	"vpn/internal/vpn"
)

// A credential lets one user in.
type credential struct {
	id   vpn.CredentialID
	user *user

	// guarded by Meter.mu
	blocked    bool
	removed    bool // kept until its last count is acknowledged
	notBefore  time.Time
	notAfter   time.Time
	retired    bool
	generation uint64      // of the last Set that named it
	reported   vpn.Traffic // as Usage last saw it,
	told       int         // with so many live flows,
	seq        uint64      // and when that was a change

	// guarded by user.mu
	traffic vpn.Traffic
	live    int // flows that move bytes
}

// standing says why the credential may not be used now, or nil. The caller
// holds Meter.mu.
func (c *credential) standing(now time.Time) error {
	switch {
	case c.removed:
		return errRemoved
	case c.blocked:
		return errBlocked
	case now.Before(c.notBefore):
		return errEarly
	}
	if end := c.ends(); !end.IsZero() && !now.Before(end) {
		return errExpired
	}
	return nil
}

// ends returns when the credential is no longer valid; the zero time is never.
// The caller holds Meter.mu.
func (c *credential) ends() time.Time { return earlier(c.notAfter, c.user.ends()) }

// earlier returns the earlier of two ends, of which a zero one never comes.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// counter returns the count of c. The caller holds user.mu.
func (c *credential) counter() vpn.Counter {
	return vpn.Counter{Credential: c.id, User: c.user.id, Traffic: c.traffic, Conns: c.live}
}

// limits are what the grants of a user say of the user.
type limits struct {
	rate        [2]uint64 // by Direction
	devices     int
	connections int
	capped      bool
	throttle    uint64 // both ways together, beyond the ceiling; 0: none passes
}

// A user is what the credentials of one user share.
type user struct {
	id    vpn.UserID
	meter *Meter

	// guarded by Meter.mu
	name        string        // for the log
	credentials []*credential // retired ones too
	generation  uint64        // of the last Set that named it
	restless    bool          // it is one of Meter.restless
	holding

	mu       sync.Mutex
	limits   limits
	used     uint64 // by all credentials, at most vpn.MaxTraffic
	ceiling  uint64 // of used; holds while limits.capped
	part     uint64 // of limits.throttle that is this worker's; 0: all
	buckets  [2]*bucket
	slow     *bucket            // while the ceiling is reached, and no longer
	flows    map[*Flow]struct{} // live ones
	claims   int64              // live flows, and the connections that some of them carry
	networks map[netip.Prefix]*device
	share    *part     // of limits that are shared with other workers
	dry      time.Time // when the ceiling was last in the way
}

// room returns how many bytes may still pass. The caller holds u.mu, as for
// all that follow unless they lock it themselves.
func (u *user) room() uint64 {
	if !u.limits.capped {
		return math.MaxUint64
	}
	return u.ceiling - min(u.used, u.ceiling)
}

// admit makes f live, or says which limit it would break. It locks u, and
// severs the flows of a device whose place f's takes.
func (u *user) admit(f *Flow) (cut []*Flow, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.spent() {
		u.dry = time.Now()
		return nil, errCeiling
	}
	now := f.meter.activity.Load()
	net := network(f.source.Addr())
	other := u.elsewhere()
	flows, devices := len(u.flows)+other.conns, other.beside(u)
	left := u.left(net, other, now, f.meter.grace)
	if left != nil {
		flows, devices = flows-left.flows, devices-1
	}
	if err := u.within(flows, devices, u.networks[net] != nil || other.networks[net]); err != nil {
		return nil, err
	}
	if err := u.meter.crowd.claim(u); err != nil {
		return nil, err
	}
	if left != nil {
		cut = u.sever(nil, errMoved, func(f *Flow) bool { return f.device == left })
	}
	if u.flows == nil {
		u.flows, u.networks = map[*Flow]struct{}{}, map[netip.Prefix]*device{}
		u.setRates()
	}
	d := u.networks[net]
	if d == nil {
		d = &device{first: f.id, since: time.Now()}
		u.networks[net] = d
	}
	d.flows++
	d.active = now
	f.device = d
	u.flows[f] = struct{}{}
	f.credential.live++
	f.meter.conns.Add(1)
	return cut, nil
}

// within says which limit one flow more would break, beside so many flows
// from so many networks, those on other workers included.
func (u *user) within(flows, networks int, known bool) error {
	switch {
	case u.limits.connections > 0 && flows >= u.limits.connections:
		return errConnections
	case u.limits.devices > 0 && !known && networks >= u.limits.devices:
		return errDevices
	}
	return nil
}

// leave undoes admit, but for the open count.
func (u *user) leave(f *Flow) {
	delete(u.flows, f)
	if f.device.flows--; f.device.flows == 0 {
		delete(u.networks, network(f.source.Addr()))
	}
	f.credential.live--
	f.meter.conns.Add(-1)
	u.meter.crowd.release(u)
}

// sever ends the live flows that match, and appends them to cut: the caller
// hands those to hangUp when it holds no lock.
func (u *user) sever(cut []*Flow, why error, match func(*Flow) bool) []*Flow {
	for f := range u.flows {
		if match(f) {
			f.end(why)
			cut = append(cut, f)
		}
	}
	return cut
}

func anyFlow(*Flow) bool { return true }

// severAll is sever for every flow. It locks u.
func (u *user) severAll(cut []*Flow, why error) []*Flow {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.sever(cut, why, anyFlow)
}

// limit changes the limits. It locks u, and severs the flows that break them.
func (u *user) limit(cut []*Flow, l limits) []*Flow {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.limits == l {
		return cut
	}
	u.limits = l
	if u.flows != nil {
		u.setRates()
	}
	if u.spent() {
		return u.sever(cut, errCeiling, anyFlow)
	}
	return u.trim(cut)
}

// setRates makes the buckets follow the limits. They are made when a user
// first opens a flow: most of many users never do.
func (u *user) setRates() {
	for d := range u.buckets {
		u.buckets[d] = u.buckets[d].set(u.rate(Direction(d)))
	}
	u.setSlow()
}

// setCeiling changes the ceiling, and the part of the rate beyond it. It locks
// u, and severs the flows if nothing may pass any more.
func (u *user) setCeiling(cut []*Flow, bytes, part uint64) []*Flow {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ceiling, u.part = bytes, part
	u.setSlow()
	if u.spent() {
		if len(u.flows) > 0 {
			u.dry = time.Now()
		}
		cut = u.sever(cut, errCeiling, anyFlow)
	}
	return cut
}

// network returns what counts as one device: an IPv4 address, or the /64 of
// an IPv6 address.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address at all: one device
	}
	return p
}
