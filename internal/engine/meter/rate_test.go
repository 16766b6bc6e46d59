package meter

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vpn/internal/vpn"
)

// pump moves bytes as fast as it may until the context ends, and counts them.
func pump(ctx context.Context, x *conn, d Direction, size int, moved *atomic.Int64) {
	for {
		n, err := x.Wait(ctx, d, size)
		if err != nil {
			return
		}
		moved.Add(int64(n))
	}
}

func within(t *testing.T, what string, got int64, want, tolerance float64) {
	t.Helper()
	if f := float64(got) / want; f < 1-tolerance || f > 1+tolerance {
		t.Errorf("%s: %d bytes, %.3f of the %.0f that the rate allows", what, got, f, want)
	}
}

func TestRateIsHeld(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rate  uint64
		flows int
		size  int
	}{
		{"one flow", 1e6, 1, 16 << 10},
		{"one flow, large pieces", 1e6, 1, 100_000},
		{"four flows over two credentials", 1e6, 4, 32 << 10},
		{"many flows, small pieces", 1e6, 50, 100},
		{"fast", 200e6, 4, 64 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := rates(tt.rate, tt.rate/2)
				m := newMeter(t, grant("c1", "u", limits), grant("c2", "u", limits))
				ctx, stop := context.WithTimeout(t.Context(), 4*time.Second)
				defer stop()
				moved := make([]atomic.Int64, tt.flows)
				var up, down atomic.Int64
				for i := range tt.flows {
					x := dial(t, m, []vpn.CredentialID{"c1", "c2"}[i%2], "203.0.113.1")
					go pump(ctx, x, Up, tt.size, &moved[i])
					go pump(ctx, x, Down, tt.size, &down)
				}
				<-ctx.Done()
				synctest.Wait()
				for i := range moved {
					up.Add(moved[i].Load())
				}
				within(t, "up", up.Load(), 4*float64(tt.rate), 0.1)
				within(t, "down", down.Load(), 2*float64(tt.rate), 0.1)
				for i := range moved {
					// The first burst is whoever's comes first; then they share.
					share := up.Load() / int64(tt.flows)
					if n := moved[i].Load(); n < share/2 || n > share+share/2+int64(burst(tt.rate)) {
						t.Errorf("flow %d moved %d, a fair share is %d", i, n, share)
					}
				}
				if got := count(m, "c1").Add(count(m, "c2")); got.Up != uint64(up.Load()) || got.Down != uint64(down.Load()) {
					t.Errorf("counted %v, moved %d up and %d down", got, up.Load(), down.Load())
				}
			})
		})
	}
}

func TestOneLargePieceAtALowRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", rates(10_000, 0)))
		x := dial(t, m, "c", "203.0.113.1")
		x.move(t, Up, minBurst)
		begin := time.Now()
		x.move(t, Up, 200_000)
		if d := time.Since(begin); d < 19*time.Second || d > 21*time.Second {
			t.Errorf("200 kB at 10 kB/s took %v", d)
		}
		begin = time.Now()
		x.move(t, Down, 1<<30)
		if d := time.Since(begin); d != 0 {
			t.Errorf("the direction without a limit waited %v", d)
		}
	})
}

func TestLimitedUserSlowsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "slow", rates(1000, 1000)), grant("d", "quick"))
		slow, quick := dial(t, m, "c", "203.0.113.1"), dial(t, m, "d", "203.0.113.1")
		var moved atomic.Int64
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		for range 8 {
			go pump(ctx, slow, Down, 64<<10, &moved)
		}
		synctest.Wait()
		begin := time.Now()
		for range 1000 {
			quick.move(t, Down, 64<<10)
			if !quick.Take(Down, 1400) {
				t.Fatal("a datagram of the unlimited user was dropped")
			}
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("the unlimited user waited %v", d)
		}
	})
}

func TestRateChangesForWaiters(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change vpn.Grant
		atMost time.Duration
	}{
		{"higher", grant("c", "u", rates(1e6, 0)), 110 * time.Millisecond},
		{"none", grant("c", "u"), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMeter(t, grant("c", "u", rates(1000, 0)))
				x := dial(t, m, "c", "203.0.113.1")
				x.move(t, Up, minBurst)
				done := make(chan time.Time)
				for range 2 {
					go func() {
						x.move(t, Up, 50_000)
						done <- time.Now()
					}()
				}
				elapse(time.Second)
				begin := time.Now()
				m.Set([]vpn.Grant{tt.change})
				for range 2 {
					if d := (<-done).Sub(begin); d > tt.atMost {
						t.Errorf("it took %v after the change, want at most %v", d, tt.atMost)
					}
				}
			})
		})
	}
}

