package proxy_test

import (
	"encoding/json"
	"testing"

	"vpn/internal/protocol"
	"vpn/internal/protocol/proxy"
	"vpn/internal/vpn"
)

func TestRevise(t *testing.T) {
	for _, c := range []struct {
		name          vpn.Protocol
		from, changes string
		host          string
		admits        bool
	}{
		{proxy.HTTP, `{}`, `{"deny_ports": ["25"]}`, "", true},
		{proxy.HTTP, `{}`, `{"tls": true}`, "", false},
		{proxy.HTTP, `{"tls": true}`, `{"tls": false}`, "", false},
		{proxy.HTTP, `{"tls": true}`, `{"deny_ports": ["25"]}`, "", true},
		{proxy.HTTP, `{"tls": true}`, `{}`, "other.example.com", false},
		{proxy.Mixed, `{}`, `{"tls": true}`, "", true},
		{proxy.Mixed, `{"tls": true}`, `{"tls": false}`, "", false},
		{proxy.SOCKS5, `{}`, `{"udp_ports": "40000-40099"}`, "", true},
	} {
		p := proxy.New(c.name)
		old, _ := prepare(t, c.name, c.from)
		draft, check, err := protocol.Revise(p, old, json.RawMessage(c.changes))
		if err != nil || check {
			t.Fatalf("%s %s: %v, %v", c.from, c.changes, check, err)
		}
		if c.host != "" {
			draft.PublicHost = c.host
		}
		revised, err := p.Prepare(draft)
		if err != nil {
			t.Errorf("%s %s: %v", c.from, c.changes, err)
			continue
		}
		if got := protocol.Admits(p, revised, old); got != c.admits {
			t.Errorf("%s %s %s: admits clients: %v", c.name, c.from, c.changes, got)
		}
		if !revised.Private.Equal(old.Private) {
			t.Errorf("%s %s: other keys", c.from, c.changes)
		}
	}
}
