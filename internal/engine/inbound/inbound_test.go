package inbound

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vpn/internal/vpn"
)

func TestIdler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var moved, expired atomic.Uint64
		begin := time.Now()
		i := NewIdler(time.Minute, moved.Load, func() { expired.Store(uint64(time.Since(begin))) })
		for range 5 {
			<-time.After(45 * time.Second)
			moved.Add(1)
		}
		<-time.After(time.Hour)
		if at := time.Duration(expired.Load()); at != 5*time.Minute {
			t.Errorf("expired after %v", at)
		}
		i.Within(Linger) // too late, and no harm
	})
	synctest.Test(t, func(t *testing.T) {
		var moved, expired atomic.Uint64
		begin := time.Now()
		i := NewIdler(time.Minute, moved.Load, func() { expired.Store(uint64(time.Since(begin))) })
		<-time.After(30 * time.Second)
		i.Within(24 * time.Hour)
		<-time.After(time.Hour)
		if expired.Load() != 0 {
			t.Error("expired while the kernel was at work")
		}
		i.Within(Linger)
		i.Within(24 * time.Hour) // the other end has ended already
		<-time.After(2 * Linger)
		if expired.Load() == 0 {
			t.Error("did not expire after one end had ended")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		i := NewIdler(time.Minute, func() uint64 { return 0 }, func() { t.Error("expired after it was stopped") })
		i.Stop()
		<-time.After(time.Hour)
	})
}

func TestReclaimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		freed := make(chan time.Time, 100)
		r := reclaimer{free: func() { freed <- time.Now() }}
		fall := func(from, to int) {
			for n := from; n > to; n-- {
				r.shrunk(n - 1)
			}
		}
		r.grown(50)
		fall(50, 0)
		r.grown(1000)
		fall(1000, 501)
		synctest.Wait()
		if len(freed) > 0 {
			t.Error("freed for a small fall")
		}
		begin := time.Now()
		fall(501, 0)
		<-time.After(time.Hour)
		if len(freed) != 2 {
			t.Fatalf("freed %d times", len(freed))
		}
		if first := (<-freed).Sub(begin); first != 0 {
			t.Errorf("first after %v", first)
		}
		if second := (<-freed).Sub(begin); second != reclaimEvery {
			t.Errorf("second after %v", second)
		}
		r.grown(200)
		fall(200, 0)
		r.stop()
	})
}

func TestRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRegistry()
		ended := make(chan string, 10)
		enter := func(c vpn.CredentialID, name string) (leave func()) {
			leave, ok := r.Enter(c, func() { ended <- name })
			if !ok {
				t.Fatal("refused")
			}
			return leave
		}
		enter("a", "a flow that has left")()
		leaveA, leaveB, leave := enter("a", "flow of a"), enter("b", "flow of b"), enter("", "stranger")
		r.End(map[vpn.CredentialID]bool{"a": true, "c": true})
		if got := <-ended; got != "flow of a" || len(ended) > 0 {
			t.Errorf("ended: %s and %d more", got, len(ended))
		}
		leaveA()
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			r.Close()
		}()
		synctest.Wait()
		if len(ended) != 2 {
			t.Errorf("%d ended", len(ended))
		}
		leaveB()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("closed though something lives")
		default:
		}
		leave()
		<-closed
		if _, ok := r.Enter("a", func() {}); ok {
			t.Error("entered a closed registry")
		}
	})
}
