package app_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/engine"
	"vpn/internal/engine/meter"
	"vpn/internal/vpn"
	"vpn/internal/worker"
)

// BenchmarkRound is what the control plane and its workers use of the
// processors each second, of 10,000 users with every limit so many being live
// on two of five workers each, and moving bytes, every second one of them as
// many as the rate allows: workers' answers, ceilings and shares, with all
// that crosses the sockets. It needs real seconds.
func BenchmarkRound(b *testing.B) {
	x := newCrowd(b, 5, 10_000)
	for _, live := range []int{0, 1000, 10_000} {
		b.Run(fmt.Sprint(live, " live"), func(b *testing.B) {
			flows := x.connect(live)
			defer x.leave(flows)
			for range 3 { // until all have found their shares
				x.move(flows)
				app.Sample(x.ctx, x.app.Reconciler)
			}
			var used, commit time.Duration
			x.inside.told.Store(0)
			b.ResetTimer()
			for range b.N {
				next := time.After(time.Second)
				x.move(flows)
				before := processor()
				app.Sample(x.ctx, x.app.Reconciler)
				used += processor() - before
				<-next
			}
			before := processor()
			if err := app.Commit(x.ctx, x.app.Reconciler); err != nil {
				b.Fatal(err)
			}
			commit += processor() - before
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(used.Microseconds())/1000/float64(b.N), "cpu-ms/op")
			b.ReportMetric(float64(x.inside.told.Load())/float64(b.N), "told/op")
			b.ReportMetric(float64(commit.Microseconds())/1000, "commit-cpu-ms")
		})
	}
}

// A crowd is users on workers that are real, but for their engines.
type crowd struct {
	*bench
	inside *inside
	meters []*meter.Meter
	creds  [][]vpn.CredentialID // by worker, then user
}

func newCrowd(b *testing.B, workers, users int) *crowd {
	b.Helper()
	x := &crowd{bench: newBench(b)}
	inside := &inside{t: b, workers: map[vpn.ServerID]app.Worker{}, meters: map[vpn.ServerID]*meter.Meter{}}
	x.outside, x.inside = inside, inside
	x.reset()
	var servers []vpn.Server
	update := func(fn func(app.Tx) error) {
		b.Helper()
		if err := x.store.Update(x.ctx, fn); err != nil {
			b.Fatal(err)
		}
	}
	update(func(tx app.Tx) error {
		for k := range workers {
			s, err := tx.Servers.Put(vpn.Server{ID: vpn.ServerID(vpn.NewID()), Name: fmt.Sprint("s", k), Protocol: nothing, Enabled: true})
			if err != nil {
				return err
			}
			servers = append(servers, s)
		}
		x.creds = make([][]vpn.CredentialID, workers)
		for i := range users {
			u := vpn.User{ID: vpn.UserID(vpn.NewID()), Name: fmt.Sprint("u", i), Enabled: true, Limits: vpn.Limits{
				Quota: 1e15, RateUp: 1_250_000, RateDown: 1_250_000, Devices: 3, Connections: 100,
			}}
			if err := tx.Users.Put(u); err != nil {
				return err
			}
			for k, s := range servers {
				c := vpn.Credential{ID: vpn.CredentialID(vpn.NewID()), User: u.ID, Server: s.ID, Secret: vpn.NewSecret(vpn.NewID()), Slot: uint32(i)}
				if err := tx.Credentials.Put(c); err != nil {
					return err
				}
				x.creds[k] = append(x.creds[k], c.ID)
			}
		}
		return nil
	})
	for _, s := range servers {
		inside.start(s.ID)
	}
	x.until("the workers to know them all", func() bool { return x.app.Reconciler.Sync(x.ctx) })
	for _, s := range servers {
		x.meters = append(x.meters, inside.meters[s.ID])
	}
	for range 3 {
		app.Sample(x.ctx, x.app.Reconciler)
	}
	return x
}

