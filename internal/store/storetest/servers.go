package storetest

import (
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

func serversRoundTrip(b *bench) {
	s := vpn.Server{
		ID: "abcdefgh23456722", Name: "main", Protocol: "vless", Runtime: vpn.RuntimeDocker,
		Container: &vpn.Container{Network: "lan", Memory: 1 << 40, PIDs: 77},
		Listen:    netip.MustParseAddr("fe80::1%eth0"), Port: 65535, PublicHost: "vpn.example.org", Enabled: true,
		Allow:    []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/64")},
		Settings: json.RawMessage(`{"target": "example.org:443", "ß": [1.50]}`),
		Private:  vpn.NewSecret("key\x00\xff\n"), CreatedAt: day, UpdatedAt: day.Add(time.Hour), DeletedAt: day.Add(2 * time.Hour),
	}
	b.equal("what Put returns", b.putServer(s), s)
	b.equal("a server", b.server(s.ID), s)

	bare := vpn.Server{ID: s.ID, Name: "bare"}
	b.equal("what Put of little returns", b.putServer(bare), bare)
	b.equal("a server put again", b.server(s.ID), bare)

	s.Allow = []netip.Prefix{{}}
	s.DeletedAt = time.Time{}
	b.kind("a network that is none", b.try(func(tx app.Tx) error { _, err := tx.Servers.Put(s); return err }), vpn.Invalid)
}

func (b *bench) server(id vpn.ServerID) (s vpn.Server) {
	b.Helper()
	b.view(func(tx app.Tx) (err error) {
		s, err = tx.Servers.Get(id)
		return err
	})
	return s
}

func serversLookup(b *bench) {
	second, first := b.putServer(newServer("second")), b.putServer(newServer("first"))
	gone := newServer("gone")
	gone.DeletedAt = day
	gone = b.putServer(gone)
	b.view(func(tx app.Tx) error {
		got, err := tx.Servers.ByName("first")
		b.check(err)
		b.equal("by name", got, first)
		_, err = tx.Servers.ByName("gone")
		b.kind("a tombstone by name", err, vpn.NotFound)
		_, err = tx.Servers.Get("nothing")
		b.kind("by an unknown id", err, vpn.NotFound)
		all, err := tx.Servers.List()
		b.check(err)
		b.equal("the living, by name", all, []vpn.Server{first, second})
		return nil
	})
	b.equal("a tombstone by id", b.server(gone.ID), gone)
}

func serversNames(b *bench) {
	first := b.putServer(newServer("main"))
	err := b.try(func(tx app.Tx) error { _, err := tx.Servers.Put(newServer("main")); return err })
	b.kind("a second server of one name", err, vpn.Conflict)
	if err != nil && !strings.Contains(err.Error(), `server "main" already exists`) {
		b.Errorf("a second server of one name: %v", err)
	}
	first.DeletedAt = day
	b.putServer(first)
	b.putServer(newServer("main"))
	first.DeletedAt = time.Time{}
	b.kind("undo when the name is taken", b.try(func(tx app.Tx) error { _, err := tx.Servers.Put(first); return err }), vpn.Conflict)
}

func serversSlots(b *bench) {
	var s [4]vpn.Server
	for i := range s {
		s[i] = b.putServer(newServer(vpn.NewID()))
		b.equal("the slot of a new server", s[i].Slot, uint32(i))
	}
	changed := s[2]
	changed.Slot, changed.Port = 77, 8443
	b.equal("the slot after a change", b.putServer(changed).Slot, uint32(2))

	gone := s[1]
	gone.DeletedAt = day
	gone = b.putServer(gone)
	b.equal("a tombstone's slot", gone.Slot, uint32(1))
	gone.DeletedAt = time.Time{}
	b.equal("the slot after undo", b.putServer(gone).Slot, uint32(1))

	gone.DeletedAt = day
	b.putServer(gone)
	b.equal("a freed slot", b.putServer(newServer("new")).Slot, uint32(1))
	gone.DeletedAt = time.Time{}
	b.equal("the slot after undo, when it was taken", b.putServer(gone).Slot, uint32(4))
}
