package vless

import (
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xtls/xray-core/common/log"

	"vpn/internal/vpn"
)

func TestIdler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var moved, expired atomic.Uint64
		begin := time.Now()
		i := newIdler(time.Minute, moved.Load, func() { expired.Store(uint64(time.Since(begin))) })
		for range 5 {
			<-time.After(45 * time.Second)
			moved.Add(1)
		}
		<-time.After(time.Hour)
		if at := time.Duration(expired.Load()); at != 5*time.Minute {
			t.Errorf("expired after %v", at)
		}
		i.within(linger) // too late, and no harm
	})
	synctest.Test(t, func(t *testing.T) {
		var moved, expired atomic.Uint64
		begin := time.Now()
		i := newIdler(time.Minute, moved.Load, func() { expired.Store(uint64(time.Since(begin))) })
		<-time.After(30 * time.Second)
		i.within(idleSpliced)
		<-time.After(time.Hour)
		if expired.Load() != 0 {
			t.Error("expired while the kernel was at work")
		}
		i.within(linger)
		i.within(idleSpliced) // the other end has ended already
		<-time.After(2 * linger)
		if expired.Load() == 0 {
			t.Error("did not expire after one end had ended")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		i := newIdler(time.Minute, func() uint64 { return 0 }, func() { t.Error("expired after it was stopped") })
		i.stop()
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
		r := newRegistry()
		ended := make(chan string, 10)
		enter := func(c vpn.CredentialID, name string) (leave func()) {
			leave, ok := r.enter(c, func() { ended <- name })
			if !ok {
				t.Fatal("refused")
			}
			return leave
		}
		enter("a", "a flow that has left")()
		leaveA, leaveB, leave := enter("a", "flow of a"), enter("b", "flow of b"), enter("", "stranger")
		r.end(map[vpn.CredentialID]bool{"a": true, "c": true})
		if got := <-ended; got != "flow of a" || len(ended) > 0 {
			t.Errorf("ended: %s and %d more", got, len(ended))
		}
		leaveA()
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			r.close()
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
		if _, ok := r.enter("a", func() {}); ok {
			t.Error("entered a closed registry")
		}
	})
}

// To xray two UUIDs that differ in their seventh and eighth byte are one.
func TestUUIDsThatXrayCannotTellApart(t *testing.T) {
	grants := []vpn.Grant{
		{Credential: "a", Secret: vpn.NewSecret("00112233-4455-4677-8899-aabbccddeeff")},
		{Credential: "b", Secret: vpn.NewSecret("00112233-4455-4678-8899-aabbccddeeff")},
	}
	if _, err := (users{}).plan(grants); vpn.KindOf(err) != vpn.Invalid || !strings.Contains(err.Error(), "credentials a and b") {
		t.Errorf("error %v", err)
	}
}

func TestXrayLog(t *testing.T) {
	var b strings.Builder
	l := xrayLog{slog.New(slog.NewTextHandler(&b, nil))}
	const secret = "00112233-4455-4677-8899-AABBCCDDEEFF"
	for s, want := range map[log.Severity]string{
		log.Severity_Error:   "level=ERROR",
		log.Severity_Warning: "level=WARN",
		log.Severity_Info:    "",
		log.Severity_Debug:   "",
	} {
		b.Reset()
		l.Handle(&log.GeneralMessage{Severity: s, Content: "account " + secret + " is odd"})
		if got := b.String(); !strings.Contains(got, want) || strings.Contains(got, secret) || (want == "") != (got == "") {
			t.Errorf("%v: %q", s, got)
		}
	}
	b.Reset()
	l.Handle(&log.AccessMessage{Email: secret})
	if b.Len() > 0 {
		t.Errorf("logged %q", b.String())
	}
}
