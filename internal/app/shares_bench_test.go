package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"vpn/internal/vpn"
)

// eager takes every share.
type eager struct{ Worker }

func (eager) Shares(context.Context) (vpn.Shares, error)                { return vpn.Shares{}, nil }
func (eager) SetShares(context.Context, string, vpn.Shares) error       { return nil }
func (eager) Ceilings(context.Context) (vpn.Ceilings, error)            { return vpn.Ceilings{}, nil }
func (eager) Usage(context.Context, uint64) (c vpn.Counters, err error) { return c, nil }

// BenchmarkShares is what the control plane does each second to divide the
// limits of users who are live on two of five workers each, and whose demand
// changes all the time; without what crosses the sockets.
func BenchmarkShares(b *testing.B) {
	for _, users := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(users, " users"), func(b *testing.B) {
			s := newShares()
			var holders []purse
			for k := range 5 {
				name := fmt.Sprint("w", k)
				holders = append(holders, purse{server: vpn.ServerID(name), epoch: name, worker: eager{}})
			}
			moved := make([][2]uint64, users)
			ids := make([]vpn.UserID, users)
			for u := range ids {
				ids[u] = vpn.UserID(vpn.NewID())
			}
			at, used := int64(0), time.Duration(0)
			round := func() {
				at += 1000
				reports := make([]vpn.Counters, len(holders))
				for u, id := range ids {
					for j := range 2 {
						moved[u][j] += rand.Uint64N(1_000_000)
						r := &reports[(u+j*2)%len(holders)]
						r.Demands = append(r.Demands, vpn.Demand{
							User: id, RateDown: 1_250_000, Connections: 100, Conns: 10, Down: moved[u][j], WaitDown: at * int64(u%2),
						})
					}
				}
				for k, p := range holders {
					reports[k].Epoch, reports[k].At = p.epoch, at
				}
				b.StartTimer()
				before := processor()
				for _, r := range reports {
					s.observe(r)
				}
				if err := s.renew(context.Background(), holders, 5, everyone); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				used += processor() - before
			}
			b.ReportAllocs()
			b.StopTimer()
			b.ResetTimer()
			for range b.N {
				round()
			}
			b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/op")
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
