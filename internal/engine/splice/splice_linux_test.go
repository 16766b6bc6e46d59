package splice_test

import (
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpn/internal/engine/splice"
)

// pair returns both ends of a TCP connection.
func pair(t testing.TB) (near, far *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
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

func raw(t testing.TB, c *net.TCPConn) syscall.RawConn {
	t.Helper()
	r, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func all(n int) (int, error) { return n, nil }

// A bridge is two connections and a move from one to the other.
type bridge struct {
	from, to *net.TCPConn // the far ends
	src, dst *net.TCPConn // the ends between which bytes are moved
	done     chan error
}

func join(t testing.TB, p *splice.Pipes, admit splice.Admit) *bridge {
	t.Helper()
	b := &bridge{done: make(chan error, 1)}
	b.src, b.from = pair(t)
	b.dst, b.to = pair(t)
	src, dst := raw(t, b.src), raw(t, b.dst)
	go func() {
		b.done <- p.Move(dst, src, admit)
		_ = b.dst.CloseWrite()
	}()
	return b
}

func (b *bridge) end(t testing.TB) error {
	t.Helper()
	select {
	case err := <-b.done:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("the move goes on")
		return nil
	}
}

// pipes returns how many ends of pipes this process has.
func pipes(t testing.TB) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, "pipe:") {
			n++
		}
	}
	return n
}

func TestMoveKeepsEveryByte(t *testing.T) {
	var p splice.Pipes
	t.Cleanup(p.Close)
	for name, admit := range map[string]splice.Admit{
		"at once":  all,
		"in parts": func(n int) (int, error) { return 1 + rand.IntN(n), nil },
	} {
		t.Run(name, func(t *testing.T) {
			var admitted int64
			b := join(t, &p, func(n int) (int, error) {
				k, err := admit(n)
				admitted += int64(k)
				return k, err
			})
			const size = 32 << 20
			sent := sha256.New()
			go func() {
				defer func() { _ = b.from.CloseWrite() }()
				block, r := make([]byte, 1<<20), rand.NewChaCha8([32]byte{7})
				for range size / len(block) {
					_, _ = r.Read(block)
					sent.Write(block)
					if _, err := b.from.Write(block); err != nil {
						t.Error(err)
						return
					}
				}
			}()
			got := sha256.New()
			n, err := io.Copy(got, b.to)
			if n != size || err != nil || string(got.Sum(nil)) != string(sent.Sum(nil)) {
				t.Errorf("%d of %d bytes arrived, %v, or other ones", n, size, err)
			}
			if err := b.end(t); err != nil || admitted != size {
				t.Errorf("the move ended with %v after %d bytes", err, admitted)
			}
		})
	}
}

// No byte passes that was not admitted.
func TestAdmitHasTheLastWord(t *testing.T) {
	var p splice.Pipes
	t.Cleanup(p.Close)
	before := pipes(t)
	const most = 100_000
	left, no := most, errors.New("no")
	b := join(t, &p, func(n int) (int, error) {
		n = min(n, left)
		if left -= n; n == 0 {
			return 0, no
		}
		return n, nil
	})
	if _, err := b.from.Write(make([]byte, 3*most)); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, b.to); n != most || err != nil {
		t.Errorf("%d bytes arrived, admitted were %d (%v)", n, most, err)
	}
	if err := b.end(t); !errors.Is(err, no) || errors.Is(err, splice.ErrSource) {
		t.Errorf("the move ended with %v", err)
	}
	p.Close()
	if n := pipes(t); n != before {
		t.Errorf("%d ends of pipes were left", n-before)
	}
}

