package firewall

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// This file is what rules can ask of a packet.

func (w *walker) payload(x *registers, as attributes) {
	base, at, n := as.number(unix.NFTA_PAYLOAD_BASE), int(as.number(unix.NFTA_PAYLOAD_OFFSET)), int(as.number(unix.NFTA_PAYLOAD_LEN))
	register := as.number(unix.NFTA_PAYLOAD_DREG)
	if n > len(x.value) {
		return
	}
	out := unknown(n)
	var header partial
	switch base {
	case unix.NFT_PAYLOAD_NETWORK_HEADER:
		header = w.packet.network
	case unix.NFT_PAYLOAD_TRANSPORT_HEADER:
		header = w.packet.transport
	}
	if at+n <= len(header.value) {
		out = partial{header.value[at : at+n], header.known[at : at+n]}
	}
	x.load(register, out)
	if from, size := w.packet.source(); base == unix.NFT_PAYLOAD_NETWORK_HEADER && at == from && n <= size {
		x.source, _ = place(register)
	}
}

func host32(n uint32) partial { return certain(binary.NativeEndian.AppendUint32(nil, n)...) }

func (w *walker) meta(key uint32) partial {
	switch key {
	case unix.NFT_META_NFPROTO:
		return certain(w.packet.family())
	case unix.NFT_META_L4PROTO:
		return certain(w.packet.l4)
	case unix.NFT_META_PROTOCOL:
		if w.packet.v6 {
			return certain(0x86, 0xdd)
		}
		return certain(0x08, 0x00)
	case unix.NFT_META_IIF:
		return index(w.packet.index)
	case unix.NFT_META_IIFNAME:
		return name(w.packet.link)
	case unix.NFT_META_PKTTYPE:
		return certain(unix.PACKET_HOST)
	case unix.NFT_META_OIF:
		if w.packet.out == "" {
			return host32(0)
		}
		return index(w.packet.outIndex)
	case unix.NFT_META_OIFNAME:
		if w.packet.out == "" {
			return certain(make([]byte, unix.IFNAMSIZ)...)
		}
		return name(w.packet.out)
	}
	return unknown(16)
}

func index(of uint32) partial {
	if of != 0 {
		return host32(of)
	}
	return unknown(4)
}

func name(of string) partial {
	if of == "" {
		return unknown(unix.IFNAMSIZ)
	}
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, of)
	return certain(b...)
}

// What connection tracking says of a first packet, and of later ones.
const (
	stateEstablished = 2
	stateNew         = 8
)

func (w *walker) tracked(key uint32) partial {
	switch {
	case w.untracked, w.early:
		return unknown(16)
	case key == unix.NFT_CT_STATE:
		return host32(w.packet.state)
	case w.packet.state != stateNew && key != unix.NFT_CT_PROTOCOL && key != unix.NFT_CT_L3PROTOCOL:
		return unknown(16)
	case key == unix.NFT_CT_STATUS:
		// It is neither answered, nor translated, nor expected. That a
		// translation was looked for may be noted.
		const translated, looked = 0x10 | 0x20, 0x80 | 0x100
		p := host32(0)
		binary.NativeEndian.PutUint32(p.known, ^uint32(looked))
		return p
	case key == unix.NFT_CT_DIRECTION:
		return certain(0)
	case key == unix.NFT_CT_PROTOCOL:
		return certain(w.packet.l4)
	case key == unix.NFT_CT_L3PROTOCOL:
		return certain(w.packet.family())
	}
	return unknown(16)
}

// route answers questions about the kind of an address: the destination is
// this host's, unless it forwards the packet, the source another's.
func (w *walker) route(as attributes) partial {
	flags := as.number(unix.NFTA_FIB_FLAGS)
	if as.number(unix.NFTA_FIB_RESULT) != unix.NFT_FIB_RESULT_ADDRTYPE {
		return unknown(16)
	}
	if flags&unix.NFTA_FIB_F_DADDR != 0 && w.packet.out == "" {
		return host32(unix.RTN_LOCAL)
	}
	return host32(unix.RTN_UNICAST)
}

