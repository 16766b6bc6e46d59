package proxy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"vpn/internal/vpn"
)

// What RFC 1928 and RFC 1929 call by numbers.
const (
	methodNone     = 0x00
	methodPassword = 0x02
	methodRefused  = 0xff

	passwordVersion = 1

	commandConnect   = 1
	commandAssociate = 3

	kindIPv4 = 1
	kindName = 3
	kindIPv6 = 4
)

// A reply is SOCKS5's word on a request.
type reply byte

const (
	replyDone        reply = 0
	replyFailure     reply = 1
	replyRefused     reply = 2 // by the guard, the rules or the meter, or by somebody's on the way
	replyNoNetwork   reply = 3
	replyNoHost      reply = 4
	replyNoPort      reply = 5 // nobody listens there
	replyTimeout     reply = 6 // nobody answers; that a packet's own time ran out the kernel calls no host
	replyBadCommand  reply = 7
	replyBadAddrKind reply = 8
)

// replyTo returns the reply that says why.
func replyTo(err error) reply {
	var dns *net.DNSError
	switch {
	case err == nil:
		return replyDone
	case vpn.KindOf(err) == vpn.Denied, errors.Is(err, syscall.EACCES):
		return replyRefused
	case errors.Is(err, syscall.ENETUNREACH):
		return replyNoNetwork
	case errors.As(err, &dns), errors.Is(err, syscall.EHOSTUNREACH):
		return replyNoHost
	case errors.Is(err, syscall.ECONNREFUSED):
		return replyNoPort
	case timedOut(err):
		return replyTimeout
	}
	return replyFailure
}

// A target is where a client wants to.
type target struct {
	host string // a name or an address
	addr netip.Addr
	port uint16
}

var errAddrKind = errors.New("unknown kind of address")

// A socksTalk is what is said on a connection before bytes are carried.
type socksTalk struct {
	*Engine
	client *client
	in     *bufio.Reader
}

// socks serves a client that speaks SOCKS5.
func (e *Engine) socks(c *client) {
	t := &socksTalk{e, c, bufio.NewReaderSize(c, 1<<10)}
	_ = c.raw.SetDeadline(time.Now().Add(e.greet))
	a, err := t.whoIs()
	if err != nil {
		e.log.Debug("stranger", slog.Any("source", c.source), slog.Any("err", err))
		c.part()
		return
	}
	_ = c.raw.SetDeadline(time.Now().Add(e.greet))
	command, to, err := readRequest(t.in)
	switch {
	case errors.Is(err, errAddrKind):
		t.turnAway(replyBadAddrKind)
		return
	case err != nil:
		_ = c.Close()
		return
	case command != commandConnect && command != commandAssociate:
		t.turnAway(replyBadCommand) // BIND among them: users have no ports here
		return
	}
	if wait, ok := e.pace.allow(a.user, c.source.Addr()); !ok {
		err = tooMany(wait)
	} else if command == commandAssociate {
		err = e.associate(a, c, to)
	} else {
		err = t.connectTo(a, to)
	}
	if err != nil {
		e.log.Debug("request refused", slog.Any("source", c.source), slog.Any("err", err))
		t.turnAway(replyTo(err))
	}
}

// turnAway tells a client that its request has failed, and why by a number.
func (t *socksTalk) turnAway(why reply) {
	_ = t.client.raw.SetDeadline(time.Now().Add(t.greet))
	_, _ = t.client.raw.Write(appendReply(nil, why, netip.AddrPort{}))
	t.client.part()
}

// connectTo carries a stream. An error is one before it began.
func (t *socksTalk) connectTo(a *account, to target) error {
	f, err := t.open(a, t.client, "tcp")
	if err != nil {
		return err
	}
	_ = t.client.raw.SetDeadline(time.Time{})
	dst, err := t.connect(f.ctx, to.host, to.port)
	if err != nil {
		f.close()
		return err
	}
	local, _ := dst.LocalAddr().(*net.TCPAddr)
	if _, err := t.client.raw.Write(appendReply(nil, replyDone, local.AddrPort())); err != nil {
		_ = dst.Close()
		f.close()
		return err
	}
	early, _ := t.in.Peek(t.in.Buffered())
	t.tunnel(f, t.client, t.client, early, dst)
	return nil
}

