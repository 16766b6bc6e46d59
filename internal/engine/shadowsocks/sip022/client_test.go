package sip022

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lukechampine.com/blake3"

	"vpn/internal/engine/enginetest"
	"vpn/internal/protocol/shadowsocks"
	"vpn/internal/vpn"
)

// A client of SIP022 and SIP023 for tests, written from the documents and
// sharing nothing with the server. It can do what no good client does.

// login is what a client of one user has.
type login struct{ server, user []byte }

// loginOf is what the link that the protocol makes tells a client.
func loginOf(c enginetest.Client) login {
	a, err := shadowsocks.Protocol{}.Access(
		vpn.Server{Name: "s", Settings: c.Server.Settings, Private: c.Server.Private, Port: c.Server.Port},
		vpn.User{Name: "u"}, vpn.Credential{Secret: c.Grant.Secret}, "127.0.0.1")
	if err != nil {
		panic(err)
	}
	link, err := url.Parse(a.Link)
	if err != nil {
		panic(err)
	}
	password, _ := link.User.Password()
	server, user, _ := strings.Cut(password, ":")
	return login{decode(server), decode(user)}
}

func decode(key string) []byte {
	b, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		panic(err)
	}
	return b
}

func clientAEAD(psk, salt []byte) cipher.AEAD {
	key := make([]byte, len(psk))
	blake3.DeriveKey(key, "shadowsocks 2022 session subkey", append(append([]byte{}, psk...), salt...))
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return a
}

func ecb(key, b []byte, encrypt bool) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	out := make([]byte, 16)
	if encrypt {
		block.Encrypt(out, b)
	} else {
		block.Decrypt(out, b)
	}
	return out
}

func hash16(key []byte) []byte {
	h := blake3.Sum256(key)
	return h[:16]
}

// codec seals or opens one direction of a stream.
type codec struct {
	aead cipher.AEAD
	n    uint64
}

func (c *codec) nonce() []byte {
	b := make([]byte, 12)
	binary.LittleEndian.PutUint64(b, c.n)
	c.n++
	return b
}

func (c *codec) seal(b []byte) []byte { return c.aead.Seal(nil, c.nonce(), b, nil) }

func (c *codec) open(b []byte) ([]byte, error) { return c.aead.Open(nil, c.nonce(), b, nil) }

// greeting is a request, and what may be wrong with it.
type greeting struct {
	login
	salt     []byte // nil: a fresh one
	identity []byte // whom the header names; nil: the user
	typ      byte
	sent     time.Time // zero: now
	to       []byte    // address of RFC 1928
	padding  int
	payload  []byte
}

func (g *greeting) bytes() (wire []byte, c *codec) {
	if g.salt == nil {
		g.salt = make([]byte, len(g.user))
		_, _ = rand.Read(g.salt)
	}
	if g.identity == nil {
		g.identity = hash16(g.user)
	}
	if g.sent.IsZero() {
		g.sent = time.Now()
	}
	sub := make([]byte, len(g.server))
	blake3.DeriveKey(sub, "shadowsocks 2022 identity subkey", append(append([]byte{}, g.server...), g.salt...))
	c = &codec{aead: clientAEAD(g.user, g.salt)}
	variable := append([]byte{}, g.to...)
	variable = binary.BigEndian.AppendUint16(variable, uint16(g.padding))
	variable = append(variable, make([]byte, g.padding)...)
	variable = append(variable, g.payload...)
	fixed := binary.BigEndian.AppendUint64([]byte{g.typ}, uint64(g.sent.Unix()))
	fixed = binary.BigEndian.AppendUint16(fixed, uint16(len(variable)))
	wire = append([]byte{}, g.salt...)
	wire = append(wire, ecb(sub, g.identity, true)...)
	wire = append(wire, c.seal(fixed)...)
	return append(wire, c.seal(variable)...), c
}

// socksAddr spells address as RFC 1928 does.
func socksAddr(address string) []byte {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		panic(err)
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		panic(err)
	}
	var b []byte
	if a, err := netip.ParseAddr(host); err != nil {
		b = append([]byte{3, byte(len(host))}, host...)
	} else if a.Is4() {
		b = append([]byte{1}, a.AsSlice()...)
	} else {
		b = append([]byte{4}, a.AsSlice()...)
	}
	return binary.BigEndian.AppendUint16(b, uint16(p))
}

// stream is a client's connection to a destination.
type stream struct {
	*net.TCPConn
	greeting greeting
	up       *codec

	down *codec // nil: no reply yet
	rest []byte
}

func dialTCP(ctx context.Context, c enginetest.Client, address string) (*stream, error) {
	d := net.Dialer{}
	if c.From.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.From, 0))
	}
	conn, err := d.DialContext(ctx, "tcp", c.Via.String())
	if err != nil {
		return nil, err
	}
	s := &stream{TCPConn: conn.(*net.TCPConn), greeting: greeting{login: loginOf(c), to: socksAddr(address), padding: 17}}
	var wire []byte
	wire, s.up = s.greeting.bytes()
	if _, err := conn.Write(wire); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *stream) Write(b []byte) (int, error) {
	const most = 0xffff
	total := 0
	for len(b) > 0 {
		n := min(len(b), most)
		wire := append(s.up.seal(binary.BigEndian.AppendUint16(nil, uint16(n))), s.up.seal(b[:n])...)
		if _, err := s.TCPConn.Write(wire); err != nil {
			return total, err
		}
		total += n
		b = b[n:]
	}
	return total, nil
}

