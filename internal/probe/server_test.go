package probe

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"vpn/internal/vpn"
)

func TestServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort(l.Addr().String())
	s := vpn.ServerInfo{Server: vpn.Server{Protocol: "vless", Listen: netip.IPv6Unspecified(), Port: addr.Port(), Enabled: true}, Endpoint: addr.String()}
	networks := []string{"tcp"}
	got, err := Server(t.Context(), s, networks)
	if err != nil || !strings.Contains(got.String(), "answers at "+addr.String()) {
		t.Errorf("got %q, %v", got, err)
	}
	networks = []string{"tcp", "udp"}
	if got, err = Server(t.Context(), s, networks); err != nil || !strings.Contains(got.String(), "UDP was not tried") {
		t.Errorf("got %q, %v", got, err)
	}

	// It answers here, and not where clients dial: nobody listens at port 1.
	s.Endpoint = "127.0.0.1:1"
	if got, err = Server(t.Context(), s, networks); vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(err.Error(), "answers on this machine (127.0.0.1:") || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %q, %v", got, err)
	}
	l.Close()
	if got, err = Server(t.Context(), s, networks); vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(err.Error(), "nothing answers at 127.0.0.1:1: connection refused") {
		t.Errorf("got %q, %v", got, err)
	}

	networks, s.Protocol = []string{"udp"}, "wireguard"
	if got, err = Server(t.Context(), s, networks); vpn.KindOf(err) != vpn.Invalid || !strings.Contains(err.Error(), "wireguard listens on UDP") {
		t.Errorf("got %q, %v", got, err)
	}
	s.Enabled = false
	if _, err = Server(t.Context(), s, []string{"tcp"}); err == nil || !strings.Contains(err.Error(), "stopped") {
		t.Errorf("got %v", err)
	}
}
