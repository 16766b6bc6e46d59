package runtimetest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// patience is how long a test waits for what should happen soon, on a machine
// that does many other things.
const patience = 20 * time.Second

// A Bench is one store's runtime and one server, ready for a test.
type Bench struct {
	T       *testing.T
	Dir     string
	Workers app.Workers
	Server  vpn.Server
}

// NewBench makes a bench in a directory of its own. All workers that live
// there when the test ends are killed.
func NewBench(t *testing.T, open Open) *Bench {
	t.Helper()
	// Not t.TempDir: a socket's path must be short.
	dir, err := os.MkdirTemp("", "vpn")
	if err != nil {
		t.Fatal(err)
	}
	ws, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	b := &Bench{T: t, Dir: dir, Workers: ws, Server: newServer(t)}
	t.Cleanup(func() {
		b.killAll()
		if c, ok := ws.(io.Closer); ok {
			c.Close()
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return b
}

// bench is NewBench for a runtime of the kind k.
func (k Kind) bench(t *testing.T) *Bench {
	t.Helper()
	b := NewBench(t, k.Open)
	b.Server.Runtime = k.Runtime
	b.Server.Container = k.Container
	return b
}

// another opens the bench's directory as another control plane does. What it
// follows and writes down ends before the directory goes.
func (b *Bench) another(k Kind) app.Workers {
	b.T.Helper()
	ws, err := k.Open(b.Dir)
	if err != nil {
		b.T.Fatal(err)
	}
	if c, ok := ws.(io.Closer); ok {
		b.T.Cleanup(func() { c.Close() })
	}
	return ws
}

// revived returns the worker that whoever runs the bench's server has started
// in place of one that has ended by itself.
func (b *Bench) revived() app.Worker {
	b.T.Helper()
	ctx := b.Context()
	for {
		w, err := b.Workers.Find(ctx, b.Place())
		if err == nil && w != nil {
			if _, err = w.Health(ctx); err == nil {
				return w
			}
		}
		if err != nil && vpn.KindOf(err) != vpn.Unavailable || ctx.Err() != nil {
			b.T.Fatalf("no worker was started anew: %v", err)
		}
		after(10 * time.Millisecond)
	}
}

// vacate ends a worker that was started anew, where that is done.
func (b *Bench) vacate(k Kind) {
	b.T.Helper()
	if !k.Revives {
		return
	}
	for ctx := b.Context(); ; after(10 * time.Millisecond) {
		w, err := b.Workers.Find(ctx, b.Place())
		if err == nil && w == nil {
			return
		}
		if err == nil {
			err = w.Kill(ctx)
		}
		if err != nil && vpn.KindOf(err) != vpn.Unavailable || ctx.Err() != nil {
			b.T.Fatalf("a worker that was started anew cannot be ended: %v", err)
		}
	}
}

func newServer(t *testing.T) vpn.Server {
	t.Helper()
	return vpn.Server{
		ID: vpn.ServerID(vpn.NewID()), Name: "s-" + vpn.NewID(), Protocol: Echo, Runtime: vpn.RuntimeProcess,
		Listen: netip.MustParseAddr("127.0.0.1"), Port: freePort(t), Enabled: true,
	}
}

func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort().Port()
}

func (b *Bench) killAll() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	places, err := b.Workers.List(ctx)
	if err != nil {
		b.T.Error(err)
	}
	for _, at := range places {
		w, err := b.Workers.Find(ctx, at)
		if err == nil && w != nil {
			err = w.Kill(ctx)
		}
		if err != nil {
			b.T.Error(err)
		}
	}
}

// Context returns one that ends when the test's patience does.
func (b *Bench) Context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	b.T.Cleanup(cancel)
	return ctx
}

// Place is where the bench's server has its worker.
func (b *Bench) Place() app.Place { return app.Place{Server: b.Server.ID, Runtime: b.Server.Runtime} }

// Start starts the bench's server.
func (b *Bench) Start() app.Worker {
	b.T.Helper()
	w, err := b.Workers.Start(b.Context(), b.Server)
	if err != nil {
		b.T.Fatal(err)
	}
	return w
}

// Find returns the worker of the bench's server, or nil.
func (b *Bench) Find() app.Worker {
	b.T.Helper()
	w, err := b.Workers.Find(b.Context(), b.Place())
	if err != nil {
		b.T.Fatal(err)
	}
	return w
}

