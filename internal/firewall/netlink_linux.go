package firewall

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// conn is a netlink socket to nf_tables of this thread's network namespace.
// It only ever asks. There are libraries for this; the one for nftables
// leaves out expressions that it does not know, and a rule without one of its
// conditions would be a false alarm.
type conn struct {
	fd       int
	deadline time.Time
	seq      uint32
	buf      []byte
}

func dial(deadline time.Time) (*conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	c := &conn{fd: fd, deadline: deadline, buf: make([]byte, 64<<10)}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		c.Close()
		return nil, os.NewSyscallError("bind", err)
	}
	return c, nil
}

func (c *conn) Close() { _ = unix.Close(c.fd) }

const (
	headerLen = 16 + 4 // struct nlmsghdr, struct nfgenmsg
	typeMask  = 0x3fff // NLA_TYPE_MASK
	subsystem = unix.NFNL_SUBSYS_NFTABLES << 8
)

var errOutOfOrder = errors.New("nf_tables: a strange answer")

// ask sends one request and calls each with the family and the attributes of
// every answer. A dump answers with many.
func (c *conn) ask(message uint16, family byte, dump bool, payload []byte, each func(family byte, as attributes)) error {
	c.seq++
	flags := uint16(unix.NLM_F_REQUEST)
	if dump {
		flags |= unix.NLM_F_DUMP
	}
	m := make([]byte, headerLen, headerLen+len(payload))
	binary.NativeEndian.PutUint32(m[0:], uint32(headerLen+len(payload)))
	binary.NativeEndian.PutUint16(m[4:], subsystem|message)
	binary.NativeEndian.PutUint16(m[6:], flags)
	binary.NativeEndian.PutUint32(m[8:], c.seq)
	m[16] = family
	m = append(m, payload...)
	if err := unix.Sendto(c.fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("send", err)
	}
	for {
		done, err := c.receive(dump, each)
		if done || err != nil {
			return err
		}
	}
}

func (c *conn) receive(dump bool, each func(byte, attributes)) (done bool, err error) {
	left := time.Until(c.deadline)
	if left <= 0 {
		return false, os.ErrDeadlineExceeded
	}
	tv := unix.NsecToTimeval(max(left, time.Millisecond).Nanoseconds())
	if err := unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return false, os.NewSyscallError("setsockopt", err)
	}
	n, _, err := unix.Recvfrom(c.fd, c.buf, 0)
	if errors.Is(err, unix.EINTR) {
		return false, nil
	}
	if err != nil {
		return false, os.NewSyscallError("receive", err)
	}
	return c.messages(c.buf[:n], dump, each)
}

// messages reads what came with one datagram.
func (c *conn) messages(b []byte, dump bool, each func(byte, attributes)) (done bool, err error) {
	for len(b) >= 16 {
		size, kind, flags, seq := int(binary.NativeEndian.Uint32(b)), binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint16(b[6:]), binary.NativeEndian.Uint32(b[8:])
		if size < 16 || size > len(b) {
			return false, errOutOfOrder
		}
		body := b[16:size]
		b = b[min(align(size), len(b)):]
		switch {
		case seq != c.seq:
			continue // of a request that was given up
		case flags&unix.NLM_F_DUMP_INTR != 0:
			return false, fmt.Errorf("nf_tables: the rules changed: %w", unix.EAGAIN)
		case kind == unix.NLMSG_ERROR, kind == unix.NLMSG_DONE:
			if len(body) >= 4 {
				if errno := int32(binary.NativeEndian.Uint32(body)); errno != 0 { //nolint:gosec // it is negative
					return false, os.NewSyscallError("nf_tables", unix.Errno(-errno))
				}
			}
			return true, nil
		case len(body) < 4:
			return false, errOutOfOrder
		}
		each(body[0], parse(body[4:]))
		if !dump {
			return true, nil
		}
	}
	return false, nil
}

// generation returns the number that every change of the rules raises.
func (c *conn) generation() (uint32, error) {
	var gen uint32
	err := c.ask(unix.NFT_MSG_GETGEN, unix.NFPROTO_UNSPEC, false, nil, func(_ byte, as attributes) {
		gen = as.number(unix.NFTA_GEN_ID)
	})
	return gen, err
}

func align(n int) int { return (n + 3) &^ 3 }

// attributes are those of a message or of a nest, by type. Of equal types the
// last counts; lists have [elements].
type attributes map[uint16][]byte

func parse(b []byte) attributes {
	as := attributes{}
	walk(b, func(kind uint16, value []byte) { as[kind] = value })
	return as
}

// elements returns the members of a list. They are copies: b is overwritten
// by the next answer.
func elements(b []byte) []attributes {
	var out []attributes
	walk(append([]byte(nil), b...), func(kind uint16, value []byte) {
		if kind == unix.NFTA_LIST_ELEM {
			out = append(out, parse(value))
		}
	})
	return out
}

func walk(b []byte, each func(kind uint16, value []byte)) {
	for len(b) >= 4 {
		size, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])&typeMask
		if size < 4 || size > len(b) {
			return
		}
		each(kind, b[4:size])
		b = b[min(align(size), len(b)):]
	}
}

// number returns a number of one, two or four bytes, in network order as
// nf_tables writes them; 0 if there is none.
func (as attributes) number(kind uint16) uint32 {
	switch b := as[kind]; len(b) {
	case 1:
		return uint32(b[0])
	case 2:
		return uint32(binary.BigEndian.Uint16(b))
	case 4:
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// text returns a string, empty if there is none.
func (as attributes) text(kind uint16) string {
	b := as[kind]
	if n := len(b); n > 0 && b[n-1] == 0 {
		b = b[:n-1]
	}
	return string(b)
}

func (as attributes) has(kind uint16) bool { return as[kind] != nil }

func (as attributes) nest(kind uint16) attributes { return parse(as[kind]) }

// attribute encodes a string.
func attribute(kind uint16, text string) []byte {
	b := make([]byte, align(4+len(text)+1))
	binary.NativeEndian.PutUint16(b, uint16(4+len(text)+1)) //nolint:gosec // names are short
	binary.NativeEndian.PutUint16(b[2:], kind)
	copy(b[4:], text)
	return b
}
