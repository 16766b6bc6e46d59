package protocoltest

import (
	"cmp"
	"encoding/json"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"vpn/internal/vpn"
)

// hosts are what clients may dial.
var hosts = []string{"vpn.example.com", "203.0.113.7", "2001:db8::7"}

// access returns what Access does, of which there is a link or a file at
// least.
func (s suite) access(t *testing.T, srv vpn.Server, user string, secret vpn.Secret, host string) vpn.Access {
	t.Helper()
	a, err := s.p.Access(srv, vpn.User{Name: user}, vpn.Credential{Secret: secret}, host)
	if err != nil {
		t.Fatalf("Access for %q at %s: %v", user, host, err)
	}
	if a.Server != srv.Name || a.Protocol != s.p.Name() || a.Link == "" && a.File == nil {
		t.Errorf("Access for %q at %s is %+v", user, host, a)
	}
	return a
}

// links returns the links of a.
func links(a vpn.Access) []string {
	if a.Link == "" {
		return a.Others
	}
	return append([]string{a.Link}, a.Others...)
}

// texts returns the links of a and the text of its file.
func texts(a vpn.Access) []string {
	if a.File == nil {
		return links(a)
	}
	return append(links(a), a.File.Text)
}

func (s suite) golden(t *testing.T) {
	var got strings.Builder
	for _, host := range hosts {
		all := texts(s.access(t, s.sample.Server, "alice", s.sample.Secret, host))
		if again := texts(s.access(t, s.sample.Server, "alice", s.sample.Secret, host)); !slices.Equal(again, all) {
			t.Errorf("equal arguments give\n%s\n%s", all, again)
		}
		got.WriteString(strings.Join(all, "\n") + "\n")
	}
	file := filepath.Join("testdata", cmp.Or(s.sample.Golden, "access.golden"))
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if got.String() != string(want) {
		t.Errorf("links and files that people have are no longer what they get\ngot\n%swant\n%s", got.String(), want)
	}
}

func (s suite) ownAccess(t *testing.T) {
	srv := s.prepared(t)
	alices, err := s.p.Mint(srv)
	if err != nil {
		t.Fatal(err)
	}
	bobs, err := s.p.Mint(srv)
	if err != nil {
		t.Fatal(err)
	}
	own := texts(s.access(t, srv, "alice", alices, hosts[0]))
	for i, other := range texts(s.access(t, srv, "alice", bobs, hosts[0])) {
		if other == own[i] {
			t.Error("two secrets have one link, or one file")
		}
	}
	var private any
	if err := json.Unmarshal([]byte(srv.Private.Reveal()), &private); err != nil {
		private = srv.Private.Reveal()
	}
	for _, link := range own {
		plain, err := url.QueryUnescape(link)
		if err != nil {
			plain = link
		}
		eachText(private, func(secret string) {
			if strings.Contains(link, secret) || strings.Contains(plain, secret) {
				t.Error("the link holds a part of the server's private keys")
			}
		})
	}
	if _, err := s.p.Access(srv, vpn.User{Name: "alice"}, vpn.Credential{}, hosts[0]); err == nil {
		t.Error("a link is made without a secret")
	}
}

// deviceAccess: a link for a device says so in its name, and nowhere else.
func (s suite) deviceAccess(t *testing.T) {
	srv := s.sample.Server
	a, err := s.p.Access(srv, vpn.User{Name: "alice"}, vpn.Credential{Secret: s.sample.Secret, Label: "phone"}, hosts[0])
	if err != nil {
		t.Fatal(err)
	}
	plain := s.access(t, srv, "alice", s.sample.Secret, hosts[0])
	if a.File != nil && a.File.Text != plain.File.Text {
		t.Errorf("the device leaks into the file: %s", a.File.Text)
	}
	for i, link := range links(a) {
		u, want := s.parse(t, link), s.parse(t, links(plain)[i])
		if name := srv.Name + "-alice-phone"; u.Fragment != name {
			t.Errorf("the link's name is %q, want %q", u.Fragment, name)
		}
		u.Fragment, want.Fragment, u.RawFragment, want.RawFragment = "", "", "", ""
		if u.String() != want.String() {
			t.Errorf("the device leaks into the link: %s", u)
		}
	}
}