// Spec returns the truth that the named users are granted the bench's server.
// A user's secret and credential are made of the name.
func (b *Bench) Spec(revision uint64, users ...string) vpn.Spec {
	s := vpn.Spec{
		Generation: "g1", Revision: revision,
		Server: vpn.ServerSpec{
			ID: b.Server.ID, Name: b.Server.Name, Protocol: b.Server.Protocol,
			Listen: b.Server.Listen, Port: b.Server.Port, Settings: b.Server.Settings,
		},
	}
	for _, u := range users {
		s.Grants = append(s.Grants, Grant(u))
	}
	return s
}

// Grant admits a user who is named like the secret.
func Grant(user string) vpn.Grant {
	return vpn.Grant{
		Credential: vpn.CredentialID("c-" + user), User: vpn.UserID(user), Secret: vpn.NewSecret(user),
	}
}

// Put tells w the whole truth.
func (b *Bench) Put(w app.Worker, s vpn.Spec) {
	b.T.Helper()
	if err := w.Put(b.Context(), s); err != nil {
		b.T.Fatal(err)
	}
}

// Health returns what w says of itself.
func (b *Bench) Health(w app.Worker) vpn.Health {
	b.T.Helper()
	h, err := w.Health(b.Context())
	if err != nil {
		b.T.Fatal(err)
	}
	return h
}

// Connect connects a user to the bench's server.
func (b *Bench) Connect(user string) net.Conn {
	b.T.Helper()
	c, err := Dial(b.Context(), b.addr(), user, "echo")
	if err != nil {
		b.T.Fatalf("connect as %s: %v", user, err)
	}
	b.T.Cleanup(func() { c.Close() })
	return c
}

// Do lets the worker do a command and returns what went wrong there.
func (b *Bench) Do(user, command string) error {
	b.T.Helper()
	c, err := Dial(b.Context(), b.addr(), user, command)
	if err == nil {
		c.Close()
	}
	return err
}

func (b *Bench) addr() netip.AddrPort { return netip.AddrPortFrom(b.Server.Listen, b.Server.Port) }

// bounce sends n bytes and reads them back.
func (b *Bench) bounce(c net.Conn, n int) {
	b.T.Helper()
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, n))
		sent <- err
	}()
	if _, err := io.ReadFull(c, make([]byte, n)); err != nil {
		b.T.Fatalf("read back %d bytes: %v", n, err)
	}
	if err := <-sent; err != nil {
		b.T.Fatal(err)
	}
}

// wantCut fails unless the worker closes c.
func (b *Bench) wantCut(c net.Conn) {
	b.T.Helper()
	_, err := io.Copy(io.Discard, c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		b.T.Fatal("the connection was not cut")
	}
}

// used returns what w has counted for a user.
func (b *Bench) used(w app.Worker, user string) vpn.Traffic {
	b.T.Helper()
	cs, err := w.Usage(b.Context(), 0)
	if err != nil {
		b.T.Fatal(err)
	}
	return trafficOf(cs, user)
}

func trafficOf(cs vpn.Counters, user string) vpn.Traffic {
	for _, c := range cs.Counters {
		if c.User == vpn.UserID(user) {
			return c.Traffic
		}
	}
	return vpn.Traffic{}
}

// wantEnd fails unless w's process ends soon.
func (b *Bench) wantEnd(w app.Worker) {
	b.T.Helper()
	select {
	case <-w.Done():
	case <-b.Context().Done():
		b.T.Fatal("the end of the worker was not noticed")
	}
}

// processes returns the living processes of the bench's server, by the name
// on their command line.
func (b *Bench) processes() []int {
	b.T.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		b.T.Fatal(err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		args, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err == nil && strings.Contains(string(args), "\x00worker\x00"+b.Server.Name+"\x00") {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (b *Bench) wantProcesses(n int) {
	b.T.Helper()
	if pids := b.processes(); len(pids) != n {
		b.T.Fatalf("the server has the processes %v, want %d", pids, n)
	}
}

// Signal sends a signal to w's process.
func (b *Bench) Signal(pid int, s syscall.Signal) {
	b.T.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		b.T.Fatalf("send %s to process %d: %v", s, pid, err)
	}
}

// wantKind fails unless err is of kind k.
func wantKind(t *testing.T, err error, k vpn.Kind) {
	t.Helper()
	if err == nil || vpn.KindOf(err) != k {
		t.Fatalf("error %v of kind %s, want kind %s", err, vpn.KindOf(err), k)
	}
}
