package daemon

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"vpn/internal/app"
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
	n := subnets{store}
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