func TestMoveSaysWhichEndFailed(t *testing.T) {
	for name, tt := range map[string]struct {
		fail   func(*bridge)
		source bool
	}{
		"source reset": {func(b *bridge) {
			_ = b.from.SetLinger(0)
			_ = b.from.Close()
		}, true},
		"source closed here": {func(b *bridge) { _ = b.src.Close() }, true},
		"destination reset": {func(b *bridge) {
			_ = b.to.SetLinger(0)
			_ = b.to.Close()
			for range 100 {
				if _, err := b.from.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}, false},
		"destination closed here": {func(b *bridge) {
			_ = b.dst.Close()
			_, _ = b.from.Write([]byte("more"))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var p splice.Pipes
			before := pipes(t)
			b := join(t, &p, all)
			if _, err := b.from.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(b.to, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
			go tt.fail(b)
			if err := b.end(t); err == nil || errors.Is(err, splice.ErrSource) != tt.source {
				t.Errorf("the move ended with %v", err)
			}
			p.Close()
			if n := pipes(t); n != before {
				t.Errorf("%d ends of pipes were left", n-before)
			}
		})
	}
}

// Silent connections hold no pipes: they are what a user of the kernel's gets
// few of.
func TestSilenceHoldsNoPipes(t *testing.T) {
	var p splice.Pipes
	t.Cleanup(p.Close)
	before := pipes(t)
	const many, spare = 200, 16
	bridges := make([]*bridge, many)
	for i := range bridges {
		bridges[i] = join(t, &p, all)
	}
	for range 3 {
		for _, b := range bridges {
			if _, err := b.from.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
		}
		for _, b := range bridges {
			if _, err := io.ReadFull(b.to, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
		}
	}
	deadline := time.Now().Add(5 * time.Second)
	for pipes(t) > before+2*spare && time.Now().Before(deadline) {
		<-time.After(time.Millisecond)
	}
	if n := pipes(t) - before; n > 2*spare {
		t.Errorf("%d silent connections hold %d ends of pipes", many, n)
	}
	for _, b := range bridges {
		_ = b.from.CloseWrite()
		if err := b.end(t); err != nil {
			t.Error(err)
		}
	}
	p.Close()
	if n := pipes(t); n != before {
		t.Errorf("%d ends of pipes were left", n-before)
	}
}

// A receiver that takes nothing holds up the sender, as TCP does.
func TestSlowReceiver(t *testing.T) {
	var p splice.Pipes
	t.Cleanup(p.Close)
	b := join(t, &p, all)
	sent, stuck := 0, false
	block := make([]byte, 1<<20)
	for !stuck && sent < 1<<30 {
		_ = b.from.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		n, err := b.from.Write(block)
		sent += n
		stuck = errors.Is(err, os.ErrDeadlineExceeded)
	}
	if !stuck {
		t.Fatalf("%d bytes vanished", sent)
	}
	_ = b.from.CloseWrite()
	if n, err := io.Copy(io.Discard, b.to); n != int64(sent) || err != nil {
		t.Errorf("%d of %d bytes arrived (%v)", n, sent, err)
	}
	if err := b.end(t); err != nil {
		t.Error(err)
	}
}

// BenchmarkMove compares with what the standard library does; the admitting
// function is as cheap as can be.
func BenchmarkMove(b *testing.B) {
	var p splice.Pipes
	b.Cleanup(p.Close)
	for name, move := range map[string]func(dst, src *net.TCPConn) error{
		"Move":     func(dst, src *net.TCPConn) error { return p.Move(raw(b, dst), raw(b, src), all) },
		"ReadFrom": func(dst, src *net.TCPConn) error { _, err := dst.ReadFrom(src); return err },
	} {
		b.Run(name, func(b *testing.B) {
			src, from := pair(b)
			dst, to := pair(b)
			go func() {
				_ = move(dst, src)
				_ = dst.CloseWrite()
			}()
			block := make([]byte, 1<<20)
			b.SetBytes(int64(len(block)))
			go func() {
				for range b.N {
					_, _ = from.Write(block)
				}
				_ = from.CloseWrite()
			}()
			before := processorTime(b)
			_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{to}, block[:512<<10])
			b.ReportMetric((processorTime(b)-before).Seconds()*1e3/float64(b.N), "cpu-ms/op") // both ends included
		})
	}
}

func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestAPortionCostsNoMemory: there are thousands of them in a second.
func TestAPortionCostsNoMemory(t *testing.T) {
	var p splice.Pipes
	t.Cleanup(p.Close)
	portions := 0
	const most = 16 << 10
	b := join(t, &p, func(n int) (int, error) {
		portions++
		return min(n, most), nil
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	go func() {
		block := make([]byte, 1<<20)
		for range 64 {
			_, _ = b.from.Write(block)
		}
		_ = b.from.CloseWrite()
	}()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{b.to}, make([]byte, 64<<10))
	if n != 64<<20 || err != nil {
		t.Fatal(n, err)
	}
	if err := b.end(t); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.Mallocs - before.Mallocs; got > uint64(portions)/10 {
		t.Errorf("%d portions took memory %d times", portions, got)
	}
}
