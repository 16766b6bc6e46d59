package vless_test

import (
	"crypto/ecdh"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"vpn/internal/protocol/protocoltest"
	"vpn/internal/protocol/vless"
	"vpn/internal/vpn"
)

// The keys of the sample are RFC 7748's, section 6.1: nobody's.
var sample = protocoltest.Sample{
	Settings: `{"target": "www.example.com:443"}`,
	Server: vpn.Server{
		Name: "main", Protocol: vless.Name, Port: 8443,
		Settings: json.RawMessage(`{"target":"www.example.com:443","server_names":["www.example.com","example.com"],` +
			`"short_ids":["0123456789abcdef","ab"],"fingerprint":"chrome","public_key":"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo",` +
			`"record_lengths":{"www.example.com 0":[],"www.example.com 2":[274,274,71]}}`),
		Private: vpn.NewSecret(`{"private_key":"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo"}`),
	},
	Secret: vpn.NewSecret("3f8a1c52-9d0e-4b7a-8c66-0e5d1f2a7b90"),
}

func TestProtocol(t *testing.T) { protocoltest.Run(t, vless.Protocol{}, sample) }

func TestProtocolWithItsOwnTarget(t *testing.T) {
	self := sample
	self.Settings = `{"target": "self"}`
	protocoltest.Run(t, vless.Protocol{}, self)
}

func prepare(t *testing.T, settings string) (vpn.Server, vless.Settings, vless.Keys) {
	t.Helper()
	s, err := vless.Protocol{}.Prepare(vpn.Server{Name: "main", Settings: json.RawMessage(settings)})
	if err != nil {
		t.Fatalf("%s: %v", settings, err)
	}
	set, err := vless.ParseSettings(s.Settings)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := vless.ParseKeys(s.Private)
	if err != nil {
		t.Fatal(err)
	}
	return s, set, keys
}

func TestPrepareFillsIn(t *testing.T) {
	_, set, keys := prepare(t, `{"target": "WWW.Example.com:0443"}`)
	private, err := base64.RawURLEncoding.DecodeString(keys.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.ShortIDs) != 1 || len(set.ShortIDs[0]) != 16 {
		t.Errorf("short ids are %q, want one of 8 bytes", set.ShortIDs)
	}
	want := vless.Settings{
		Target: "www.example.com:443", ServerNames: []string{"www.example.com"}, ShortIDs: set.ShortIDs, Fingerprint: "chrome",
		PublicKey: base64.RawURLEncoding.EncodeToString(key.PublicKey().Bytes()),
	}
	if diff := cmp.Diff(want, set); diff != "" {
		t.Error(diff)
	}
	if keys.SelfCert != "" || keys.SelfKey != "" {
		t.Error("a certificate was made that nobody needs")
	}
}

func TestPrepareKeepsWhatIsGiven(t *testing.T) {
	_, set, _ := prepare(t, `{"target": "[2001:DB8:0::7]:8443", "server_names": ["B.example.com", "a.example.com", "b.EXAMPLE.com"],
		"short_ids": ["AB", "", "0011223344556677", "ab"], "fingerprint": "firefox", "record_lengths": {"b.example.com 1": [22, 16645]}}`)
	set.PublicKey = ""
	want := vless.Settings{
		Target: "[2001:db8::7]:8443", ServerNames: []string{"b.example.com", "a.example.com"},
		ShortIDs: []string{"ab", "", "0011223344556677"}, Fingerprint: "firefox",
		RecordLengths: map[string][]int{"b.example.com 1": {22, 16645}},
	}
	if diff := cmp.Diff(want, set); diff != "" {
		t.Error(diff)
	}
}