// eachText calls fn with every text in a decoded JSON value that is long
// enough to be a secret.
func eachText(v any, fn func(string)) {
	switch v := v.(type) {
	case string:
		if len(v) >= 8 {
			fn(v)
		}
	case []any:
		for _, e := range v {
			eachText(e, fn)
		}
	case map[string]any:
		for _, e := range v {
			eachText(e, fn)
		}
	}
}

// fileName is what the pickiest of client applications takes: wg-quick(8)
// makes the name of a network interface of it.
var fileName = regexp.MustCompile(`^[A-Za-z0-9_=+.-]{1,15}\.conf$`)

// Names are checked when they are given, but a link must not rely on it: an
// old or imported name must not change what the link says.
func (s suite) hostileNames(t *testing.T) {
	for _, name := range []string{
		"alice", "a b", "a+b", "a#b", "a?b=c&d", "a/b@c:d", "100%", "%41", `a"b'<c>\`, "a\nb\r\tc\x00", "\x1b[2J", "älice 🙂", "-", "",
	} {
		srv := s.sample.Server
		srv.Name = "main" + name
		clean, got := s.access(t, s.sample.Server, "alice", s.sample.Secret, hosts[0]), s.access(t, srv, name, s.sample.Secret, hosts[0])
		for i, link := range links(got) {
			s.hostileName(t, link, links(clean)[i], srv.Name, name)
		}
		if got.File == nil {
			continue
		}
		if got.File.Text != clean.File.Text {
			t.Errorf("%q: the name leaks into the file: %s", name, got.File.Text)
		}
		if !fileName.MatchString(got.File.Name) {
			t.Errorf("%q: the file's name is %q", name, got.File.Name)
		}
	}
}

func (s suite) hostileName(t *testing.T, link, clean, server, user string) {
	t.Helper()
	if bad := strings.IndexFunc(link, func(r rune) bool {
		return r > unicode.MaxASCII || r <= ' ' || r == 0x7f || strings.ContainsRune("\"<>\\^`{|}", r)
	}); bad >= 0 {
		t.Errorf("%q: the link has to be encoded at %q", user, link[bad:])
	}
	got, want := s.parse(t, link), s.parse(t, clean)
	if got.Fragment != server+"-"+user {
		t.Errorf("%q: the link's name is %q", user, got.Fragment)
	}
	got.Fragment, want.Fragment, got.RawFragment, want.RawFragment = "", "", "", ""
	if s.sample.Named {
		if got.User.Username() != user {
			t.Errorf("%q: the link is %q's", user, got.User.Username())
		}
		secret, _ := got.User.Password()
		got.User, want.User = url.UserPassword("", secret), url.UserPassword("", s.sample.Secret.Reveal())
	}
	if got.String() != want.String() {
		t.Errorf("%q: the name leaks into the link: %s", user, got)
	}
}

func (s suite) hosts(t *testing.T) {
	for _, host := range hosts {
		a := s.access(t, s.sample.Server, "alice", s.sample.Secret, host)
		at := net.JoinHostPort(host, strconv.Itoa(int(s.sample.Server.Port)))
		if a.File != nil && !slices.ContainsFunc(strings.Fields(a.File.Text), func(word string) bool { return word == at }) {
			t.Errorf("a file for %s does not name %s:\n%s", host, at, a.File.Text)
		}
		for _, link := range links(a) {
			if u := s.parse(t, link); u.Hostname() != host || u.Port() == "" {
				t.Errorf("a link to %s leads to %s", host, u.Host)
			}
		}
	}
	for _, host := range []string{"", "a b", "evil.example/x?", "vpn.example.com:443", "[2001:db8::7]", "fe80::1%eth0", "a\nb", "a@b", "a#b"} {
		_, err := s.p.Access(s.sample.Server, vpn.User{Name: "alice"}, vpn.Credential{Secret: s.sample.Secret}, host)
		if vpn.KindOf(err) != vpn.Invalid {
			t.Errorf("host %q gives %v; want an error of kind invalid", host, err)
		}
	}
}

func (s suite) parse(t *testing.T, link string) *url.URL {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatalf("%s is no URL: %v", link, err)
	}
	return u
}