// match asks a condition of iptables, whose data are C structures.
func (w *walker) match(as attributes) answer {
	info, rev := as[unix.NFTA_MATCH_INFO], as.number(unix.NFTA_MATCH_REV)
	u16 := func(at int) uint16 { return binary.NativeEndian.Uint16(info[at:]) }
	switch name := as.text(unix.NFTA_MATCH_NAME); {
	case name == "comment":
		return yes
	case name == "tcp" && len(info) >= 12: // source from, to, destination from, to; option, mask, flags, inverted
		if w.packet.l4 != unix.IPPROTO_TCP {
			return no
		}
		option, mask, flags, inverted := info[8], info[9], info[10], info[11]
		return all(
			flip(within(w.packet.sport, u16(0), u16(2)), inverted&1 != 0), flip(within(w.packet.port, u16(4), u16(6)), inverted&2 != 0),
			flip(answerOf(w.packet.flags&mask == flags), inverted&4 != 0), answerOf(option == 0).or(maybe),
		)
	case name == "udp" && len(info) >= 9:
		if w.packet.l4 != unix.IPPROTO_UDP {
			return no
		}
		return all(flip(within(w.packet.sport, u16(0), u16(2)), info[8]&1 != 0), flip(within(w.packet.port, u16(4), u16(6)), info[8]&2 != 0))
	case name == "multiport" && rev == 1 && len(info) >= 48:
		return w.multiport(info)
	case name == "conntrack" && rev >= 1 && rev <= 3 && len(info) >= 154:
		const ofState, alias = 1, 0x2000 // it was written as a match of the name "state"
		mask := uint32(info[150])
		if rev > 1 {
			mask = uint32(u16(150))
		}
		if w.untracked || w.early || u16(146)&^alias != ofState {
			return maybe
		}
		return flip(answerOf(mask&w.packet.state != 0), u16(148)&ofState != 0)
	case name == "state" && len(info) >= 4:
		if w.untracked || w.early {
			return maybe
		}
		return answerOf(binary.NativeEndian.Uint32(info)&w.packet.state != 0)
	case name == "addrtype" && rev == 1 && len(info) >= 8:
		const local, unicast, notSource, notDestination = 1 << unix.RTN_LOCAL, 1 << unix.RTN_UNICAST, 1, 2
		flags, holds := binary.NativeEndian.Uint32(info[4:]), yes
		if u16(0) != 0 {
			holds = all(holds, flip(answerOf(u16(0)&unicast != 0), flags&notSource != 0))
		}
		if u16(2) != 0 {
			kind := uint16(local)
			if w.packet.out != "" {
				kind = unicast
			}
			holds = all(holds, flip(answerOf(u16(2)&kind != 0), flags&notDestination != 0))
		}
		return holds
	case name == "pkttype" && len(info) >= 8:
		return flip(answerOf(binary.NativeEndian.Uint32(info) == unix.PACKET_HOST), binary.NativeEndian.Uint32(info[4:]) != 0)
	}
	return maybe
}

func (w *walker) multiport(info []byte) answer {
	const source, destination = 0, 1
	count, holds := min(int(info[1]), 15), no
	for i := 0; i < count; i++ {
		from := binary.NativeEndian.Uint16(info[2+2*i:])
		to := from
		if info[32+i] != 0 && i+1 < count { // the next is this one's upper end
			i++
			to = binary.NativeEndian.Uint16(info[2+2*i:])
		}
		if info[0] != destination && within(w.packet.sport, from, to) == yes || info[0] != source && within(w.packet.port, from, to) == yes {
			holds = yes
		}
	}
	return flip(holds, info[47] != 0)
}

func within(port, from, to uint16) answer { return answerOf(port >= from && port <= to) }

func flip(a answer, inverted bool) answer {
	if inverted {
		return a.not()
	}
	return a
}

// or returns a, or b where a does not hold.
func (a answer) or(b answer) answer {
	if a == no {
		return b
	}
	return a
}

// all returns whether every one of several conditions holds.
func all(as ...answer) answer {
	holds := yes
	for _, a := range as {
		if a == no {
			return no
		}
		if a == maybe {
			holds = maybe
		}
	}
	return holds
}

// target does what iptables knows under a name.
func (w *walker) target(as attributes) (answer, []verdict) {
	switch as.text(unix.NFTA_TARGET_NAME) {
	case "REJECT":
		return yes, []verdict{{code: verdictDrop}}
	case "LOG", "NFLOG", "MARK", "CONNMARK", "SET", "TCPMSS", "TRACE", "AUDIT", "CLASSIFY", "SECMARK", "CONNSECMARK", "CHECKSUM", "TOS", "DSCP", "TTL", "HL":
		return yes, nil
	case "CT", "NOTRACK":
		w.untracked = true
		return yes, nil
	case "DNAT", "REDIRECT", "TPROXY", "NETMAP":
		w.redirect = true
	}
	return yes, []verdict{{code: unsure}}
}
