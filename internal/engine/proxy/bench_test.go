package proxy_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"testing"
	"time"

	"vpn/internal/engine/enginetest"
	protocol "vpn/internal/protocol/proxy"
	"vpn/internal/vpn"
)

// What a byte and a connection cost, over loopback, client and destination
// included.

func BenchmarkDownload(b *testing.B) {
	const portion = 64 << 20
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				block := make([]byte, 256<<10)
				for err == nil {
					_, err = conn.Write(block)
				}
			}()
		}
	}()
	b.Run("direct", func(b *testing.B) {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		pull(b, conn, portion)
	})
	for _, tt := range []struct {
		name     string
		protocol vpn.Protocol
	}{{"socks5", protocol.SOCKS5}, {"mixed", protocol.Mixed}} {
		b.Run(tt.name, func(b *testing.B) {
			r := start(b, tt.protocol, `{}`)
			conn, _, err := r.socks(1, ln.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			_ = conn.SetDeadline(time.Time{})
			pull(b, conn, portion)
		})
	}
}

func pull(b *testing.B, conn io.Reader, portion int64) {
	b.Helper()
	b.SetBytes(portion)
	buf := make([]byte, 256<<10)
	for b.Loop() {
		if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(conn, portion), buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkForward(b *testing.B) {
	body := make([]byte, 16<<20)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	}))
	b.Cleanup(s.Close)
	browser := start(b, protocol.HTTP, `{}`).browser()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		res, err := browser.Get(s.URL)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}

func BenchmarkConnect(b *testing.B) {
	echo := enginetest.ListenEcho(b, "127.0.0.1")
	connect := func(b *testing.B, open func() net.Conn) {
		for b.Loop() {
			conn := open()
			if err := enginetest.Echoes(conn); err != nil {
				b.Fatal(err)
			}
			_ = conn.(*net.TCPConn).SetLinger(0) // or ports run out
			_ = conn.Close()
		}
	}
	b.Run("socks5", func(b *testing.B) {
		r := start(b, protocol.SOCKS5, `{}`)
		connect(b, func() net.Conn {
			conn, _, err := r.socks(1, echo)
			if err != nil {
				b.Fatal(err)
			}
			return conn
		})
	})
	b.Run("http", func(b *testing.B) {
		r := start(b, protocol.HTTP, `{}`)
		ask := "CONNECT " + echo + " HTTP/1.1\r\nHost: x\r\nProxy-Authorization: " + basic("alice", r.password()) + "\r\n\r\n"
		connect(b, func() net.Conn {
			conn, err := net.Dial("tcp", r.addr())
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.WriteString(conn, ask)
			if _, err := io.ReadFull(conn, make([]byte, len("HTTP/1.1 200 Connection established\r\n\r\n"))); err != nil {
				b.Fatal(err)
			}
			return conn
		})
	})
}

// BenchmarkIdle tells what is kept for a silent tunnel.
func BenchmarkIdle(b *testing.B) {
	const conns = 1000
	for _, tt := range []struct {
		name     string
		protocol vpn.Protocol
	}{{"http", protocol.HTTP}, {"socks5", protocol.SOCKS5}} {
		b.Run(tt.name, func(b *testing.B) {
			r := start(b, tt.protocol, `{}`)
			echo := enginetest.ListenEcho(b, "127.0.0.1")
			var before, after runtime.MemStats
			for b.Loop() {
				runtime.GC()
				runtime.ReadMemStats(&before)
				var all []net.Conn
				for range conns {
					conn := r.connect()
					all = append(all, conn)
					if tt.protocol == protocol.SOCKS5 {
						if _, err := socks(conn, "alice", r.password(), 1, echo); err != nil {
							b.Fatal(err)
						}
					} else {
						_, _ = io.WriteString(conn, "CONNECT "+echo+" HTTP/1.1\r\nHost: x\r\nProxy-Authorization: "+basic("alice", r.password())+"\r\n\r\n")
						if _, err := io.ReadFull(conn, make([]byte, len("HTTP/1.1 200 Connection established\r\n\r\n"))); err != nil {
							b.Fatal(err)
						}
					}
					if err := enginetest.Echoes(conn); err != nil {
						b.Fatal(err)
					}
				}
				runtime.GC()
				runtime.GC() // what pools hold goes with the second
				runtime.ReadMemStats(&after)
				for _, conn := range all {
					_ = conn.(*net.TCPConn).SetLinger(0)
					_ = conn.Close()
				}
				if !enginetest.Eventually(func() bool { return r.meter.Conns() == 0 }) {
					b.Fatal("tunnels are left")
				}
			}
			// The client and the destination are in it.
			b.ReportMetric(float64(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse)/conns, "B/conn")
		})
	}
}