var errGreeting = errors.New("no greeting of SOCKS5 that is good enough")

// whoIs finds out who a client is.
func (t *socksTalk) whoIs() (*account, error) {
	var head [2]byte
	if _, err := io.ReadFull(t.in, head[:]); err != nil || head[0] != socksVersion {
		return nil, errGreeting
	}
	methods := make([]byte, head[1])
	if _, err := io.ReadFull(t.in, methods); err != nil {
		return nil, err
	}
	if slices.Contains(methods, methodPassword) {
		if _, err := t.client.raw.Write([]byte{socksVersion, methodPassword}); err != nil {
			return nil, err
		}
		return t.askPassword()
	}
	if a := t.guest(t.client); a != nil && slices.Contains(methods, methodNone) {
		_, err := t.client.raw.Write([]byte{socksVersion, methodNone})
		return a, err
	}
	_, _ = t.client.raw.Write([]byte{socksVersion, methodRefused})
	return nil, errNoPassword
}

// askPassword is RFC 1929.
func (t *socksTalk) askPassword() (*account, error) {
	version, err := t.in.ReadByte()
	if err != nil || version != passwordVersion {
		return nil, errGreeting
	}
	name, err := readText(t.in)
	if err != nil {
		return nil, err
	}
	password, err := readText(t.in)
	if err != nil {
		return nil, err
	}
	a := t.identify(t.client, name, password)
	_ = t.client.raw.SetDeadline(time.Now().Add(t.greet)) // it may have been waiting
	if a == nil {
		_, _ = t.client.raw.Write([]byte{passwordVersion, 1})
		return nil, errPassword
	}
	_, err = t.client.raw.Write([]byte{passwordVersion, 0})
	return a, err
}

func readText(in *bufio.Reader) (string, error) {
	n, err := in.ReadByte()
	if err != nil {
		return "", err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(in, b)
	return string(b), err
}

func readRequest(in *bufio.Reader) (command byte, to target, err error) {
	var head [3]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, target{}, err
	}
	if head[0] != socksVersion {
		return 0, target{}, errGreeting
	}
	to, err = readTarget(in)
	return head[1], to, err
}

// A byteReader is what addresses are read from.
type byteReader interface {
	io.Reader
	io.ByteReader
}

func readTarget(in byteReader) (target, error) {
	kind, err := in.ReadByte()
	if err != nil {
		return target{}, err
	}
	size := map[byte]int{kindIPv4: 4, kindIPv6: 16}[kind]
	if kind == kindName {
		n, err := in.ReadByte()
		if err != nil {
			return target{}, err
		}
		size = int(n)
	} else if size == 0 {
		return target{}, errAddrKind
	}
	b := make([]byte, size+2)
	if _, err := io.ReadFull(in, b); err != nil {
		return target{}, err
	}
	to := target{host: string(b[:size]), port: binary.BigEndian.Uint16(b[size:])}
	if kind != kindName {
		to.addr, _ = netip.AddrFromSlice(b[:size])
		to.host = to.addr.String()
	} else if a, err := netip.ParseAddr(to.host); err == nil {
		to.addr = a // an address written as a name
	}
	return to, nil
}

// appendReply appends a reply with the address that is bound for the client.
func appendReply(b []byte, r reply, bound netip.AddrPort) []byte {
	return appendAddr(append(b, socksVersion, byte(r), 0), bound)
}

func appendAddr(b []byte, a netip.AddrPort) []byte {
	addr := a.Addr().Unmap().WithZone("")
	switch {
	case !addr.IsValid():
		b = append(b, kindIPv4, 0, 0, 0, 0)
	case addr.Is4():
		b = append(append(b, kindIPv4), addr.AsSlice()...)
	default:
		b = append(append(b, kindIPv6), addr.AsSlice()...)
	}
	return binary.BigEndian.AppendUint16(b, a.Port())
}