// connect opens two flows for each of so many users, on different workers.
func (x *crowd) connect(users int) [][2]*meter.Flow {
	x.t.Helper()
	flows := make([][2]*meter.Flow, users)
	for u := range flows {
		for j := range flows[u] {
			k := (u + 2*j) % len(x.meters)
			source := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(j)}), 4711)
			f, err := x.meters[k].Open(x.creds[k][u], source, "tcp", nil)
			if err != nil {
				x.t.Fatal(err)
			}
			flows[u][j] = f
		}
	}
	return flows
}

func (x *crowd) leave(flows [][2]*meter.Flow) {
	for u := range flows {
		for _, f := range flows[u] {
			f.Close()
		}
	}
}

// move moves as much as passes of every second user, and something of the
// others.
func (x *crowd) move(flows [][2]*meter.Flow) {
	for u := range flows {
		for _, f := range flows[u] {
			most := 1 + rand.IntN(10)
			if u%2 == 1 {
				most = 100
			}
			for range most {
				if !f.Take(meter.Down, 32<<10) {
					break
				}
			}
		}
	}
}

const nothing vpn.Protocol = "nothing"

// idle is an engine that carries nothing.
type idle struct{}

func (idle) Apply(context.Context, vpn.Spec) error { return nil }
func (idle) Close() error                          { return nil }

// inside is where workers live that are no processes of their own.
type inside struct {
	t       testing.TB
	workers map[vpn.ServerID]app.Worker
	meters  map[vpn.ServerID]*meter.Meter
	told    atomic.Int64 // shares and ceilings
}

func (x *inside) start(s vpn.ServerID) {
	l, err := net.Listen("unix", filepath.Join(x.t.TempDir(), "s"))
	if err != nil {
		x.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := process{cancel, make(chan struct{})}
	made := func(c engine.Config) (engine.Engine, error) {
		x.meters[s] = c.Meter
		return idle{}, nil
	}
	go func() {
		defer close(p.done)
		err := worker.Serve(ctx, l, io.Discard, worker.Options{Engines: map[vpn.Protocol]engine.New{nothing: made}})
		if err != nil {
			x.t.Error(err)
		}
	}()
	c := worker.NewClient(func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", l.Addr().String())
	}, p)
	x.t.Cleanup(func() { cancel(); <-p.done; c.Close() })
	x.workers[s] = listener{c, x}
}

// A listener counts what a worker is told.
type listener struct {
	app.Worker
	of *inside
}

func (l listener) SetShares(ctx context.Context, epoch string, s vpn.Shares) error {
	l.of.told.Add(int64(len(s.Shares) + len(s.Even)))
	return l.Worker.SetShares(ctx, epoch, s)
}

func (l listener) SetCeilings(ctx context.Context, epoch string, cs vpn.Ceilings) (vpn.Counters, error) {
	l.of.told.Add(int64(len(cs.Ceilings)))
	return l.Worker.SetCeilings(ctx, epoch, cs)
}

func (x *inside) Find(_ context.Context, p app.Place) (app.Worker, error) {
	if w := x.workers[p.Server]; w != nil {
		return w, nil
	}
	return nil, nil
}

func (x *inside) Start(context.Context, vpn.Server) (app.Worker, error) {
	return nil, vpn.Errorf(vpn.Unavailable, "workers are started by the benchmark")
}
func (x *inside) Remains(context.Context, app.Place) ([]vpn.Counters, error) { return nil, nil }
func (x *inside) Discard(context.Context, app.Place, ...string) error        { return nil }
func (x *inside) List(context.Context) (places []app.Place, err error) {
	for id := range x.workers {
		places = append(places, app.Place{Server: id, Runtime: vpn.RuntimeProcess})
	}
	return places, nil
}

// A process is a worker's life.
type process struct {
	end  context.CancelFunc
	done chan struct{}
}

func (process) Resume() error           { return nil }
func (p process) Terminate() error      { p.end(); return nil }
func (p process) Kill() error           { p.end(); return nil }
func (p process) Done() <-chan struct{} { return p.done }

// processor returns the processor time that this process has used: the clock
// of a machine that has other things to do says little.
func processor() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
