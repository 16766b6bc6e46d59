package enginetest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"math/big"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"vpn/internal/vpn"
)

// What a client may ask of a destination. All but opPing are followed by a
// number of bytes and a rate, in 8 bytes each.
const (
	opPing     byte = iota // one byte comes back
	opDownload             // so many bytes come, at that rate
	opUpload               // so many bytes go; their hash comes back
	opLast                 // as opDownload; then the destination closes
	opReset                // as opDownload; then it resets the connection
)

// A destination is a TCP service that users talk to. It counts what passes
// its sockets, TLS and all.
type destination struct {
	addr     string
	accepted atomic.Int64
	open     atomic.Int64
	up, down atomic.Uint64
}

// listenTCP starts a destination at a free port of host.
func listenTCP(t testing.TB, host string) *destination { return listenWith(t, host, nil) }

// listenTLS starts one that speaks TLS 1.3.
func listenTLS(t testing.TB, host string) *destination {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return listenWith(t, host, &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	})
}

func listenWith(t testing.TB, host string, config *tls.Config) *destination {
	t.Helper()
	ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	d := &destination{addr: ln.Addr().String()}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			d.accepted.Add(1)
			d.open.Add(1)
			go func() {
				defer d.open.Add(-1)
				d.serve(&countedConn{conn, d}, config)
			}()
		}
	}()
	return d
}

func (d *destination) serve(raw net.Conn, config *tls.Config) {
	defer func() { _ = raw.Close() }()
	conn := raw
	if config != nil {
		conn = tls.Server(conn, config)
	}
	switch serve(conn) {
	case opLast: // without a last word of TLS
	case opReset:
		_ = raw.(*countedConn).Conn.(*net.TCPConn).SetLinger(0)
	default:
		// Whatever a client sends after its last word counts too.
		_ = raw.SetReadDeadline(time.Now().Add(patience))
		_, _ = io.Copy(io.Discard, raw)
	}
}

func (d *destination) traffic() vpn.Traffic { return vpn.Traffic{Up: d.up.Load(), Down: d.down.Load()} }

type countedConn struct {
	net.Conn
	d *destination
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.d.up.Add(uint64(n))
	return n, err
}

func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.d.down.Add(uint64(n))
	return n, err
}

// serve answers until the client has gone, and returns opPing, or until it
// wants an end, and returns which.
func serve(conn net.Conn) (end byte) {
	for {
		var op [1]byte
		if _, err := io.ReadFull(conn, op[:]); err != nil {
			return opPing
		}
		if op[0] == opPing {
			if _, err := conn.Write(op[:]); err != nil {
				return opPing
			}
			continue
		}
		var args [2]uint64
		if err := binary.Read(conn, binary.BigEndian, &args); err != nil {
			return opPing
		}
		if op[0] == opUpload {
			if receive(conn, int64(args[0])) != nil {
				return opPing
			}
			continue
		}
		if send(conn, args[0], args[1]) != nil {
			return opPing
		}
		if op[0] != opDownload {
			return op[0]
		}
	}
}

// receive reads n bytes, and answers with their hash and how long they took.
func receive(conn net.Conn, n int64) error {
	h, start := sha256.New(), time.Now()
	if _, err := io.CopyN(h, conn, n); err != nil {
		return err
	}
	_, err := conn.Write(binary.BigEndian.AppendUint64(h.Sum(nil), uint64(time.Since(start))))
	return err
}

// newBlock returns what data is made of: it compresses badly, and a piece that
// is lost or doubled changes the hash of the whole.
func newBlock() []byte {
	b := make([]byte, 64*kib)
	sum := sha256.Sum256(nil)
	for i := 0; i < len(b); i += len(sum) {
		sum = sha256.Sum256(sum[:])
		copy(b[i:], sum[:])
	}
	return b
}

// send writes n bytes, at a rate if it is not 0.
func send(w io.Writer, n, rate uint64) error {
	block := newBlock()
	start, sent := time.Now(), uint64(0)
	for sent < n {
		piece := block[sent%uint64(len(block)):]
		piece = piece[:min(uint64(len(piece)), n-sent)]
		if rate > 0 {
			piece = piece[:min(len(piece), 16*kib)]
			due := start.Add(time.Duration(float64(sent) / float64(rate) * float64(time.Second)))
			time.Sleep(time.Until(due))
		}
		k, err := w.Write(piece)
		sent += uint64(k)
		if err != nil {
			return err
		}
	}
	return nil
}

// sum returns the hash of what send writes without a rate.
func sum(n uint64) []byte {
	h := sha256.New()
	_ = send(h, n, 0)
	return h.Sum(nil)
}

// ask writes a request.
func ask(conn net.Conn, op byte, n, rate uint64) error {
	b := binary.BigEndian.AppendUint64([]byte{op}, n)
	_, err := conn.Write(binary.BigEndian.AppendUint64(b, rate))
	return err
}

// ping checks that a connection lives.
func ping(conn net.Conn) error {
	if _, err := conn.Write([]byte{opPing}); err != nil {
		return fmt.Errorf("send a ping: %w", err)
	}
	var b [1]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return fmt.Errorf("wait for a ping: %w", err)
	}
	return nil
}

// download asks for n bytes and checks what comes.
func download(conn net.Conn, n uint64) error {
	if err := ask(conn, opDownload, n, 0); err != nil {
		return err
	}
	return expect(conn, n)
}

func expect(conn net.Conn, n uint64) error {
	h := sha256.New()
	if got, err := io.CopyBuffer(struct{ hash.Hash }{h}, io.LimitReader(conn, int64(n)), make([]byte, 64*kib)); err != nil {
		return fmt.Errorf("after %d of %d bytes: %w", got, n, err)
	} else if uint64(got) != n {
		return fmt.Errorf("%d of %d bytes came", got, n)
	}
	if !bytes.Equal(h.Sum(nil), sum(n)) {
		return fmt.Errorf("%d bytes came, and not those that were sent", n)
	}
	return nil
}

// upload sends n bytes and checks what arrived. It returns how long the
// destination took to read them.
func upload(conn net.Conn, n uint64) (time.Duration, error) {
	if err := ask(conn, opUpload, n, 0); err != nil {
		return 0, err
	}
	if err := send(conn, n, 0); err != nil {
		return 0, err
	}
	reply := make([]byte, sha256.Size+8)
	if _, err := io.ReadFull(conn, reply); err != nil {
		return 0, fmt.Errorf("wait for the hash: %w", err)
	}
	if !bytes.Equal(reply[:sha256.Size], sum(n)) {
		return 0, fmt.Errorf("%d bytes arrived, and not those that were sent", n)
	}
	return time.Duration(binary.BigEndian.Uint64(reply[sha256.Size:])), nil
}

// secured speaks TLS with the destination.
func secured(t testing.TB, conn net.Conn) net.Conn {
	t.Helper()
	c := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Fatalf("inner handshake: %v", err)
	}
	return c
}

// An echo is a UDP service that sends back what comes.
type echo struct {
	port     int
	up, down atomic.Uint64
}

// listenUDP starts an echo at a free port of host.
func listenUDP(t testing.TB, host string) *echo {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	e := &echo{port: conn.LocalAddr().(*net.UDPAddr).Port}
	go func() {
		buf := make([]byte, 64*kib)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			e.up.Add(uint64(n))
			if _, err := conn.WriteToUDPAddrPort(buf[:n], from); err == nil {
				e.down.Add(uint64(n))
			}
		}
	}()
	return e
}

func (e *echo) at(host string) string { return net.JoinHostPort(host, fmt.Sprint(e.port)) }
