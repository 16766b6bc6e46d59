package app_test

import (
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/protocol/all"
	"vpn/internal/vpn"
)

// walled is a network whose firewall blocks one port.
type walled struct {
	quietNetwork
	port uint16
}

func (w walled) Blocked(network string, _ netip.Addr, port uint16) []string {
	if port != w.port {
		return nil
	}
	return []string{network + " " + strconv.Itoa(int(port)) + " is blocked"}
}

func TestAFirewallThatBlocksIsReported(t *testing.T) {
	b := newBench(t)
	b.app = app.New(app.Config{
		Store: b.store, Workers: b.workers, Protocols: all.Protocols(), Network: walled{port: 4443},
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	create := func(name string, port uint16) vpn.ServerChange {
		c, err := b.app.Servers.Create(b.ctx, vpn.NewServer{
			Name: name, Port: port, NoCheck: true, Settings: []byte(`{"target":"www.example.com:443","server_names":["www.example.com"]}`),
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	want := func(where string, got []string, blocked bool) {
		t.Helper()
		if blocked != slices.Contains(got, "tcp 4443 is blocked") || len(got) > 1 {
			t.Errorf("%s: %q", where, got)
		}
	}
	want("create", create("shut", 4443).Warnings, true)
	want("create of another", create("open", 4444).Warnings, false)
	look := func(blocked bool) {
		t.Helper()
		shown, err := b.app.Servers.Show(b.ctx, "shut")
		if err != nil {
			t.Fatal(err)
		}
		want("show", shown.Warnings, blocked)
		status, err := b.app.System.Status(b.ctx)
		if err != nil {
			t.Fatal(err)
		}
		want("status", status.Warnings, blocked)
	}
	look(true)
	for _, c := range []struct {
		do      func() (vpn.ServerChange, error)
		blocked bool
	}{
		{func() (vpn.ServerChange, error) { return b.app.Servers.Stop(b.ctx, "shut") }, false},
		{func() (vpn.ServerChange, error) { return b.app.Servers.Start(b.ctx, "shut") }, true},
	} {
		change, err := c.do()
		if err != nil {
			t.Fatal(err)
		}
		want("change", change.Warnings, c.blocked)
		look(c.blocked)
	}
	deleted, err := b.app.Servers.Delete(b.ctx, "shut")
	if err != nil {
		t.Fatal(err)
	}
	want("delete", deleted.Warnings, false)
}
