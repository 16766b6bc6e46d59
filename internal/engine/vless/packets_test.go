package vless

import (
	"net/netip"
	"testing"

	xnet "github.com/xtls/xray-core/common/net"

	"vpn/internal/engine/egress"
)

// Who answers is called what the client has called it last: another port of the
// same host is another place.
func TestAnswersComeFromWhereTheClientSent(t *testing.T) {
	host := netip.MustParseAddr("127.0.0.1")
	p := &packets{
		guard: egress.New([]netip.Prefix{netip.PrefixFrom(host, 32)}),
		names: map[string]netip.Addr{"name.example.test": host}, back: map[netip.AddrPort]string{},
	}
	name, address := xnet.DomainAddress("name.example.test"), xnet.IPAddress(host.AsSlice())
	for _, tt := range []struct {
		sent xnet.Address
		port xnet.Port
		from uint16
		want xnet.Address
	}{
		{name, 53, 53, name},
		{name, 53, 54, address},
		{address, 54, 53, name},
		{address, 53, 53, address},
		{name, 54, 54, name},
		{name, 54, 53, address},
	} {
		if _, err := p.resolve(t.Context(), xnet.UDPDestination(tt.sent, tt.port)); err != nil {
			t.Fatal(err)
		}
		if got := p.origin(netip.AddrPortFrom(host, tt.from)); got.Address != tt.want {
			t.Errorf("after one to %v:%d, an answer from port %d comes from %v, want %v", tt.sent, tt.port, tt.from, got.Address, tt.want)
		}
	}
}
