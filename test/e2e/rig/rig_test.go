//go:build linux && e2e

package rig

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The rig proves itself with a bare server: what fails here is its own fault,
// what fails in package e2e only is the product's.

func TestRealClientsThroughABareServer(t *testing.T) {
	t.Parallel()
	w := NewWorld(t)
	bare := w.Bare(t, 443, 2)
	logins := []Login{{Link: bare.Links[0]}, {Link: bare.Links[1], From: ClientAddr(3)}}
	for name, c := range map[string]*Client{"xray": w.Xray(t, logins...), "sing-box": w.SingBox(t, logins...)} {
		t.Run(name, func(t *testing.T) {
			for i := range logins {
				for _, inner := range []bool{false, true} {
					conn := c.MustOpen(t, i, inner)
					if err := conn.Download(5<<20, 0); err != nil {
						t.Error(err)
					}
					if err := conn.Upload(t.Context(), 5<<20, 0); err != nil {
						t.Error(err)
					}
					if live := w.Xfer.Live(); live["203.0.113.129"] == 0 || len(live) > 1 {
						t.Errorf("the transfer server sees %v, not just the server host", live)
					}
					if err := conn.Close(); err != nil {
						t.Error(err)
					}
				}
				u, err := c.UDP(t.Context(), i)
				if err != nil {
					t.Fatal(err)
				}
				defer u.Close()
				if err := u.Exchange(UDPAddr().String(), []byte("hello"), 5*time.Second); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestTheClientHasNoOtherWayOut(t *testing.T) {
	t.Parallel()
	w := NewWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if c, err := w.Client.Dial(ctx, "tcp", transferAddr(xferPort, false)); err == nil {
		c.Close()
		t.Error("the client host reaches the outside by itself")
	}
}

func TestAStrangerIsRefused(t *testing.T) {
	t.Parallel()
	w := NewWorld(t)
	bare := w.Bare(t, 443, 1)
	stranger := bare.Links[0]
	stranger.UUID = "11111111-1111-4111-8111-111111111111"
	c := w.Xray(t, Login{Link: bare.Links[0]}, Login{Link: stranger})
	c.MustOpen(t, 0, false) // a bare server lets its first client wait for 5 s
	if err := c.Refused(t.Context(), 1); err != nil {
		t.Error(err)
	}
	if err := c.Refused(t.Context(), 0); err == nil {
		t.Error("a user counts as refused")
	}
}

func TestHostsEndWithTheirProcesses(t *testing.T) {
	var p *Process
	t.Run("world", func(t *testing.T) {
		h := newHost(t, "alone", 0)
		sleep, err := exec.LookPath("sleep")
		if err != nil {
			t.Fatal(err)
		}
		p = h.Spawn(t, nil, sleep, "600")
		if err := p.Running(); err != nil {
			t.Fatal(err)
		}
	})
	if Alive(p.PID()) {
		t.Error("a process outlives its test")
	}
}

func TestParseLinkRefusesWhatNoClientCouldUse(t *testing.T) {
	good := "vless://0000@203.0.113.1:443?type=tcp&encryption=none&security=reality&pbk=K&fp=chrome&sni=s&sid=01&spx=%2F&flow=f#main"
	if l, err := parseLink(good); err != nil || l.Host != "203.0.113.1" || l.Port != 443 || l.SpiderX != "/" || l.Name != "main" {
		t.Errorf("%+v, %v", l, err)
	}
	if l, err := parseLink("socks5://alice:pw@[2001:db8::1]:1080#main"); err != nil || l.Host != "2001:db8::1" || l.User != "alice" || l.Password != "pw" {
		t.Errorf("%+v, %v", l, err)
	}
	for _, cut := range []string{"security=reality&", "pbk=K&", "fp=chrome&", "sni=s&", ":443", "0000@"} {
		if l, err := parseLink(strings.Replace(good, cut, "", 1)); err == nil {
			t.Errorf("without %s: %+v", cut, l)
		}
	}
}
