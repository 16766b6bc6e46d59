//go:build linux

package rig

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"vpn/internal/vpn"
)

// A Link is what a link says, taken apart the way a client application does
// it. One to a proxy has a user and a password, one of Shadowsocks a method
// and a password, one of VLESS the rest. WireGuard has a file in its place.
type Link struct {
	Scheme      string // vless, http, https, socks5, ss or wireguard
	File        string
	User        string
	Method      string
	Password    string
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

// LinkOf reads the way in that a user was given, and fails the test if a client
// could not use it.
func LinkOf(t testing.TB, a vpn.Access) Link {
	t.Helper()
	if a.File != nil {
		return Link{Scheme: string(a.Protocol), File: a.File.Text}
	}
	return ParseLink(t, a.Link)
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
	if u.Scheme == "http" || u.Scheme == "https" || u.Scheme == "socks5" {
		return parseProxyLink(u)
	}
	if u.Scheme == "ss" {
		return parseShadowsocks(u)
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
	host, port, err := splitHost(u)
	if err != nil {
		return Link{}, err
	}
	l := Link{
		Scheme: u.Scheme,
		UUID:   u.User.Username(), Host: host, Port: port, Name: u.Fragment,
		ServerName: q.Get("sni"), PublicKey: q.Get("pbk"), ShortID: q.Get("sid"),
		Fingerprint: q.Get("fp"), Flow: q.Get("flow"), SpiderX: q.Get("spx"),
	}
	if l.UUID == "" || l.ServerName == "" || l.PublicKey == "" || l.Fingerprint == "" {
		return Link{}, fmt.Errorf("a part is missing: %+v", l)
	}
	return l, nil
}

func parseProxyLink(u *url.URL) (Link, error) {
	host, port, err := splitHost(u)
	if err != nil {
		return Link{}, err
	}
	password, _ := u.User.Password()
	l := Link{Scheme: u.Scheme, Host: host, Port: port, Name: u.Fragment, User: u.User.Username(), Password: password}
	if l.User == "" || l.Password == "" {
		return Link{}, fmt.Errorf("a part is missing: %+v", l)
	}
	return l, nil
}

// parseShadowsocks reads a link of SIP002 or, with a method of 2022, of SIP022.
func parseShadowsocks(u *url.URL) (Link, error) {
	host, port, err := splitHost(u)
	if err != nil {
		return Link{}, err
	}
	l := Link{Scheme: u.Scheme, Host: host, Port: port, Name: u.Fragment}
	password, plain := u.User.Password()
	if plain {
		l.Method, l.Password = u.User.Username(), password
	} else {
		text, err := base64.RawURLEncoding.DecodeString(u.User.Username())
		if err != nil {
			return Link{}, err
		}
		l.Method, l.Password, _ = strings.Cut(string(text), ":")
	}
	if l.Method == "" || l.Password == "" || plain != strings.HasPrefix(l.Method, "2022-") {
		return Link{}, fmt.Errorf("a part is missing: %+v", l)
	}
	return l, nil
}

func splitHost(u *url.URL) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(u.Host)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(text)
	return host, port, err
}
