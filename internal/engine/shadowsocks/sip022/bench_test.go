package sip022

import (
	"context"
	"io"
	"net"
	"runtime"
	"testing"

	"vpn/internal/engine/enginetest"
)

// What a byte and a connection cost, over loopback, client and destination
// included.

// sink is a destination that sends without end what it is asked for by 'd',
// takes all by 'u', and sends back the rest.
func sink(b testing.TB) string {
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
				op := make([]byte, 1)
				if _, err := io.ReadFull(conn, op); err != nil {
					return
				}
				var block []byte
				if op[0] != 'e' {
					block = make([]byte, 256<<10)
				}
				for err == nil {
					switch op[0] {
					case 'd':
						_, err = conn.Write(block)
					case 'u':
						_, err = conn.Read(block)
					default:
						if _, err = conn.Write(op); err == nil {
							_, err = io.ReadFull(conn, op)
						}
					}
				}
			}()
		}
	}()
	return ln.Addr().String()
}

func (r *running) open(to string, op byte) *stream {
	r.Helper()
	s, err := dialTCP(context.Background(), r.client(), to)
	if err != nil {
		r.Fatal(err)
	}
	if _, err := s.Write([]byte{op}); err != nil {
		r.Fatal(err)
	}
	return s
}

func BenchmarkDownload(b *testing.B) {
	const portion = 64 << 20
	for method := range sizes {
		b.Run(method, func(b *testing.B) {
			conn := start(b, method).open(sink(b), 'd')
			defer func() { _ = conn.Close() }()
			b.SetBytes(portion)
			buf := make([]byte, 256<<10)
			for b.Loop() { // what is sealed is not opened: the client costs little
				if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(conn.TCPConn, portion), buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkConnect(b *testing.B) {
	for method := range sizes {
		b.Run(method, func(b *testing.B) {
			r := start(b, method)
			to := sink(b)
			b.ReportAllocs()
			for b.Loop() {
				conn := r.open(to, 'e')
				if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
					b.Fatal(err)
				}
				_ = conn.SetLinger(0) // or ports run out
				_ = conn.Close()
			}
		})
	}
}

// BenchmarkRequest is the part of a connection that is cryptography.
func BenchmarkRequest(b *testing.B) {
	server, key := make([]byte, 32), make([]byte, 32)
	b.ReportAllocs()
	for b.Loop() {
		newBlock(identityPurpose.subkey(server, key))
		newBox(key, server)
		newBox(key, server)
	}
}

func BenchmarkPacket(b *testing.B) {
	for method := range sizes {
		b.Run(method, func(b *testing.B) {
			r := start(b, method)
			echo := enginetest.ListenPackets(b, "127.0.0.1")
			a, err := dialUDP(b.Context(), r.client(), echo)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = a.Close() }()
			payload := make([]byte, 1200)
			buf := make([]byte, 2000)
			b.SetBytes(2 * int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				_, _ = a.Write(payload)
				if _, err := a.Read(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkIdle tells what is kept for a silent tunnel.
func BenchmarkIdle(b *testing.B) {
	const conns = 1000
	r := start(b, "2022-blake3-aes-256-gcm")
	to := sink(b)
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		var all []*stream
		for range conns {
			conn := r.open(to, 'e')
			if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
				b.Fatal(err)
			}
			all = append(all, conn)
		}
		runtime.GC()
		runtime.GC() // what pools hold goes with the second
		runtime.ReadMemStats(&after)
		for _, conn := range all {
			_ = conn.SetLinger(0)
			_ = conn.Close()
		}
		if !enginetest.Eventually(func() bool { return r.meter.Conns() == 0 }) {
			b.Fatal("tunnels are left")
		}
	}
	// The client and the destination are in it.
	b.ReportMetric(float64(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse)/conns, "B/conn")
}