func TestPrepareSelf(t *testing.T) {
	first, set, keys := prepare(t, `{"target": "self"}`)
	if set.Target != vless.SelfTarget || len(set.ServerNames) != 1 {
		t.Errorf("settings are %+v", set)
	}
	if _, err := tls.X509KeyPair([]byte(keys.SelfCert), []byte(keys.SelfKey)); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(keys.SelfCert))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := cert.VerifyHostname(set.ServerNames[0]); err != nil {
		t.Error(err)
	}
	if age := cert.NotAfter.Sub(cert.NotBefore); cert.NotBefore.After(time.Now()) || age < 3650*24*time.Hour {
		t.Errorf("it is valid from %v to %v", cert.NotBefore, cert.NotAfter)
	}

	// Another target later, and back: the certificate stays.
	set.Target, set.ServerNames = "www.example.com:443", []string{"www.example.com"}
	first.Settings, _ = json.Marshal(set)
	second, err := vless.Protocol{}.Prepare(first)
	if err != nil || !second.Private.Equal(first.Private) {
		t.Errorf("a change of the target changes the keys: %v", err)
	}
}

func TestPrepareSelfIsNamedAfterItsHost(t *testing.T) {
	for host, want := range map[string]string{"vpn.example.net": "vpn.example.net", "203.0.113.7": "www.example.com", "": "www.example.com"} {
		s, err := vless.Protocol{}.Prepare(vpn.Server{PublicHost: host, Settings: json.RawMessage(`{"target": "self"}`)})
		if err != nil {
			t.Fatal(err)
		}
		set, err := vless.ParseSettings(s.Settings)
		if err != nil || len(set.ServerNames) != 1 || set.ServerNames[0] != want {
			t.Errorf("at host %q the server name is %q, %v; want %q", host, set.ServerNames, err, want)
		}
	}
}

func TestPrepareRefuses(t *testing.T) {
	long := strings.Repeat("a", 64) + ".example.com"
	for settings, hint := range map[string]string{
		``:                                          "--target",
		`{}`:                                        "--target",
		`{"target": "auto"}`:                        "--target",
		`{"target": "www.example.com"}`:             "with its port",
		`{"target": "www.example.com:"}`:            "with its port",
		`{"target": "www.example.com:0"}`:           "with its port",
		`{"target": "www.example.com:+1"}`:          "with its port",
		`{"target": "www.example.com:https"}`:       "with its port",
		`{"target": "www.example.com:65536"}`:       "with its port",
		`{"target": ":443"}`:                        "with its port",
		`{"target": "2001:db8::7:443"}`:             "with its port",
		`{"target": "[fe80::1%eth0]:443"}`:          "with its port",
		`{"target": "https://www.example.com:443"}`: "with its port",
		`{"target": "www.example.com:443\n"}`:       "with its port",
		`{"target": "exa mple.com:443"}`:            "with its port",
		`{"target": "203.0.113.7:443"}`:             "--server-name",

		`{"target": "a.example:443", "server_names": ["*.example"]}`:       "domain name",
		`{"target": "a.example:443", "server_names": [""]}`:                "www.example.com",
		`{"target": "a.example:443", "server_names": ["203.0.113.7"]}`:     "www.example.com",
		`{"target": "a.example:443", "server_names": ["a.example\u0000"]}`: "www.example.com",
		`{"target": "a.example:443", "server_names": ["пример.рф"]}`:       "xn--",
		`{"target": "a.example:443", "server_names": ["` + long + `"]}`:    "www.example.com",

		`{"target": "a.example:443", "short_ids": ["abc"]}`:                "even number of hex digits",
		`{"target": "a.example:443", "short_ids": ["xy"]}`:                 "even number of hex digits",
		`{"target": "a.example:443", "short_ids": ["001122334455667788"]}`: "even number of hex digits",
		`{"target": "a.example:443", "short_ids": ["ab\n"]}`:               "even number of hex digits",

		`{"target": "a.example:443", "fingerprint": "chrom"}`:  "did you mean chrome?",
		`{"target": "a.example:443", "fingerprint": "Chrome"}`: "did you mean chrome?",
		`{"target": "a.example:443", "fingerprint": "lynx"}`:   "chrome, firefox",

		`{"target": "a.example:443", "public_key": "x"}`:                                           "leave public_key out",
		`{"target": "a.example:443", "public_key": "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"}`: "leave public_key out", // not ours

		`{"target": "a.example:443", "record_lengths": {"a.example 2": [21]}}`:    "leave record_lengths out",
		`{"target": "a.example:443", "record_lengths": {"a.example 2": [-1]}}`:    "leave record_lengths out",
		`{"target": "a.example:443", "record_lengths": {"a.example 2": [16646]}}`: "leave record_lengths out",
		`{"target": "a.example:443", "record_lengths": {"a.example 3": []}}`:      "leave record_lengths out",
		`{"target": "a.example:443", "record_lengths": {"a.example": []}}`:        "leave record_lengths out",
		`{"target": "a.example:443", "record_lengths": {"a.example 2 2": []}}`:    "leave record_lengths out",
		`{"target": "a.example:443", "record_lengths": {" 2": []}}`:               "leave record_lengths out",

		`{"target": "a.example:443", "server_name": ["a.example"]}`: "did you mean server_names?",
	} {
		_, err := vless.Protocol{}.Prepare(vpn.Server{Settings: json.RawMessage(settings)})
		e, ok := errors.AsType[*vpn.Error](err)
		if !ok || e.Kind != vpn.Invalid {
			t.Errorf("%s: %v; want an error of kind invalid", settings, err)
			continue
		}
		if hint != "domain name" && !strings.Contains(e.Hint, hint) || hint == "domain name" && !strings.Contains(e.Message, hint) {
			t.Errorf("%s: %v; hint %q, want %q in it", settings, e, e.Hint, hint)
		}
	}
}

