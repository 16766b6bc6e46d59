package cli

import (
	"encoding/json"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestServerTest(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(l.Addr().String())
	r := newRunner()
	s := r.plane.servers["main"]
	s.Listen, s.Port, s.Endpoint = at.Addr(), at.Port(), at.String()
	r.plane.servers["main"] = s
	if got := r.run(t, "server", "test", "main"); got.status != 0 || !strings.HasPrefix(got.out, "NAME  ANSWERS AT") || !strings.Contains(got.out, "main  "+at.String()+" ") || !strings.Contains(got.out, " ms") {
		t.Errorf("got %+v", got)
	}
	var trial struct {
		Server, Endpoint string
		Untried          []string
	}
	got := r.run(t, "server", "test", "main", "-o", "json")
	if err := json.Unmarshal([]byte(got.out), &trial); err != nil || trial.Server != "main" || trial.Endpoint != at.String() || trial.Untried == nil || len(trial.Untried) > 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := r.run(t, "server", "test", "main"); got.status != 6 || got.out != "" || !strings.Contains(got.err, "nothing answers at "+at.String()+": connection refused\nhint: see whether it runs, and what its log says: vpn server logs main") {
		t.Errorf("got %+v", got)
	}
	s.Enabled = false
	r.plane.servers["main"] = s
	if got := r.run(t, "server", "test", "main"); got.status != 2 || !strings.Contains(got.err, "the server is stopped\nhint: start it first: vpn server start main") {
		t.Errorf("got %+v", got)
	}
}
