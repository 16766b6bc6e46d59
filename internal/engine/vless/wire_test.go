package vless

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/xtls/xray-core/common/buf"
)

// pair returns both ends of a TCP connection.
func pair(t testing.TB) (conn, peer *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	dialed, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = dialed.Close()
		_ = accepted.Close()
	})
	return accepted.(*net.TCPConn), dialed.(*net.TCPConn)
}

// A plug is a client's socket. What is written to it can be made to wait.
type plug struct {
	net.Conn
	mu      sync.Mutex
	waits   bool
	waiting []byte
}

func (p *plug) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.waits {
		return p.Conn.Write(b)
	}
	p.waiting = append(p.waiting, b...)
	return len(b), nil
}

// let lets the next n bytes out.
func (p *plug) let(t *testing.T, n int) {
	t.Helper()
	_ = p.SetWriteDeadline(time.Time{}) // TLS sets one that is over when it has sent its last
	if _, err := p.Conn.Write(p.waiting[:n]); err != nil {
		t.Fatal(err)
	}
	p.waiting = p.waiting[n:]
}

// wired returns both ends of a TLS connection, the server's of which goes over
// a wire, and the socket of the client's.
func wired(t *testing.T) (w *wire, server, client *tls.Conn, p *plug) {
	t.Helper()
	accepted, dialed := pair(t)
	site := httptest.NewTLSServer(nil)
	site.Close()
	w, p = newWires().wrap(accepted), &plug{Conn: dialed}
	server = tls.Server(w, &tls.Config{Certificates: site.TLS.Certificates, SessionTicketsDisabled: true})
	client = tls.Client(p, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error, 1)
	go func() { shaken <- server.Handshake() }()
	if err := errors.Join(client.Handshake(), <-shaken); err != nil {
		t.Fatal(err)
	}
	return w, server, client, p
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

func TestWritesTogether(t *testing.T) {
	w, server, client, _ := wired(t)
	out := batchWriter{w, &buf.SequentialWriter{Writer: server}}
	sent := noise(3 << 20)
	go func() {
		defer func() { _ = server.CloseWrite() }()
		// From less than a record to more than is ever held back.
		for left, k := sent, 1; len(left) > 0; k = (k*3)%(5*portion) + 1 {
			n := min(k, len(left))
			if err := out.WriteMultiBuffer(buf.MergeBytes(nil, left[:n])); err != nil {
				t.Error(err)
				return
			}
			left = left[n:]
		}
	}()
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes of %d came, error %v", len(got), len(sent), err)
	}
}

func TestRecordsWaitForEachOther(t *testing.T) {
	conn, peer := pair(t)
	w := newWires().wrap(conn)
	err := w.together(func() error {
		for _, s := range []string{"one ", "two ", "three"} {
			if n, err := w.Write([]byte(s)); err != nil || n != len(s) {
				t.Errorf("%d, %v", n, err)
			}
		}
		_ = peer.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if n, err := peer.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a record did not wait: %d, %v", n, err)
		}
		return peer.SetReadDeadline(time.Time{})
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(" four")); err != nil {
		t.Fatal(err)
	}
	_ = w.CloseWrite()
	if got, err := io.ReadAll(peer); string(got) != "one two three four" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestWritesTogetherToNobody(t *testing.T) {
	conn, _ := pair(t)
	w := newWires().wrap(conn)
	_ = conn.Close()
	write := func() error { _, err := w.Write([]byte("late")); return err }
	if err := w.together(write); !errors.Is(err, net.ErrClosed) {
		t.Errorf("error %v", err)
	}
	if err := w.together(func() error { return io.ErrNoProgress }); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("error %v", err)
	}
}

// What has come is handed on even if it ends in the middle of a record, and
// the rest of the record is not lost.
func TestReadsWhatHasCome(t *testing.T) {
	w, server, client, p := wired(t)
	in, err := newBatchReader(w, server)
	if err != nil {
		t.Fatal(err)
	}
	sent := noise(1 << 20)
	p.waits = true
	for left := sent; len(left) > 0; {
		n := min(1000+len(left)%16000, len(left)) // a record
		if _, err := client.Write(left[:n]); err != nil {
			t.Fatal(err)
		}
		left = left[n:]
	}
	_ = client.CloseWrite()
	var got []byte
	read := func() error {
		mb, err := in.ReadMultiBuffer()
		if mb.Len() > portion {
			t.Errorf("%d bytes at once", mb.Len())
		}
		for _, b := range mb {
			got = append(got, b.Bytes()...)
			b.Release()
		}
		return err
	}
	const parts = 50_000
	for len(p.waiting) > parts {
		before := len(got)
		p.let(t, parts)
		if err := read(); err != nil { // more than a record: there is something
			t.Fatal(err)
		}
		if len(got) == before {
			t.Fatal("nothing came")
		}
	}
	p.let(t, len(p.waiting))
	for err == nil {
		err = read()
	}
	if !errors.Is(err, io.EOF) || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes of %d came, error %v", len(got), len(sent), err)
	}
	if err := read(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
}

func TestReadsAheadUntilAReset(t *testing.T) {
	w, server, client, p := wired(t)
	in, err := newBatchReader(w, server)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	mb, err := in.ReadMultiBuffer()
	if err != nil || mb.String() != "last words" {
		t.Fatalf("%q, %v", mb, err)
	}
	buf.ReleaseMulti(mb)
	_ = p.Conn.(*net.TCPConn).SetLinger(0)
	_ = p.Conn.Close()
	if mb, err := in.ReadMultiBuffer(); err == nil || errors.Is(err, io.EOF) || !mb.IsEmpty() {
		t.Errorf("%v, %v", mb, err)
	}
}