func (s *stream) Read(b []byte) (int, error) {
	for len(s.rest) == 0 {
		if err := s.receive(); err != nil {
			return 0, err
		}
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// receive reads the next chunk.
func (s *stream) receive() error {
	size := 2
	if s.down == nil {
		salt := make([]byte, len(s.greeting.user))
		if _, err := io.ReadFull(s.TCPConn, salt); err != nil {
			return err
		}
		s.down = &codec{aead: clientAEAD(s.greeting.user, salt)}
		size = 1 + 8 + len(salt) + 2
	}
	head := make([]byte, size+16)
	if _, err := io.ReadFull(s.TCPConn, head); err != nil {
		return err
	}
	head, err := s.down.open(head)
	if err != nil {
		return err
	}
	if size > 2 {
		sent := time.Unix(int64(binary.BigEndian.Uint64(head[1:])), 0)
		if head[0] != 1 || time.Since(sent).Abs() > 30*time.Second || string(head[9:9+len(s.greeting.salt)]) != string(s.greeting.salt) {
			return fmt.Errorf("bad header of a reply: % x", head)
		}
	}
	payload := make([]byte, int(binary.BigEndian.Uint16(head[size-2:]))+16)
	if _, err := io.ReadFull(s.TCPConn, payload); err != nil {
		return err
	}
	s.rest, err = s.down.open(payload)
	return err
}

// association is a client's UDP session with one destination.
type association struct {
	*net.UDPConn
	login
	session [8]byte
	to      []byte

	mu    sync.Mutex
	sent  uint64
	known map[[8]byte]uint64 // the server's sessions: the next number
}

func dialUDP(ctx context.Context, c enginetest.Client, address string) (*association, error) {
	d := net.Dialer{}
	if c.From.IsValid() {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.From, 0))
	}
	conn, err := d.DialContext(ctx, "udp", c.Via.String())
	if err != nil {
		return nil, err
	}
	a := &association{UDPConn: conn.(*net.UDPConn), login: loginOf(c), to: socksAddr(address), known: map[[8]byte]uint64{}}
	_, _ = rand.Read(a.session[:])
	return a, nil
}

// datagram is a client's packet, and what may be wrong with it.
type datagram struct {
	login
	session  [8]byte
	number   uint64
	identity []byte
	typ      byte
	sent     time.Time
	padding  int
	lie      int // of padding, more than there is
	to       []byte
	payload  []byte
}

func (d datagram) bytes() []byte {
	if d.identity == nil {
		d.identity = hash16(d.user)
	}
	if d.sent.IsZero() {
		d.sent = time.Now()
	}
	separate := binary.BigEndian.AppendUint64(d.session[:], d.number)
	id := make([]byte, 16)
	subtle.XORBytes(id, d.identity, separate)
	body := binary.BigEndian.AppendUint64([]byte{d.typ}, uint64(d.sent.Unix()))
	body = binary.BigEndian.AppendUint16(body, uint16(d.padding+d.lie))
	body = append(body, make([]byte, d.padding)...)
	body = append(append(body, d.to...), d.payload...)
	wire := append(ecb(d.server, separate, true), ecb(d.server, id, true)...)
	return clientAEAD(d.user, d.session[:]).Seal(wire, separate[4:], body, nil)
}

func (a *association) next(payload []byte) datagram {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent++
	return datagram{login: a.login, session: a.session, number: a.sent - 1, to: a.to, payload: payload}
}

func (a *association) Write(b []byte) (int, error) {
	if _, err := a.UDPConn.Write(a.next(b).bytes()); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (a *association) Read(b []byte) (int, error) {
	buf := make([]byte, 64<<10)
	n, err := a.UDPConn.Read(buf)
	if err != nil {
		return 0, err
	}
	_, payload, err := a.open(buf[:n])
	return copy(b, payload), err
}

// open reads an answer.
func (a *association) open(b []byte) (from, payload []byte, err error) {
	if len(b) < 16+19+7+16 {
		return nil, nil, errors.New("short answer")
	}
	separate := ecb(a.user, b[:16], false)
	body, err := clientAEAD(a.user, separate[:8]).Open(nil, separate[4:], b[16:], nil)
	if err != nil {
		return nil, nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	id, number := [8]byte(separate), binary.BigEndian.Uint64(separate[8:])
	if number < a.known[id] {
		return nil, nil, fmt.Errorf("answer %d came again, or late", number)
	}
	a.known[id] = number + 1
	sent := time.Unix(int64(binary.BigEndian.Uint64(body[1:])), 0)
	if body[0] != 1 || time.Since(sent).Abs() > 30*time.Second || [8]byte(body[9:]) != a.session {
		return nil, nil, fmt.Errorf("bad header of an answer: % x", body[:19])
	}
	padding := int(binary.BigEndian.Uint16(body[17:]))
	if len(bytes.Trim(body[19:19+padding], "\x00")) > 0 {
		return nil, nil, errors.New("the padding of an answer holds something")
	}
	body = body[19+padding:]
	size := 7
	if body[0] == 4 {
		size = 19
	}
	return body[:size], body[size:], nil
}

func dial(ctx context.Context, c enginetest.Client, network, address string) (net.Conn, error) {
	if network == "udp" {
		return dialUDP(ctx, c, address)
	}
	return dialTCP(ctx, c, address)
}

func newServer(t testing.TB, method string) vpn.ServerSpec {
	t.Helper()
	s, err := shadowsocks.Protocol{}.Prepare(vpn.Server{Settings: json.RawMessage(`{"method": "` + method + `"}`)})
	if err != nil {
		t.Fatal(err)
	}
	return vpn.ServerSpec{Protocol: shadowsocks.Name, Settings: s.Settings, Private: s.Private}
}

func newSecret(size int) vpn.Secret {
	b := make([]byte, size)
	_, _ = rand.Read(b)
	return vpn.NewSecret(base64.StdEncoding.EncodeToString(b))
}
