package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vpn/internal/vpn"
)

// specAt returns a spec of that revision.
func specAt(revision uint64) vpn.Spec {
	s := fullSpec()
	s.Revision = revision
	return s
}

func TestPatched(t *testing.T) {
	grant := func(text string) vpn.Grant { // "a1": credential a, version 1
		return vpn.Grant{Credential: vpn.CredentialID(text[:1]), User: vpn.UserID(text[1:])}
	}
	grants := func(list string) (out []vpn.Grant) {
		for _, g := range strings.Fields(list) {
			out = append(out, grant(g))
		}
		return out
	}
	for _, c := range []struct{ before, upsert, remove, want string }{
		{"", "", "", ""},
		{"", "a1 b1", "", "a1 b1"},
		{"a1 b1 c1", "b2", "", "a1 b2 c1"},
		{"a1 b1 c1", "", "b", "a1 c1"},
		{"a1 b1", "c1 a2", "b", "a2 c1"},
		{"a1", "a2 a3 b1 b2", "", "a3 b2"},
		{"a1", "b1", "b x", "a1"},
	} {
		before := grants(c.before)
		p := vpn.Patch{Revision: 2, Upsert: grants(c.upsert)}
		for _, r := range strings.Fields(c.remove) {
			p.Remove = append(p.Remove, vpn.CredentialID(r))
		}
		var got []string
		for _, g := range patched(vpn.Spec{Revision: 1, Grants: before}, p).Grants {
			got = append(got, string(g.Credential)+string(g.User))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q with %q without %q gives %q, want %q", c.before, c.upsert, c.remove, got, c.want)
		}
		if d := diff(grants(c.before), before); d != "" {
			t.Errorf("patching changed what was there: %s", d)
		}
	}
}

func TestOneApplyAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		h, _ := newTestHost(t, &fakeEngine{apply: func(context.Context, vpn.Spec) error {
			most.Store(max(most.Load(), now.Add(1)))
			<-time.After(time.Second)
			now.Add(-1)
			return nil
		}})
		done := make(chan error)
		for i := range uint64(5) {
			go func() {
				s := specAt(1)
				s.Generation = fmt.Sprint(i)
				done <- h.put(t.Context(), s)
			}()
		}
		for range 5 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if most.Load() != 1 {
			t.Errorf("%d applies ran at one time", most.Load())
		}
		// One that waits does not wait for longer than its caller.
		go func() { done <- h.put(t.Context(), specAt(8)) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := h.put(ctx, specAt(9)); vpn.KindOf(err) != vpn.Unavailable {
			t.Errorf("a change that waits in vain gives %v", err)
		}
		<-done
		h.meter.Close()
	})
}

func TestApplyOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newTestHost(t, &fakeEngine{apply: func(ctx context.Context, _ vpn.Spec) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
				return nil
			}
		}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- h.put(ctx, specAt(1)) }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil || h.health().Revision != 1 {
			t.Errorf("the change ended with %v at revision %d", err, h.health().Revision)
		}
		h.meter.Close()
	})
}

func TestStop(t *testing.T) {
	closed := 0
	h, final := newTestHost(t, &fakeEngine{close: func() error { closed++; return errors.New("not quite") }})
	if err := h.put(t.Context(), specAt(1)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		cs, err := h.stop()
		if err != nil || cs.Epoch != "epoch-1" {
			t.Errorf("stop gives %+v, %v", cs, err)
		}
	}
	if closed != 1 {
		t.Errorf("the engine was closed %d times", closed)
	}
	var left vpn.Counters
	if err := json.Unmarshal(final.Bytes(), &left); err != nil || left.Epoch != "epoch-1" {
		t.Errorf("the final file holds %q", final)
	}
	for _, err := range []error{h.put(t.Context(), specAt(2)), h.patch(t.Context(), vpn.Patch{})} {
		if vpn.KindOf(err) != vpn.Unavailable {
			t.Errorf("a change after the end gives %v", err)
		}
	}
}

func TestStopDoesNotHang(t *testing.T) {
	for name, hang := range map[string]func(e *fakeEngine, forever chan struct{}){
		"in apply": func(e *fakeEngine, forever chan struct{}) {
			e.apply = func(context.Context, vpn.Spec) error { <-forever; return nil }
		},
		"in close": func(e *fakeEngine, forever chan struct{}) {
			e.close = func() error { <-forever; return nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				forever := make(chan struct{})
				e := &fakeEngine{}
				hang(e, forever)
				h, final := newTestHost(t, e)
				go func() { _ = h.put(t.Context(), specAt(1)) }()
				synctest.Wait()
				began := time.Now()
				if _, err := h.stop(); err != nil || final.Len() == 0 {
					t.Errorf("stop gives %v and leaves %q", err, final)
				}
				if took := time.Since(began); took >= stopTimeout {
					t.Errorf("it took %s, and the control plane waits %s", took, stopTimeout)
				}
				close(forever)
			})
		})
	}
}

// A stop waits for a change that is about to end: half of one is not closed.
func TestStopWaitsForAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var applied, closedAfter bool
		h, _ := newTestHost(t, &fakeEngine{
			apply: func(context.Context, vpn.Spec) error {
				<-time.After(time.Second)
				applied = true
				return nil
			},
			close: func() error { closedAfter = applied; return nil },
		})
		done := make(chan error)
		go func() { done <- h.put(t.Context(), specAt(1)) }()
		synctest.Wait()
		if _, err := h.stop(); err != nil || !closedAfter {
			t.Errorf("the engine was closed in the middle of a change (%v)", err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestFinalCountersThatCannotBeWritten(t *testing.T) {
	h, _ := newTestHost(t, &fakeEngine{})
	h.final = brokenWriter{}
	if _, err := h.stop(); !errors.Is(err, errDiskFull) {
		t.Errorf("stop gives %v", err)
	}
}

var errDiskFull = errors.New("disk full")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errDiskFull }
