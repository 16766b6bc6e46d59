package app_test

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"vpn/internal/vpn"
)

// fakeTunnels are rules that can be looked at.
type fakeTunnels struct {
	mu     sync.Mutex
	rules  map[vpn.ServerID][]netip.Prefix // what each server's clients may reach
	living []vpn.ServerID                  // when strays were collected
	fail   error
}

func (f *fakeTunnels) Apply(s vpn.Server) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail == nil {
		f.rules[s.ID] = append([]netip.Prefix{}, s.Allow...)
	}
	return f.fail
}

func (f *fakeTunnels) Remove(id vpn.ServerID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.rules, id)
	return nil
}

func (f *fakeTunnels) Collect(living []vpn.ServerID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.living = living
	return nil
}

func (f *fakeTunnels) Warnings(vpn.Server) []string { return []string{"it is blocked"} }

// Changes has one from the first allowed prefix on.
func (f *fakeTunnels) Changes(s vpn.Server) []string {
	if allow, _ := f.of(s.ID); len(allow) == 0 {
		return nil
	}
	return []string{"this host forwards"}
}

func (f *fakeTunnels) of(id vpn.ServerID) ([]netip.Prefix, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	allow, ok := f.rules[id]
	return allow, ok
}

// Rules come with a server, follow it, and go with it. One whose rules cannot
// be made is told nothing that they would have to guard.
func TestTunnelsFollowTheirServer(t *testing.T) {
	b, tunnels := newBench(t), &fakeTunnels{rules: map[vpn.ServerID][]netip.Prefix{}}
	b.tunnels = tunnels
	b.reset()
	b.supervise()
	id := b.server("main")
	if allow, ok := tunnels.of(id); !ok || len(allow) != 0 {
		t.Errorf("a new server has the rules %v, %v", allow, ok)
	}
	inside := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
	change, err := b.app.Servers.Update(b.ctx, "main", vpn.ServerPatch{Allow: &inside})
	if err != nil || !change.Synced {
		t.Fatalf("%+v, %v", change, err)
	}
	if allow, _ := tunnels.of(id); !slices.Equal(allow, inside) {
		t.Errorf("after a change the rules are %v", allow)
	}
	if !slices.Contains(change.Warnings, "it is blocked") || !slices.Contains(change.Warnings, "this host forwards") {
		t.Errorf("a change says %q", change.Warnings)
	}
	more := []netip.Prefix{inside[0], netip.MustParsePrefix("10.2.0.0/16")}
	change, err = b.app.Servers.Update(b.ctx, "main", vpn.ServerPatch{Allow: &more})
	if err != nil || !slices.Contains(change.Warnings, "it is blocked") || slices.Contains(change.Warnings, "this host forwards") {
		t.Errorf("the next change says %q, %v", change.Warnings, err)
	}
	shown, err := b.app.Servers.Show(b.ctx, "main")
	if err != nil || !slices.Contains(shown.Warnings, "this host forwards") {
		t.Errorf("what was changed of this host is not shown: %q, %v", shown.Warnings, err)
	}
	status, err := b.app.System.Status(b.ctx)
	if err != nil || !slices.Contains(status.Warnings, "it is blocked") || slices.Contains(status.Warnings, "this host forwards") {
		t.Errorf("the status says %q, %v", status.Warnings, err)
	}

	tunnels.mu.Lock()
	tunnels.fail = errors.New("no rules today")
	tunnels.mu.Unlock()
	if change, err := b.app.Servers.Update(b.ctx, "main", vpn.ServerPatch{Allow: &[]netip.Prefix{}}); err != nil || change.Synced || change.Server.Problem != "no rules today" {
		t.Errorf("rules that cannot be made: %+v, %v", change, err)
	}
	tunnels.mu.Lock()
	tunnels.fail = nil
	tunnels.mu.Unlock()
	if _, err := b.app.Servers.Stop(b.ctx, "main"); err != nil {
		t.Fatal(err)
	}
	if allow, ok := tunnels.of(id); ok {
		t.Errorf("a server that is stopped has the rules %v", allow)
	}

	// The next control plane says who lives, before it turns.
	b.end()
	b.reset()
	b.supervise()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for b.app.Reconciler.Turns() == 0 {
		<-tick.C
	}
	tunnels.mu.Lock()
	defer tunnels.mu.Unlock()
	if !slices.Equal(tunnels.living, []vpn.ServerID{id}) {
		t.Errorf("strays of all but %v were collected", tunnels.living)
	}
}
