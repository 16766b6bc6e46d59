package proxy_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpn/internal/protocol/protocoltest"
	"vpn/internal/protocol/proxy"
	"vpn/internal/vpn"
)

const (
	password = "Zm9vYmFyYmF6cXV4cXV1eGNvcmdl"
	rules    = `"sources":[],"allow_destinations":[],"deny_destinations":[],"allow_ports":[],"deny_ports":["25"],` +
		`"request_rate":"","anonymous_user":"","anonymous_sources":[]`
	// A key that is nobody's.
	key = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgmMa2Da8oO9XDlc3x\nTK8+cc9OpzxvD8JMCM4NZO65CGihRANCAARq7YIGK693B6hRocZ1S73yuDdSVX0o\n6btJ36XgNDkyrD8geWAt/7itHC5ihPCaRgJyUtXzfiSy43c6JAuUe055\n-----END PRIVATE KEY-----\n"
)

func sample(t *testing.T, name vpn.Protocol, settings string) protocoltest.Sample {
	t.Helper()
	s := protocoltest.Sample{
		Settings: "{}", Secret: vpn.NewSecret(password), Golden: string(name) + ".golden", Named: true, Keyless: name == proxy.SOCKS5,
		Server: vpn.Server{Name: "main", Protocol: name, Port: 8080, Settings: json.RawMessage(settings)},
	}
	if !s.Keyless {
		private, err := json.Marshal(proxy.Keys{TLSKey: key})
		if err != nil {
			t.Fatal(err)
		}
		s.Server.Private = vpn.NewSecret(string(private))
	}
	return s
}

func TestProtocols(t *testing.T) {
	for name, settings := range map[vpn.Protocol]string{
		proxy.HTTP:   `{` + rules + `,"tls":false,"tls_cert":"","tls_key":""}`,
		proxy.SOCKS5: `{` + rules + `,"udp_ports":"40000-40999"}`,
		proxy.Mixed:  `{` + rules + `,"tls":false,"tls_cert":"","tls_key":"","udp_ports":""}`,
	} {
		t.Run(string(name), func(t *testing.T) { protocoltest.Run(t, proxy.New(name), sample(t, name, settings)) })
	}
}

func TestHTTPS(t *testing.T) {
	for _, name := range []vpn.Protocol{proxy.HTTP, proxy.Mixed} {
		t.Run(string(name), func(t *testing.T) {
			srv, _ := prepare(t, name, `{"tls": true}`)
			s := sample(t, name, string(srv.Settings))
			s.Server.Private = srv.Private
			s.Settings, s.Golden = `{"tls": true}`, string(name)+"-tls.golden"
			protocoltest.Run(t, proxy.New(name), s)
		})
	}
}

func prepare(t *testing.T, name vpn.Protocol, settings string) (vpn.Server, proxy.Settings) {
	t.Helper()
	s, err := proxy.New(name).Prepare(vpn.Server{Name: "main", Protocol: name, PublicHost: "vpn.example.com", Settings: json.RawMessage(settings)})
	if err != nil {
		t.Fatalf("%s: %v", settings, err)
	}
	set, err := proxy.ParseSettings(name, s.Settings)
	if err != nil {
		t.Fatal(err)
	}
	return s, set
}

func TestPrepareBringsSettingsIntoOneForm(t *testing.T) {
	_, set := prepare(t, proxy.Mixed, `{
		"sources": ["192.0.2.9/24", "192.0.2.0/24", "::ffff:198.51.100.7", "2001:DB8::1/32"],
		"allow_destinations": ["Example.COM", "*.example.com", "203.0.113.77/24", "example.com"],
		"deny_ports": ["25", "06000-6063", "25"], "request_rate": "0020/s",
		"anonymous_user": "guest", "anonymous_sources": ["198.51.100.0/24"], "udp_ports": "40000-40099"}`)
	want := proxy.Settings{
		Rules: proxy.Rules{
			Sources:           []string{"192.0.2.0/24", "198.51.100.7/32", "2001:db8::/32"},
			AllowDestinations: []string{"example.com", "*.example.com", "203.0.113.0/24"},
			DenyDestinations:  []string{}, AllowPorts: []string{}, DenyPorts: []string{"25", "6000-6063"},
			RequestRate: "20/s", AnonymousUser: "guest", AnonymousSources: []string{"198.51.100.0/24"},
		},
		Datagrams: proxy.Datagrams{UDPPorts: "40000-40099"},
	}
	if diff := cmp.Diff(want, set); diff != "" {
		t.Error(diff)
	}
}