func TestSettingsMayBeIncompleteWhenTheyAreParsed(t *testing.T) {
	for _, raw := range []string{``, `null`, `{}`, `{"target": "auto"}`, `{"target": "self"}`, `{"target":"","server_names":null,"short_ids":null,"fingerprint":"","public_key":""}`} {
		if _, err := vless.ParseSettings(json.RawMessage(raw)); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestParseKeysRefuses(t *testing.T) {
	const key = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo"
	for _, private := range []string{
		``, `{}`, `{"private_key": "x"}`, `{"private_key": "` + key + `="}`, `{"private_key": "` + key[:40] + `"}`,
		`{"private_key": "` + key + `", "self_cert": "x"}`, `{"private_key": "` + key + `", "self_key": "x"}`, `{"private_key": 5}`,
	} {
		if _, err := vless.ParseKeys(vpn.NewSecret(private)); vpn.KindOf(err) != vpn.Invalid {
			t.Errorf("%s: %v", private, err)
		}
	}
}

func TestMintMakesUUIDs(t *testing.T) {
	secret, err := vless.Protocol{}.Mint(vpn.Server{})
	if err != nil {
		t.Fatal(err)
	}
	id, err := uuid.Parse(secret.Reveal())
	if err != nil || id.Version() != 4 || id.String() != secret.Reveal() {
		t.Errorf("secret %q, %v", secret.Reveal(), err)
	}
}

func TestAccessOfMappedAddress(t *testing.T) {
	a, err := vless.Protocol{}.Access(sample.Server, vpn.User{Name: "alice"}, vpn.Credential{Secret: sample.Secret}, "::ffff:203.0.113.7")
	if err != nil || !strings.Contains(a.Link, "@203.0.113.7:8443?") {
		t.Errorf("%s, %v", a.Link, err)
	}
}

func TestAccessOfAnUnpreparedServer(t *testing.T) {
	s := vpn.Server{Name: "main", Settings: json.RawMessage(`{"target": "a.example:443"}`)}
	if _, err := (vless.Protocol{}).Access(s, vpn.User{}, vpn.Credential{Secret: sample.Secret}, "a.example"); err == nil {
		t.Error("a link is made of nothing")
	}
}

func TestCandidates(t *testing.T) {
	list := vless.Candidates()
	if len(list) < 8 {
		t.Errorf("there are only %d", len(list))
	}
	seen := map[string]bool{}
	for _, target := range list {
		_, set, _ := prepare(t, `{"target": "`+target+`"}`)
		if set.Target != target || !strings.HasSuffix(target, ":443") || seen[target] {
			t.Errorf("candidate %q is stored as %q, has an odd port or comes twice", target, set.Target)
		}
		seen[target] = true
	}
	list[0] = "changed"
	if vless.Candidates()[0] == "changed" {
		t.Error("a caller can change the list")
	}
}

func FuzzPrepare(f *testing.F) {
	f.Add(sample.Settings, "vpn.example.com")
	f.Add(string(sample.Server.Settings), "2001:db8::7")
	f.Add(`{"target": "self", "short_ids": ["", "AB"], "fingerprint": "ios"}`, "203.0.113.7")
	f.Add(`{"target": "[2001:db8::7]:1", "server_names": ["a", "B"], "record_lengths": {"a 0": null}}`, "")
	f.Fuzz(func(t *testing.T, settings, host string) {
		in := vpn.Server{Name: "main", Port: 443, PublicHost: host, Settings: json.RawMessage(settings), Private: sample.Server.Private}
		first, err := vless.Protocol{}.Prepare(in)
		if err != nil {
			e, ok := errors.AsType[*vpn.Error](err)
			if !ok || e.Kind != vpn.Invalid || e.Hint == "" || strings.ContainsAny(e.Message+e.Hint, "\n\x00\x1b") {
				t.Fatalf("%q: %#v", settings, err)
			}
			return
		}
		second, err := vless.Protocol{}.Prepare(first)
		if err != nil || string(second.Settings) != string(first.Settings) || !second.Private.Equal(first.Private) {
			t.Fatalf("%q: prepared twice, %v\n%s\n%s", settings, err, first.Settings, second.Settings)
		}
		set, err := vless.ParseSettings(first.Settings)
		if err != nil {
			t.Fatal(err)
		}
		for _, lengths := range set.RecordLengths {
			for _, n := range lengths {
				if n < 22 {
					t.Fatalf("record of %d bytes", n)
				}
			}
		}
	})
}

// Whatever goes into a link comes out of it at the place where it belongs.
func FuzzLink(f *testing.F) {
	f.Add("vpn.example.com", "main", "alice", "3f8a1c52-9d0e-4b7a-8c66-0e5d1f2a7b90", uint16(443))
	f.Add("2001:db8::7", "m&a=n", "al#i/c?e@%zz", "a:b@c/d?e#f", uint16(1))
	f.Fuzz(func(t *testing.T, host, server, user, secret string, port uint16) {
		srv := sample.Server
		srv.Name, srv.Port = server, port
		a, err := vless.Protocol{}.Access(srv, vpn.User{Name: user}, vpn.Credential{Secret: vpn.NewSecret(secret)}, host)
		if err != nil {
			if vpn.ValidHost(host) == nil && secret != "" {
				t.Fatalf("no link: %v", err)
			}
			return
		}
		u, err := url.Parse(a.Link)
		if err != nil {
			t.Fatalf("%q: %v", a.Link, err)
		}
		password, hasPassword := u.User.Password()
		if u.Scheme != "vless" || u.User.Username() != secret || hasPassword || password != "" || u.Path != "" || u.Fragment != server+"-"+user {
			t.Errorf("%q became %+v", a.Link, u)
		}
		if got, err := netip.ParseAddr(u.Hostname()); err == nil {
			if want := netip.MustParseAddr(host).Unmap(); got != want {
				t.Errorf("host %q became %q", host, u.Hostname())
			}
		} else if u.Hostname() != host {
			t.Errorf("host %q became %q", host, u.Hostname())
		}
		want := url.Values{
			"type": {"tcp"}, "encryption": {"none"}, "security": {"reality"}, "fp": {"chrome"}, "spx": {"/"}, "flow": {"xtls-rprx-vision"},
			"pbk": {"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"}, "sni": {"www.example.com"}, "sid": {"0123456789abcdef"},
		}
		if diff := cmp.Diff(want, u.Query()); diff != "" {
			t.Error(diff)
		}
	})
}
