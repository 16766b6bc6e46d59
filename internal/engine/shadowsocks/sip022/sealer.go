package sip022

import (
	"crypto/rand"
	"encoding/binary"
	"io"
	"net"
	"syscall"
	"time"
)

// room is what stands in front of a payload: a length, or the salt and the
// header of a reply.
const room = maxKeySize + replySize + tagSize

// A sealer reads what a destination sends, and seals it for the client: one
// chunk for each read. While nothing is there it holds no buffer.
type sealer struct {
	box
	src     *source
	buf     *buffer // what was read, behind room
	request *request
	begun   bool
	now     func() time.Time
}

func newSealer(r *request, c *net.TCPConn, raw syscall.RawConn, now func() time.Time) *sealer {
	return &sealer{src: newSource(c, raw, largeBuffer, room+portionSize), request: r, now: now}
}

// read waits for what the destination sends.
func (s *sealer) read() (n int, err error) {
	s.buf, n, err = s.src.read(nil, room)
	return n, err
}

// release gives back what was read.
func (s *sealer) release() {
	s.buf.free()
	s.buf = nil
}

// send seals a part of what was read, the next n bytes from at on, and writes
// it to w.
func (s *sealer) send(w io.Writer, at, n int) error {
	begin, end := room+at, room+at+n
	// The tag lies on what comes next, and goes away again.
	next := [tagSize]byte(s.buf.b[end:])
	var head []byte
	if s.begun {
		begin -= countSize + tagSize
		head = binary.BigEndian.AppendUint16(s.buf.b[begin:begin], uint16(n))
		s.seal(head[:0], head)
	} else {
		head = s.begin(begin, n)
		begin -= len(head)
	}
	payload := s.buf.b[room+at : end]
	s.seal(payload[:0], payload)
	_, err := w.Write(s.buf.b[begin : end+tagSize])
	copy(s.buf.b[end:], next[:])
	return err
}

// begin puts salt and header of the reply in front of the first payload, and returns them.
func (s *sealer) begin(before, n int) []byte {
	s.begun = true
	u := s.request.user
	size := len(u.key) + 1 + timeSize + len(u.key) + countSize + tagSize
	b := s.buf.b[before-size : before]
	_, _ = rand.Read(b[:len(u.key)]) // never fails
	s.box = newBox(u.key, b[:len(u.key)])
	head := appendReply(b[len(u.key):len(u.key)], s.request.salt, n, s.now())
	s.seal(head[:0], head)
	s.request = nil
	return b
}