func TestPrepareRefuses(t *testing.T) {
	for settings, hint := range map[string]string{
		`{"sources": ["everywhere"]}`:                                             "192.0.2.0/24",
		`{"sources": ["192.0.2.0/33"]}`:                                           "192.0.2.0/24",
		`{"allow_destinations": ["https://example.com/"]}`:                        "without a port",
		`{"deny_destinations": ["*.*.com"]}`:                                      "*.example.com",
		`{"deny_destinations": ["*"]}`:                                            "*.example.com",
		`{"allow_ports": ["0"]}`:                                                  "8000-8999",
		`{"allow_ports": ["9-8"]}`:                                                "8000-8999",
		`{"deny_ports": ["65536"]}`:                                               "8000-8999",
		`{"request_rate": "0/s"}`:                                                 "20/s",
		`{"request_rate": "5/h"}`:                                                 "20/s",
		`{"anonymous_user": "guest"}`:                                             "--anonymous-source",
		`{"anonymous_sources": ["192.0.2.0/24"]}`:                                 "--anonymous-user",
		`{"anonymous_user": "guest", "anonymous_sources": ["0.0.0.0/0"]}`:         "at least /8",
		`{"anonymous_user": "guest", "anonymous_sources": ["::/0"]}`:              "at least /32",
		`{"anonymous_user": "A b", "anonymous_sources": ["192.0.2.0/24"]}`:        "vpn users list",
		`{"udp_ports": "80-90"}`:                                                  "40000-40999",
		`{"udp_ports": "40000"}`:                                                  "40000-40999",
		`{"tls_key": "x"}`:                                                        "--tls-cert",
		`{"tls_cert": "x"}`:                                                       "--tls",
		`{"tls": true, "tls_cert": "x"}`:                                          "BEGIN CERTIFICATE",
		`{"tls": true, "tls_cert": "-----BEGIN A-----\neA==\n-----END A-----\n"}`: "--tls-key",
	} {
		_, err := proxy.New(proxy.Mixed).Prepare(vpn.Server{PublicHost: "vpn.example.com", Settings: json.RawMessage(settings)})
		e, ok := errors.AsType[*vpn.Error](err)
		if !ok || e.Kind != vpn.Invalid || !strings.Contains(e.Hint, hint) {
			t.Errorf("%s: %#v; the hint should have %q", settings, err, hint)
		}
	}
}

func TestEachProtocolHasItsOwnSettingsOnly(t *testing.T) {
	for settings, name := range map[string]vpn.Protocol{`{"tls": true}`: proxy.SOCKS5, `{"udp_ports": "40000-40999"}`: proxy.HTTP} {
		if _, err := proxy.New(name).Prepare(vpn.Server{Settings: json.RawMessage(settings)}); vpn.KindOf(err) != vpn.Invalid {
			t.Errorf("%s takes %s: %v", name, settings, err)
		}
	}
}

