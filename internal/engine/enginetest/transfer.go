package enginetest

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

func transfer(t *testing.T, h Harness) {
	b := newBench(t, h, 1)
	d := listenTCP(t, h.host4())
	conn := b.dial(0, "tcp", d.addr)
	if _, err := upload(conn, 8*mib); err != nil {
		t.Fatalf("upload: %v", err)
	}
	if err := download(conn, 8*mib); err != nil {
		t.Fatalf("download: %v", err)
	}
	b.usedExactly(0, d) // while it is open
	if s := b.meter.Sessions(); len(s) != 1 || s[0].Network != h.network("tcp") || !s[0].Source.Addr().Unmap().IsLoopback() {
		t.Errorf("sessions: %+v", s)
	}
	_ = conn.Close()
	if !h.Tunnel && !eventually(promptly/2, func() bool { return b.meter.Conns() == 0 }) {
		t.Error("a closed connection is still there")
	}
	b.idle()
	b.usedExactly(0, d)

	t.Run("many at once", func(t *testing.T) {
		const conns = 8
		errs := make(chan error, conns)
		for range conns {
			conn := b.dial(0, "tcp", d.addr)
			go func() {
				defer func() { _ = conn.Close() }()
				if _, err := upload(conn, mib); err != nil {
					errs <- err
					return
				}
				errs <- download(conn, mib)
			}()
		}
		for range conns {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		b.idle()
		b.usedExactly(0, d)
	})
}

func transferTLS(t *testing.T, h Harness) {
	b := newBench(t, h, 1)
	d := listenTLS(t, h.host4())
	raw := b.dial(0, "tcp", d.addr)
	conn := secured(t, raw)
	if err := ping(conn); err != nil {
		t.Fatal(err)
	}
	// It is counted while it flows, though the kernel may be moving it.
	const n = 4 * mib
	if err := ask(conn, opDownload, n, n); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- expect(conn, n) }()
	seen := map[uint64]bool{}
	if !eventually(3*time.Second, func() bool {
		seen[b.used(0).Down*8/n] = true
		return len(seen) >= 8
	}) {
		t.Errorf("the count moved in %d steps only", len(seen))
	}
	if err := <-done; err != nil {
		t.Fatalf("slow download: %v", err)
	}
	if err := download(conn, 32*mib); err != nil {
		t.Fatalf("download: %v", err)
	}
	b.usedExactly(0, d)
	if _, err := upload(conn, 8*mib); err != nil {
		t.Fatalf("upload: %v", err)
	}
	b.usedExactly(0, d)
	_ = conn.Close()
	_ = raw.Close()
	b.idle()
	b.usedExactly(0, d)
}

// endOfConnection is about who learns when of an end.
func endOfConnection(t *testing.T, h Harness) {
	for name, d := range map[string]*destination{"plain": listenTCP(t, h.host4()), "inner TLS": listenTLS(t, h.host4())} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, h, 1)
			conn := b.dial(0, "tcp", d.addr)
			if name != "plain" {
				conn = secured(t, conn)
			}
			if err := ping(conn); err != nil {
				t.Fatal(err)
			}
			if err := ask(conn, opLast, 4*mib, 0); err != nil {
				t.Fatal(err)
			}
			if err := expect(conn, 4*mib); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(promptly / 2))
			_, err := conn.Read(make([]byte, 1))
			if errors.Is(err, os.ErrDeadlineExceeded) || name == "plain" && !errors.Is(err, io.EOF) {
				t.Errorf("the client does not learn that the destination has closed: %v", err)
			}
			_ = conn.Close()
			b.idle()
			// What the client still sends, nobody reads any more.
			if got, want := b.used(0).Down, d.traffic().Down; got != want && !(h.Packets && got > want) {
				t.Errorf("counted %d, and the destination sent %d", got, want)
			}

			conn = b.dial(0, "tcp", d.addr)
			if name != "plain" {
				conn = secured(t, conn)
			}
			if err := download(conn, mib); err != nil {
				t.Fatal(err)
			}
			if err := ask(conn, opReset, 0, 0); err != nil {
				t.Fatal(err)
			}
			if _, ended := drain(conn, promptly/2); !ended {
				t.Error("the client does not learn that the destination has reset the connection")
			}
			b.idle()
		})
	}
}
