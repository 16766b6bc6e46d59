//go:build unix

package shadowsocks_test

import (
	"container/list"
	"context"
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/Jigsaw-Code/outline-sdk/transport"
	sdk "github.com/Jigsaw-Code/outline-sdk/transport/shadowsocks"
	"github.com/Jigsaw-Code/outline-ss-server/service"

	"vpn/internal/engine/enginetest"
	"vpn/internal/engine/shadowsocks"
	settings "vpn/internal/protocol/shadowsocks"
)

// What a byte and a connection cost over loopback, client and destination
// included, beside the library alone.

const portion = 64 << 20

// library serves one key by the library alone, and returns where.
func library(b *testing.B, m settings.Method, secret string) string {
	b.Helper()
	key, err := sdk.NewEncryptionKey(string(m), secret)
	if err != nil {
		b.Fatal(err)
	}
	entry := service.MakeCipherEntry("key", key, secret)
	ciphers, keys := service.NewCipherList(), list.New()
	keys.PushBack(&entry)
	ciphers.Update(keys)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = ln.Close() })
	replays := service.NewReplayCache(service.MaxCapacity)
	h := service.NewStreamHandler(service.NewShadowsocksStreamAuthenticator(ciphers, &replays, nil, nil), time.Minute)
	h.SetTargetDialer(service.MakeValidatingTCPStreamDialer(func(net.IP) error { return nil }, 0))
	go service.StreamServe(service.WrapStreamAcceptFunc(ln.(*net.TCPListener).AcceptTCP), func(ctx context.Context, conn transport.StreamConn) {
		h.HandleStream(ctx, conn, nil)
	})
	return ln.Addr().String()
}

// dialer returns what connects through the product, or through the library.
func dialer(b *testing.B, name string, m settings.Method) func(to string) net.Conn {
	b.Helper()
	r := startWith(b, shadowsocks.New, m, "", 1)
	via := r.addr()
	secret := r.spec.Grants[0].Secret.Reveal()
	if name == "library" {
		via = library(b, m, secret)
	}
	key, err := sdk.NewEncryptionKey(string(m), secret)
	if err != nil {
		b.Fatal(err)
	}
	d, err := sdk.NewStreamDialer(&transport.TCPEndpoint{Address: via}, key)
	if err != nil {
		b.Fatal(err)
	}
	d.ClientDataWait = 0
	return func(to string) net.Conn {
		conn, err := d.DialStream(b.Context(), to)
		if err != nil {
			b.Fatal(err)
		}
		return conn
	}
}

// used adds the processor time that a byte took: the machine may have much
// else to do.
func used(b *testing.B, before time.Duration) {
	b.Helper()
	took := processorTime(b) - before
	b.ReportMetric(took.Seconds()/(float64(b.N)*portion/(1<<30)), "cpu-s/GiB")
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func each(b *testing.B, run func(*testing.B, func(to string) net.Conn)) {
	for _, m := range []settings.Method{settings.ChaCha20, settings.AES256} {
		for _, name := range []string{"ours", "library"} {
			b.Run(string(m)+"/"+name, func(b *testing.B) { run(b, dialer(b, name, m)) })
		}
	}
}

func BenchmarkDownload(b *testing.B) {
	source := listen(b, func(conn net.Conn) {
		var err error
		for block := make([]byte, 256<<10); err == nil; {
			_, err = conn.Write(block)
		}
	})
	each(b, func(b *testing.B, dial func(string) net.Conn) {
		conn := dial(source)
		defer func() { _ = conn.Close() }()
		b.SetBytes(portion)
		defer used(b, processorTime(b))
		for b.Loop() {
			if _, err := io.Copy(io.Discard, io.LimitReader(conn, portion)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkUpload(b *testing.B) {
	sink := listen(b, func(conn net.Conn) {
		buf := make([]byte, 256<<10)
		for {
			if _, err := io.ReadFull(conn, buf[:portion/256]); err != nil {
				return
			}
			for range 255 {
				if _, err := io.ReadFull(conn, buf[:portion/256]); err != nil {
					return
				}
			}
			if _, err := conn.Write(buf[:1]); err != nil {
				return
			}
		}
	})
	each(b, func(b *testing.B, dial func(string) net.Conn) {
		conn := dial(sink)
		defer func() { _ = conn.Close() }()
		b.SetBytes(portion)
		defer used(b, processorTime(b))
		block := make([]byte, 256<<10)
		for b.Loop() {
			for range portion / len(block) {
				if _, err := conn.Write(block); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := io.ReadFull(conn, block[:1]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkConnect(b *testing.B) {
	echo := enginetest.ListenEcho(b, "127.0.0.1")
	each(b, func(b *testing.B, dial func(string) net.Conn) {
		for b.Loop() {
			conn := dial(echo)
			if err := enginetest.Echoes(conn); err != nil {
				b.Fatal(err)
			}
			_ = conn.Close()
		}
	})
}

// BenchmarkIdle tells what is kept for a silent connection.
func BenchmarkIdle(b *testing.B) {
	const conns = 1000
	echo := enginetest.ListenEcho(b, "127.0.0.1")
	each(b, func(b *testing.B, dial func(string) net.Conn) {
		var before, after runtime.MemStats
		for b.Loop() {
			runtime.GC()
			runtime.ReadMemStats(&before)
			all := make([]net.Conn, 0, conns)
			for range conns {
				conn := dial(echo)
				all = append(all, conn)
				if err := enginetest.Echoes(conn); err != nil {
					b.Fatal(err)
				}
			}
			runtime.GC()
			runtime.GC() // what pools hold goes with the second
			runtime.ReadMemStats(&after)
			for _, conn := range all {
				_ = conn.Close()
			}
		}
		// The client and the destination are in it.
		b.ReportMetric(float64(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse)/conns, "B/conn")
	})
}

func listen(b *testing.B, serve func(net.Conn)) string {
	b.Helper()
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
				serve(conn)
			}()
		}
	}()
	return ln.Addr().String()
}
