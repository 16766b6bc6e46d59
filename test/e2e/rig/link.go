//go:build linux

package rig

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"testing"
)

// A Link is what a vless:// link says, taken apart the way a client
// application does it.
type Link struct {
	UUID        string
	Host        string
	Port        int
	ServerName  string
	PublicKey   string
	ShortID     string
	Fingerprint string
	Flow        string
	SpiderX     string
	Name        string
}

// ParseLink reads a link, and fails the test if a client could not use it.
func ParseLink(t testing.TB, text string) Link {
	t.Helper()
	l, err := parseLink(text)
	if err != nil {
		t.Fatalf("link %q: %v", text, err)
	}
	return l
}

func parseLink(text string) (Link, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Link{}, err
	}
	q := u.Query()
	for key, want := range map[string]string{"type": "tcp", "security": "reality", "encryption": "none"} {
		if got := q.Get(key); got != want {
			return Link{}, fmt.Errorf("%s is %q, not %q", key, got, want)
		}
	}
	if u.Scheme != "vless" || u.User == nil {
		return Link{}, fmt.Errorf("not a vless link")
	}
	host, portText, err := net.SplitHostPort(u.Host)
	if err != nil {
		return Link{}, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return Link{}, err
	}
	l := Link{
		UUID: u.User.Username(), Host: host, Port: port, Name: u.Fragment,
		ServerName: q.Get("sni"), PublicKey: q.Get("pbk"), ShortID: q.Get("sid"),
		Fingerprint: q.Get("fp"), Flow: q.Get("flow"), SpiderX: q.Get("spx"),
	}
	if l.UUID == "" || l.ServerName == "" || l.PublicKey == "" || l.Fingerprint == "" {
		return Link{}, fmt.Errorf("a part is missing: %+v", l)
	}
	return l, nil
}
