package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"vpn/internal/app"
	"vpn/internal/network"
	"vpn/internal/protocol/wireguard"
	"vpn/internal/store/sqlite"
	"vpn/internal/vpn"
)

func TestSubnetsCollideWithNothing(t *testing.T) {
	store, err := sqlite.Open(t.Context(), t.TempDir()+"/vpn.db", sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	n := subnets{store: store}
	settle := func(id vpn.ServerID, settings string) (vpn.Server, wireguard.Network, error) {
		t.Helper()
		s, _, err := n.Settle(context.Background(), vpn.Server{ID: id, Name: string(id), Protocol: wireguard.Name, Settings: json.RawMessage(settings)}, true)
		if err != nil {
			return s, wireguard.Network{}, err
		}
		set, err := wireguard.ParseSettings(s.Settings)
		if err != nil {
			t.Fatal(err)
		}
		has, err := set.Network()
		return s, has, err
	}
	first, has, err := settle("first", `{}`)
	if err != nil || !has.Four.IsValid() || has.Six.Addr().As16()[0] != 0xfd {
		t.Fatalf("picked %+v (%v)", has, err)
	}
	if first, err = (wireguard.Protocol{}).Prepare(first); err != nil {
		t.Fatal(err)
	}
	first.Listen, first.Port = netip.IPv6Unspecified(), 51820
	err = store.Update(t.Context(), func(tx app.Tx) error {
		_, err := tx.Servers.Put(first)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = settle("second", `{"subnet":"`+has.Four.String()+`"}`); vpn.KindOf(err) != vpn.Conflict || !strings.Contains(err.Error(), "server first") {
		t.Errorf("another server's subnet: %v", err)
	}
	if _, _, err = settle("second", `{"subnet6":"`+has.Six.String()+`"}`); vpn.KindOf(err) != vpn.Conflict {
		t.Errorf("another server's IPv6 subnet: %v", err)
	}
	if _, _, err = settle("first", string(first.Settings)); err != nil {
		t.Errorf("a server is in its own way: %v", err)
	}
	if _, again, err := settle("second", `{}`); err != nil || again.Four.Overlaps(has.Four) || again.Six == has.Six {
		t.Errorf("picked %+v beside %+v (%v)", again, has, err)
	}
}

// networksOf are those of an engine.
type networksOf func(context.Context) ([]network.Use, error)

func (f networksOf) Networks(ctx context.Context) ([]network.Use, error) { return f(ctx) }

// Networks of Docker's count that have no route on this machine. An engine
// that hangs is not waited for, one that fails is nobody's concern.
func TestSubnetsBesideDocker(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(t.Context(), t.TempDir()+"/vpn.db", sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	ten, low := netip.MustParsePrefix("10.0.0.0/9"), netip.MustParsePrefix("fd00::/9")
	n := subnets{store: store, docker: networksOf(func(context.Context) ([]network.Use, error) {
		return []network.Use{{Prefix: ten, By: "Docker network office"}, {Prefix: low, By: "Docker network office"}}, nil
	})}
	settle := func(settings string) ([]string, error) {
		_, warnings, err := n.Settle(t.Context(), vpn.Server{ID: "first", Name: "first", Protocol: wireguard.Name, Settings: json.RawMessage(settings)}, true)
		return warnings, err
	}
	for _, settings := range []string{`{"subnet":"10.1.2.0/24"}`, `{"subnet6":"fd01::/64"}`} {
		if _, err := settle(settings); vpn.KindOf(err) != vpn.Conflict || !strings.Contains(err.Error(), "is taken by Docker network office, which has ") {
			t.Errorf("%s: %v", settings, err)
		}
	}
	for range 50 { // half of what is random would be wrong
		four, six, err := n.Pick(t.Context())
		if err != nil || four.Overlaps(ten) || six.Overlaps(low) {
			t.Fatalf("picked %s, %s beside %s, %s (%v)", four, six, ten, low, err)
		}
	}

	n.docker = networksOf(func(context.Context) ([]network.Use, error) { return nil, errors.New("no such file") })
	if warnings, err := settle(`{"subnet":"10.1.2.0/24"}`); err != nil || len(warnings) != 0 {
		t.Errorf("without an engine: %q, %v", warnings, err)
	}
	n.docker = networksOf(func(ctx context.Context) ([]network.Use, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	if warnings, err := settle(`{}`); err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "does not answer") {
		t.Errorf("with an engine that hangs: %q, %v", warnings, err)
	}
}
