package wireguard

import (
	"maps"
	"net/netip"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"vpn/internal/engine/meter"
)

const (
	// maxOpen is how many connections of a device are known. Of more than that
	// some are told of their end with their next packet.
	maxOpen = 512

	// A device is asked so often about connections that were cut, because what
	// it is asked, its answer or what it is then told may be lost: within the
	// second in which they have to end, and for which a device that was removed
	// is still known.
	asks     = 5
	askEvery = 150 * time.Millisecond
)

// openings are the connections of a device over a TUN, as far as they were
// seen to open and not to end. That is all that is known of them: where they
// are by now is not, as it would cost each packet. It is asked when they are
// cut, and by a segment that has been received already, as keep-alives are: the
// device answers, and what it sends is told that the connection is over. So
// those hear of it, too, by which nothing is sent.
type openings struct {
	mu    sync.Mutex
	known map[connection]opening
	over  map[connection]opening // by a cut, as far as the device is not known to know
	left  int                    // asks; none: nobody asks
}

// An opening is what is known of a connection.
type opening struct {
	seq, ack uint32 // of the other end's first segment
	ended    [2]bool
}

// notable reports whether b, which was read as h, may say that a connection
// opens or ends.
func (h packet) notable(b []byte) bool {
	const flags = 13 // from where TCP begins
	return h.tcp && !h.later && len(b) > h.head+flags &&
		header.TCPFlags(b[h.head+flags])&(header.TCPFlagSyn|header.TCPFlagFin|header.TCPFlagRst) != 0
}

// note remembers what a segment that passes says of a connection.
func (o *openings) note(c connection, s segment, d meter.Direction) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case s.begins():
		delete(o.over, c) // or the new one would be asked
	case s.flags.Contains(header.TCPFlagRst):
		delete(o.known, c)
	case s.flags.Contains(header.TCPFlagSyn):
		if d == meter.Down {
			o.add(c, opening{seq: s.seq, ack: s.ack})
		}
	case s.flags.Contains(header.TCPFlagFin):
		is, ok := o.known[c]
		if is.ended[d] = true; is.ended[meter.Up] && is.ended[meter.Down] {
			delete(o.known, c)
		} else if ok {
			o.known[c] = is
		}
	}
}

// add makes a connection known, in the place of any where there are too many.
// The caller holds o.mu.
func (o *openings) add(c connection, is opening) {
	if o.known == nil {
		o.known = map[connection]opening{}
	}
	if _, again := o.known[c]; !again && len(o.known) == maxOpen {
		for any := range o.known {
			delete(o.known, any)
			break
		}
	}
	o.known[c] = is
}

// cut says that all that are known are over, and reports whether somebody has
// to begin to ask.
func (o *openings) cut() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.known) == 0 {
		return false
	}
	if o.over == nil {
		o.over = map[connection]opening{}
	}
	maps.Copy(o.over, o.known)
	o.known = nil
	begin := o.left == 0
	o.left = asks
	return begin
}

// heard says that the device knows of the end of a connection.
func (o *openings) heard(c connection) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.over, c)
}

// questions returns what to ask a device of these addresses now, and whether
// to ask again later.
func (o *openings) questions(four, six netip.Addr) (packets [][]byte, again bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c, is := range o.over {
		a := four
		if c.far.Addr().Is6() {
			a = six
		}
		packets = append(packets, is.question(c.far, netip.AddrPortFrom(a, c.port)))
	}
	if o.left--; o.left == 0 || len(o.over) == 0 {
		o.left, o.over = 0, nil
	}
	return packets, o.left > 0
}

// question makes a segment from the other end of a connection that the device
// cannot take and has to answer: RFC 9293, sections 3.8.4 and 3.10.7.4. It is
// behind headroom.
func (is opening) question(far, device netip.AddrPort) []byte {
	return bare(far, device, header.TCPFields{SeqNum: is.seq, AckNum: is.ack, Flags: header.TCPFlagAck}, 1)
}
