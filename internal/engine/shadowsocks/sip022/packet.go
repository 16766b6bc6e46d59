package sip022

import (
	"crypto/subtle"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"
)

const (
	separateSize  = 16 // a session's ID and a packet's number
	sessionIDSize = 8
	packetHead    = 1 + timeSize + countSize // of a client's packet, before padding and address

	// answerRoom is what stands in front of the payload of an answer, at most.
	answerRoom = separateSize + packetHead + sessionIDSize + maxPadding + maxAddrSize
	maxPadding = 900
	// maxDatagram is the largest payload of UDP over IPv4.
	maxDatagram = 65507

	portDNS = 53
)

type sessionID [sessionIDSize]byte

// A packet is one that a client has sent, before it is opened.
type packet struct {
	user     *user
	separate [separateSize]byte
	sealed   []byte
}

func (p *packet) session() sessionID { return sessionID(p.separate[:sessionIDSize]) }

// number counts the packets of a session, from 0.
func (p *packet) number() uint64 { return binary.BigEndian.Uint64(p.separate[sessionIDSize:]) }

// nonce is what the body is sealed with.
func (p *packet) nonce() []byte { return p.separate[4:] }

// parsePacket finds out whose a packet is. Nobody has vouched for that before
// it is opened.
func (k *keys) parsePacket(b []byte) (p packet, err error) {
	if len(b) < separateSize+identitySize+packetHead+tagSize {
		return packet{}, errShort
	}
	k.block.Decrypt(p.separate[:], b)
	var id identity
	k.block.Decrypt(id[:], b[separateSize:])
	subtle.XORBytes(id[:], id[:], p.separate[:])
	if p.user = k.byIdentity[id]; p.user == nil {
		return packet{}, errIdentity
	}
	p.sealed = b[separateSize+identitySize:]
	return p, nil
}

// parseBody reads what a packet of a client holds.
func parseBody(b []byte, now time.Time) (to target, payload []byte, err error) {
	if len(b) < packetHead {
		return target{}, nil, errFormat
	}
	if b[0] != typeRequest {
		return target{}, nil, errType
	}
	if !on(binary.BigEndian.Uint64(b[1:]), now) {
		return target{}, nil, errTime
	}
	padding := int(binary.BigEndian.Uint16(b[1+timeSize:]))
	b = b[packetHead:]
	if padding > len(b) {
		return target{}, nil, errFormat
	}
	to, payload, ok := parseTarget(b[padding:])
	if !ok {
		return target{}, nil, errFormat
	}
	return to, payload, nil
}

// answer makes the packet of a payload of n bytes that came from a destination
// and stands in b behind answerRoom, and returns it. It needs tagSize more
// behind.
func (s *session) answer(b []byte, n int, from netip.AddrPort, now time.Time) []byte {
	padding := 0
	if from.Port() == portDNS && n < maxPadding {
		padding = 1 + rand.IntN(maxPadding-n) // the length would tell the name
	}
	var addr [maxAddrSize]byte
	to := appendAddr(addr[:0], from)
	begin := answerRoom - len(to) - padding - sessionIDSize - packetHead - separateSize
	separate := append(b[begin:begin], s.reply.id[:]...)
	separate = binary.BigEndian.AppendUint64(separate, s.reply.sent.Add(1)-1)
	head := append(b[begin+separateSize:begin+separateSize], typeReply)
	head = binary.BigEndian.AppendUint64(head, uint64(now.Unix()))
	head = append(head, s.key.id[:]...)
	head = binary.BigEndian.AppendUint16(head, uint16(padding))
	clear(head[len(head) : len(head)+padding]) // somebody else's bytes may lie there
	copy(b[answerRoom-len(to):], to)
	body := b[begin+separateSize : answerRoom+n]
	s.reply.aead.Seal(body[:0], separate[4:], body, nil)
	s.reply.block.Encrypt(separate, separate)
	return b[begin : answerRoom+n+tagSize]
}