func TestASelfMadeCertificateIsForTheHost(t *testing.T) {
	for _, host := range []string{"vpn.example.com", "203.0.113.7", "2001:db8::7"} {
		s, err := proxy.New(proxy.HTTP).Prepare(vpn.Server{PublicHost: host, Settings: json.RawMessage(`{"tls": true}`)})
		if err != nil {
			t.Fatal(err)
		}
		set, err := proxy.ParseSettings(proxy.HTTP, s.Settings)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode([]byte(set.Cert))
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if err := cert.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	moved, before := prepare(t, proxy.HTTP, `{"tls": true}`)
	moved.PublicHost = "other.example.com"
	again, err := proxy.New(proxy.HTTP).Prepare(moved)
	if err != nil {
		t.Fatal(err)
	}
	after, err := proxy.ParseSettings(proxy.HTTP, again.Settings)
	if err != nil || after.Cert == before.Cert || !again.Private.Equal(moved.Private) {
		t.Errorf("for another host there is the old certificate, or another key: %v", err)
	}
	_, err = proxy.New(proxy.HTTP).Prepare(vpn.Server{Settings: json.RawMessage(`{"tls": true}`)})
	if e, ok := errors.AsType[*vpn.Error](err); !ok || !strings.Contains(e.Hint, "--public-host") {
		t.Errorf("without a host: %v", err)
	}
}

func TestAGivenCertificateIsKeptAndItsKeyIsHidden(t *testing.T) {
	// Made by another server, as good as any.
	other, set := prepare(t, proxy.HTTP, `{"tls": true}`)
	keys, err := proxy.ParseKeys(proxy.HTTP, other.Private)
	if err != nil {
		t.Fatal(err)
	}
	given, err := json.Marshal(map[string]any{"tls": true, "tls_cert": set.Cert, "tls_key": keys.TLSKey})
	if err != nil {
		t.Fatal(err)
	}
	srv, got := prepare(t, proxy.Mixed, string(given))
	if got.Cert != set.Cert || got.Key != "" || strings.Contains(string(srv.Settings), "PRIVATE KEY") {
		t.Errorf("settings %s", srv.Settings)
	}
	own, err := proxy.ParseKeys(proxy.Mixed, srv.Private)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tls.X509KeyPair([]byte(got.Cert), []byte(own.TLSKey)); err != nil {
		t.Error(err)
	}
	_, err = proxy.New(proxy.HTTP).Prepare(vpn.Server{Settings: given, Private: sample(t, proxy.HTTP, "{}").Server.Private})
	if err != nil {
		t.Errorf("another certificate with its key: %v", err)
	}
	mismatch, _ := json.Marshal(map[string]any{"tls": true, "tls_cert": set.Cert, "tls_key": key})
	if _, err = proxy.New(proxy.HTTP).Prepare(vpn.Server{Settings: mismatch}); vpn.KindOf(err) != vpn.Invalid || strings.Contains(err.Error(), "BEGIN") {
		t.Errorf("a certificate with another's key: %v", err)
	}
}

func TestNotes(t *testing.T) {
	for _, tt := range []struct {
		name     vpn.Protocol
		settings string
		words    []string
	}{
		{proxy.HTTP, `{}`, nil},
		{proxy.HTTP, `{"tls": true}`, []string{"self-made", "vpn server show main"}},
		{proxy.SOCKS5, `{}`, []string{"socks5h"}},
		{proxy.Mixed, `{"tls": true}`, []string{"self-made", "socks5h"}},
	} {
		srv, _ := prepare(t, tt.name, tt.settings)
		a, err := proxy.New(tt.name).Access(srv, vpn.User{Name: "alice"}, vpn.Credential{Secret: vpn.NewSecret(password)}, "vpn.example.com")
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range tt.words {
			if !strings.Contains(a.Note, w) {
				t.Errorf("%s %s: the note is %q", tt.name, tt.settings, a.Note)
			}
		}
		if len(tt.words) == 0 && a.Note != "" {
			t.Errorf("%s %s: the note is %q", tt.name, tt.settings, a.Note)
		}
	}
}

func FuzzLink(f *testing.F) {
	f.Add("vpn.example.com", "main", "alice", password, uint16(1080))
	f.Add("2001:db8::7", "m&a=n", "al#i:c@e/%zz", "a:b@c/d?e#f", uint16(1))
	f.Fuzz(func(t *testing.T, host, server, user, secret string, port uint16) {
		srv := vpn.Server{Name: server, Port: port, Settings: json.RawMessage(`{}`)}
		a, err := proxy.New(proxy.Mixed).Access(srv, vpn.User{Name: user}, vpn.Credential{Secret: vpn.NewSecret(secret)}, host)
		if err != nil {
			if vpn.ValidHost(host) == nil && secret != "" {
				t.Fatalf("no link: %v", err)
			}
			return
		}
		for _, link := range append(a.Others, a.Link) {
			checkLink(t, link, user, secret, server)
		}
	})
}

func checkLink(t *testing.T, link, user, secret, server string) {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatalf("%q: %v", link, err)
	}
	if got, _ := u.User.Password(); u.User.Username() != user || got != secret || u.Fragment != server+"-"+user || u.Path != "" || u.RawQuery != "" {
		t.Errorf("%q became %+v", link, u)
	}
}
