package meter

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"vpn/internal/vpn"
)

// However many connections somebody wants, there is one for whoever comes
// next, and those who want all of them have the same.
func TestConnectionsAreSharedFairly(t *testing.T) {
	var log bytes.Buffer
	const most = 300
	m := New(Options{Most: most, Log: slog.New(slog.NewTextHandler(&log, nil))})
	t.Cleanup(m.Close)
	grants := []vpn.Grant{{Credential: "a", User: "alice"}, {Credential: "b", User: "bob"}, {Credential: "b2", User: "bob"}, {Credential: "c", User: "carol"}}
	m.Set(grants)
	from := netip.MustParseAddrPort("192.0.2.1:1")
	open := func(c vpn.CredentialID) *Flow {
		f, err := m.Open(c, from, "tcp", nil)
		if err != nil && (vpn.KindOf(err) != vpn.Denied || err.Error() != errCrowded.Error()) {
			t.Fatalf("%s: %v", c, err)
		}
		return f
	}
	grab := func(c vpn.CredentialID) (flows []*Flow) {
		for f := open(c); f != nil; f = open(c) {
			flows = append(flows, f)
		}
		return flows
	}
	alice := grab("a")
	if len(alice) != most/2 {
		t.Errorf("one user has %d of %d", len(alice), most)
	}
	if n := strings.Count(log.String(), "user=alice"); n != 1 {
		t.Errorf("the log tells of it %d times:\n%s", n, log.String())
	}
	// Of several credentials it is the user who counts.
	if bob := len(grab("b")) + len(grab("b2")); bob != most/4 {
		t.Errorf("the next has %d of %d", bob, most)
	}
	// Once those of the first have ended, others may have as many.
	for _, f := range alice {
		f.Close()
	}
	grab("b")
	grab("a")
	if n := m.Conns(); n < most*3/5 || n >= most*3/4+2 {
		t.Errorf("two have %d of %d", n, most)
	}
	carol := open("c")
	if carol == nil {
		t.Fatal("a third has none")
	}
	// What a flow carries counts as well, and once.
	release, err := carol.Claim()
	if err != nil {
		t.Fatal(err)
	}
	was := m.crowd.claimed.Load()
	release()
	release()
	if now := m.crowd.claimed.Load(); now != was-1 {
		t.Errorf("%d are taken after one of %d was given back", now, was)
	}
	m.Kick("alice")
	m.Kick("bob")
	carol.Close()
	if n := m.crowd.claimed.Load(); n != 0 {
		t.Errorf("%d are taken by nobody", n)
	}
	m.Set(grants[:1])
	if len(grab("a")) != most/2 {
		t.Error("after all had left it is not as before")
	}
}
