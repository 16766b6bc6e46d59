package sip022

import (
	"encoding/binary"
	"errors"
	"time"
)

const (
	// maxSkew is how far the clocks of a client and of the server may be apart.
	maxSkew = 30 * time.Second

	typeRequest = 0 // of a client's messages
	typeReply   = 1 // of the server's

	timeSize  = 8
	countSize = 2 // of a length

	fixedSize    = 1 + timeSize + countSize              // of a request's first header
	replySize    = 1 + timeSize + maxKeySize + countSize // of a reply's header, at most
	maxChunkSize = 0xffff
)

// The reasons not to believe a stranger.
var (
	errShort    = errors.New("too short")
	errIdentity = errors.New("names no user")
	errForged   = errors.New("not sealed with the user's key")
	errType     = errors.New("no message of a client")
	errTime     = errors.New("sent at another time")
	errAgain    = errors.New("seen before")
	errFormat   = errors.New("malformed")
)

// A request is how a client begins a stream.
type request struct {
	user   *user
	salt   []byte
	target target
	first  []byte // payload that came with it; it is the opener's
}

// on reports whether a message that says it was sent at that Unix time was
// sent about now.
func on(sent uint64, now time.Time) bool {
	const maxTime = 1 << 40 // far away, and below all overflows
	if sent > maxTime {
		return false
	}
	off := time.Duration(int64(sent)-now.Unix()) * time.Second
	return -maxSkew <= off && off <= maxSkew
}

// parseFixed reads the first header of a request: how long the second is.
func parseFixed(b []byte, now time.Time) (length int, err error) {
	if b[0] != typeRequest {
		return 0, errType
	}
	if !on(binary.BigEndian.Uint64(b[1:]), now) {
		return 0, errTime
	}
	return int(binary.BigEndian.Uint16(b[1+timeSize:])), nil
}

// parseVariable reads the second header of a request.
func parseVariable(b []byte) (to target, first []byte, err error) {
	to, b, ok := parseTarget(b)
	if !ok || len(b) < countSize {
		return target{}, nil, errFormat
	}
	padding := int(binary.BigEndian.Uint16(b))
	b = b[countSize:]
	// One of padding and payload must be there, so that requests for names of
	// one length are not all of one length.
	if padding > len(b) || len(b) == 0 {
		return target{}, nil, errFormat
	}
	return to, b[padding:], nil
}

// hear reads a client's request, and begins to open its stream.
func (e *Engine) hear(o *opener) (*request, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	// That was one read, as SIP022 wants: whoever sends a request in pieces
	// looks for how many bytes it takes.
	k := e.keys.Load()
	head := k.size + identitySize
	b := o.pending()
	if len(b) < head+fixedSize+tagSize {
		return nil, errShort
	}
	r := &request{salt: append([]byte(nil), b[:k.size]...)}
	var id identity
	newBlock(identityPurpose.subkey(k.server, r.salt)).Decrypt(id[:], b[k.size:head])
	if r.user = k.byIdentity[id]; r.user == nil {
		return nil, errIdentity
	}
	o.box = newBox(r.user.key, r.salt)
	o.skip(head)
	fixed, err := o.take(fixedSize)
	if err != nil {
		return nil, err
	}
	now := e.options.now()
	length, err := parseFixed(fixed, now)
	if errors.Is(err, errTime) {
		e.late(r.user, o.conn.RemoteAddr(), binary.BigEndian.Uint64(fixed[1:]))
	}
	if err != nil {
		return nil, err
	}
	var s salt
	copy(s[:], r.salt)
	if !e.salts.add(r.user.credential, s, now) {
		return nil, errAgain
	}
	variable, err := o.take(length)
	if err != nil {
		return nil, err
	}
	if r.target, r.first, err = parseVariable(variable); err != nil {
		return nil, err
	}
	return r, nil
}

// appendReply appends the header of a reply to a request with that salt,
// before a payload of n bytes.
func appendReply(b, salt []byte, n int, now time.Time) []byte {
	b = append(b, typeReply)
	b = binary.BigEndian.AppendUint64(b, uint64(now.Unix()))
	b = append(b, salt...)
	return binary.BigEndian.AppendUint16(b, uint16(n))
}
