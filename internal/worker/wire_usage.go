package worker

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"vpn/internal/vpn"
)

// usageForm names the form of [vpn.Counters] that crosses the control socket
// every second: written and read in a tenth of what JSON takes. Whoever asks
// for usage may accept it; whoever does not know it says and hears JSON. It
// has no room for more fields: another form is another name.
//
// Numbers are unsigned varints, in the order of the struct's fields; text has
// its length in front, and a list the number of what is in it.
const usageForm = "application/vnd.vpn.usage-1"

// appendUsage appends c in that form.
func appendUsage(b []byte, c *vpn.Counters) []byte {
	b = appendText(b, c.Epoch)
	b = appendNumbers(b, c.Seq, c.CeilingsTurn, c.SharesTurn, uint64(c.At), uint64(c.CPU), uint64(len(c.Counters)))
	for i := range c.Counters {
		n := &c.Counters[i]
		b = appendText(appendText(b, string(n.Credential)), string(n.User))
		b = appendNumbers(b, n.Up, n.Down, uint64(n.Conns))
	}
	b = appendNumbers(b, uint64(len(c.Demands)))
	for i := range c.Demands {
		d := &c.Demands[i]
		b = appendText(b, string(d.User))
		b = appendNumbers(b, d.RateUp, d.RateDown, uint64(d.Devices), uint64(d.Connections),
			d.Up, d.Down, uint64(d.WaitUp), uint64(d.WaitDown), uint64(d.Conns), uint64(len(d.Networks)))
		for _, p := range d.Networks {
			addr := p.Network.Addr().AsSlice() // empty: no address at all
			b = append(append(b, byte(len(addr))), addr...)
			b = appendNumbers(b, uint64(p.Network.Bits()+1), uint64(p.Since), uint64(p.Silent))
		}
		dry := byte(0)
		if d.Dry {
			dry = 1
		}
		b = append(b, dry)
	}
	b = appendNumbers(b, uint64(len(c.FirstUses)))
	for _, f := range c.FirstUses {
		b = appendText(b, string(f.User))
		b = appendNumbers(b, uint64(f.Held.UnixMicro()), uint64(f.At.UnixMicro()))
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendNumbers(b []byte, ns ...uint64) []byte {
	for _, n := range ns {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

var errUsageForm = errors.New("it is cut off, or in no form that is known")

// parseUsage is the reverse of appendUsage.
func parseUsage(b []byte) (c vpn.Counters, err error) {
	r := usageReader{rest: b}
	c.Epoch = r.text()
	c.Seq, c.CeilingsTurn, c.SharesTurn, c.At, c.CPU = r.number(), r.number(), r.number(), int64(r.number()), int64(r.number())
	c.Counters = make([]vpn.Counter, r.length(5))
	for i := range c.Counters {
		c.Counters[i] = vpn.Counter{
			Credential: vpn.CredentialID(r.text()), User: vpn.UserID(r.text()),
			Traffic: vpn.Traffic{Up: r.number(), Down: r.number()}, Conns: int(r.number()),
		}
	}
	if n := r.length(12); n > 0 {
		c.Demands = make([]vpn.Demand, n)
	}
	for i := range c.Demands {
		c.Demands[i] = r.demand()
	}
	if n := r.length(3); n > 0 {
		c.FirstUses = make([]vpn.FirstUse, n)
	}
	for i := range c.FirstUses {
		c.FirstUses[i] = vpn.FirstUse{User: vpn.UserID(r.text()), Held: r.time(), At: r.time()}
	}
	if r.failed || len(r.rest) > 0 {
		return vpn.Counters{}, errUsageForm
	}
	return c, nil
}

// A usageReader reads what is left of a message. Once it has failed it reads
// nothing but zeros.
type usageReader struct {
	rest   []byte
	failed bool
}

func (r *usageReader) demand() vpn.Demand {
	d := vpn.Demand{
		User: vpn.UserID(r.text()), RateUp: r.number(), RateDown: r.number(), Devices: int(r.number()), Connections: int(r.number()),
		Up: r.number(), Down: r.number(), WaitUp: int64(r.number()), WaitDown: int64(r.number()), Conns: int(r.number()),
	}
	if n := r.length(4); n > 0 {
		d.Networks = make([]vpn.Presence, n)
	}
	for i := range d.Networks {
		d.Networks[i] = vpn.Presence{Network: r.network(), Since: int64(r.number()), Silent: int64(r.number())}
	}
	d.Dry = r.number() == 1
	return d
}

func (r *usageReader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// length returns how many come of what takes so many bytes at least: a message
// cannot make its reader allocate much more than it is long.
func (r *usageReader) length(least int) int {
	n := r.number()
	if n > uint64(len(r.rest)/least) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *usageReader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *usageReader) text() string { return string(r.bytes(r.number())) }

func (r *usageReader) time() time.Time { return time.UnixMicro(int64(r.number())).UTC() }

func (r *usageReader) network() netip.Prefix {
	addr, ok := netip.AddrFromSlice(r.bytes(r.number()))
	bits := int(r.number()) - 1
	if !ok && bits == -1 {
		return netip.Prefix{}
	}
	p := netip.PrefixFrom(addr, bits)
	if !p.IsValid() {
		r.fail()
	}
	return p
}

func (r *usageReader) fail() { r.rest, r.failed = nil, true }