// Limits that change each second, as shares of a user's rate do, hand out no
// new burst each time.
func TestRateChangesOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", rates(100_000, 0)))
		x := dial(t, m, "c", "203.0.113.1")
		ctx, stop := context.WithCancel(t.Context())
		var moved atomic.Int64
		go pump(ctx, x, Up, 16<<10, &moved)
		for i := range 100 {
			m.Set([]vpn.Grant{grant("c", "u", rates(100_000+uint64(i%2), 0))})
			elapse(200 * time.Millisecond)
		}
		stop()
		synctest.Wait()
		within(t, "20 seconds", moved.Load(), 2e6, 0.1)
	})
}

func TestWaiterWakesAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(m *Meter, x *conn, cancel func())
		want error
	}{
		{"kick", func(m *Meter, _ *conn, _ func()) { m.Kick("u") }, errKicked},
		{"removal", func(m *Meter, _ *conn, _ func()) { m.Set(nil) }, errRemoved},
		{"close", func(_ *Meter, x *conn, _ func()) { x.Close() }, errClosed},
		{"context", func(_ *Meter, _ *conn, cancel func()) { cancel() }, context.Canceled},
		{"stop", func(m *Meter, _ *conn, _ func()) { m.Close() }, errStopped},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMeter(t, grant("c", "u", rates(1, 1)))
				x := dial(t, m, "c", "203.0.113.1")
				x.move(t, Up, minBurst)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := make(chan error)
				for range 2 { // one waits for tokens, one for its turn
					go func() {
						n, err := x.Wait(ctx, Up, 1000)
						if n != 0 {
							t.Errorf("%d bytes passed", n)
						}
						ended <- err
					}()
				}
				synctest.Wait()
				begin := time.Now()
				tt.end(m, x, cancel)
				for range 2 {
					if err := <-ended; !errors.Is(err, tt.want) {
						t.Errorf("Wait ended with %v, want %v", err, tt.want)
					}
				}
				if d := time.Since(begin); d != 0 {
					t.Errorf("it took %v", d)
				}
				if got := count(m, "c").Up; got != minBurst {
					t.Errorf("bytes that did not pass were counted: %d", got-minBurst)
				}
			})
		})
	}
}

func TestDatagramsAreHeldToTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", rates(1e6, 0)))
		x := dial(t, m, "c", "203.0.113.1")
		var moved int64
		for i := range 40_000 { // 10 s of 5.6 MB/s
			if x.Take(Up, 1400) {
				moved += 1400
			}
			if i%4 == 0 {
				elapse(time.Millisecond)
			}
		}
		within(t, "datagrams", moved, 10e6, 0.1)
		x.mustLive(t)
		if got := count(m, "c").Up; got != uint64(moved) {
			t.Errorf("counted %d, passed %d", got, moved)
		}
	})
}

// Neither downloads nor floods of datagrams may starve the other.
func TestDatagramsBesideStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", rates(0, 1e6)))
		x := dial(t, m, "c", "203.0.113.1")
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var moved atomic.Int64
		for range 16 {
			go pump(ctx, x, Down, 64<<10, &moved)
		}
		elapse(time.Second)
		for i := range 100 {
			if !x.Take(Down, 500) {
				t.Fatalf("answer %d was dropped beside downloads", i)
			}
			elapse(10 * time.Millisecond)
		}
		before := moved.Load()
		var datagrams int64
		for i := range 40_000 { // 10 s of 5.6 MB/s
			if x.Take(Down, 1400) {
				datagrams += 1400
			}
			if i%4 == 0 {
				elapse(time.Millisecond)
			}
		}
		streams := moved.Load() - before
		within(t, "both", streams+datagrams, 10e6, 0.1)
		if streams < 1e6 || datagrams < 1e6 {
			t.Errorf("streams moved %d, datagrams %d", streams, datagrams)
		}
	})
}

func TestLargestDatagramPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(t, grant("c", "u", rates(1, 0)))
		if !dial(t, m, "c", "203.0.113.1").Take(Up, 65_507) {
			t.Error("it can never pass")
		}
	})
}

func TestWaitHeedsAContextThatHasEnded(t *testing.T) {
	m := newMeter(t, grant("c", "u"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := dial(t, m, "c", "203.0.113.1").Wait(ctx, Up, 10); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %d, %v", n, err)
	}
}
