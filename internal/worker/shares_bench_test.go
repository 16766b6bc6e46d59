package worker

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"vpn/internal/engine"
	"vpn/internal/engine/meter"
	"vpn/internal/vpn"
)

type process struct{ done chan struct{} }

func (process) Resume() error           { return nil }
func (process) Terminate() error        { return nil }
func (process) Kill() error             { return nil }
func (p process) Done() <-chan struct{} { return p.done }

// BenchmarkUsage is what one worker's answer costs both ends each second, of
// 10,000 users whose limits are shared so many being live, and moving.
func BenchmarkUsage(b *testing.B) {
	for _, live := range []int{0, 40, 400, 4000} {
		b.Run(fmt.Sprint(live, " live"), func(b *testing.B) {
			h := newHost(hostOptions{
				engines: map[vpn.Protocol]engine.New{}, version: "v", log: slog.New(slog.DiscardHandler), epoch: "epoch-1", final: &bytes.Buffer{},
			})
			b.Cleanup(h.meter.Close)
			l, err := net.Listen("unix", filepath.Join(b.TempDir(), "s"))
			if err != nil {
				b.Fatal(err)
			}
			srv := &http.Server{Handler: h.handler()}
			go func() { _ = srv.Serve(l) }()
			b.Cleanup(func() { srv.Close() })
			c := NewClient(func(ctx context.Context) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", l.Addr().String())
			}, process{})
			b.Cleanup(c.Close)
			grants := make([]vpn.Grant, 10_000)
			for i := range grants {
				grants[i] = vpn.Grant{
					Credential: vpn.CredentialID(vpn.NewID()), User: vpn.UserID(vpn.NewID()), RateDown: 1 << 50, Devices: 3, Connections: 100,
				}
			}
			h.meter.Set(grants)
			if err := c.SetShares(b.Context(), "epoch-1", vpn.Shares{Turn: 1, Workers: 5}); err != nil {
				b.Fatal(err)
			}
			flows := make([]*meter.Flow, live)
			for i := range flows {
				if flows[i], err = h.meter.Open(grants[i].Credential, netip.MustParseAddrPort("203.0.113.1:1"), "tcp", nil); err != nil {
					b.Fatal(err)
				}
			}
			var seq uint64
			b.ReportAllocs()
			before, n := processor(), 0
			for b.Loop() {
				n++
				for _, f := range flows {
					f.Take(meter.Down, 1400)
				}
				cs, err := c.Usage(b.Context(), seq)
				if err != nil || len(cs.Demands) != live {
					b.Fatal(len(cs.Demands), err)
				}
				seq = cs.Seq
			}
			b.ReportMetric(float64((processor()-before).Microseconds())/float64(n), "cpu-µs/op")
		})
	}
}

// processor returns the processor time that this process has used: the clock
// of a machine that has other things to do says little.
func processor() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
