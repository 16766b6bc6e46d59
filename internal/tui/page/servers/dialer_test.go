package servers_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"vpn/internal/protocol/all"
	"vpn/internal/tui/page/servers"
	"vpn/internal/vpn"
)

func TestDialer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort(l.Addr().String())
	d := servers.Dialer{Protocols: all.Protocols().All()}
	s := vpn.ServerInfo{Server: vpn.Server{Protocol: "vless", Listen: netip.IPv6Unspecified(), Port: addr.Port(), Enabled: true}, Endpoint: addr.String()}
	said, err := d.Test(t.Context(), s)
	if err != nil || !strings.Contains(said, "answers at "+addr.String()) {
		t.Errorf("got %q, %v", said, err)
	}
	s.Protocol = "shadowsocks"
	if said, err = d.Test(t.Context(), s); err != nil || !strings.Contains(said, "UDP was not tried") {
		t.Errorf("got %q, %v", said, err)
	}

	// It answers here, and not where clients dial: nobody listens at port 1.
	s.Endpoint = "127.0.0.1:1"
	if said, err = d.Test(t.Context(), s); vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(err.Error(), "answers on this machine (127.0.0.1:") || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %q, %v", said, err)
	}
	l.Close()
	if said, err = d.Test(t.Context(), s); vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(err.Error(), "nothing answers at 127.0.0.1:1: connection refused") {
		t.Errorf("got %q, %v", said, err)
	}

	for _, p := range []vpn.Protocol{"wireguard", "carrier-pigeon"} {
		s.Protocol = p
		if said, err = d.Test(t.Context(), s); vpn.KindOf(err) != vpn.Invalid {
			t.Errorf("%s: got %q, %v", p, said, err)
		}
	}
	s.Enabled = false
	s.Protocol = "vless"
	if _, err = d.Test(t.Context(), s); err == nil || !strings.Contains(err.Error(), "stopped") {
		t.Errorf("got %v", err)
	}
}
