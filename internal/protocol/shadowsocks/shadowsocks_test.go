package shadowsocks_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"vpn/internal/protocol"
	"vpn/internal/protocol/protocoltest"
	"vpn/internal/protocol/shadowsocks"
	"vpn/internal/vpn"
)

const (
	password = "Zm9vYmFyYmF6cXV4cXV1eGNvcmdl"
	key256   = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	key128   = "MDEyMzQ1Njc4OWFiY2RlZg=="
	private  = `{"seed":"c2VlZCBzZWVkIHNlZWQgc2VlZCBzZWVkIHNlZWQgc2U="}`
)

func sample(method shadowsocks.Method, prefix string, secret string) protocoltest.Sample {
	set := shadowsocks.Settings{Method: method, Prefix: prefix}
	if !method.Is2022() {
		set.KeysPerPort = "1000"
	}
	settings, _ := json.Marshal(set)
	return protocoltest.Sample{
		Settings: `{"method": "` + string(method) + `"}`, Secret: vpn.NewSecret(secret), Golden: string(method) + ".golden",
		Server: vpn.Server{Name: "main", Protocol: shadowsocks.Name, Port: 8388, Settings: settings, Private: vpn.NewSecret(private)},
	}
}

func TestProtocol(t *testing.T) {
	for _, s := range []protocoltest.Sample{
		sample(shadowsocks.ChaCha20, "POST%20", password),
		sample(shadowsocks.AES256, "", password),
		sample(shadowsocks.AES128, "", password),
		sample(shadowsocks.AES256Of2022, "", key256),
		sample(shadowsocks.AES128Of2022, "", key128),
	} {
		t.Run(s.Golden, func(t *testing.T) { protocoltest.Run(t, shadowsocks.Protocol{}, s) })
	}
}

func prepare(t *testing.T, settings string) (vpn.Server, shadowsocks.Settings) {
	t.Helper()
	s, err := shadowsocks.Protocol{}.Prepare(vpn.Server{Name: "main", Protocol: shadowsocks.Name, Port: 8388, Settings: json.RawMessage(settings)})
	if err != nil {
		t.Fatalf("%s: %v", settings, err)
	}
	set, err := shadowsocks.ParseSettings(s.Settings)
	if err != nil {
		t.Fatal(err)
	}
	return s, set
}

func TestDefaults(t *testing.T) {
	_, set := prepare(t, `{}`)
	if want := (shadowsocks.Settings{Method: shadowsocks.ChaCha20, KeysPerPort: "1000"}); set != want {
		t.Errorf("%+v", set)
	}
}

func TestPrefix(t *testing.T) {
	// The first is of a TLS client, as Outline's documentation has it.
	for in, want := range map[string]string{
		"%16%03%01%00%C2%A8%01%01": "%16%03%01%00%C2%A8%01%01",
		"POST%20":                  "POST%20",
		"SSH-2.0%0d%0A":            "SSH-2.0%0D%0A",
		"a+b/c":                    "a%2Bb%2Fc",
	} {
		srv, set := prepare(t, `{"prefix": "`+in+`"}`)
		if set.Prefix != want {
			t.Errorf("%s becomes %s", in, set.Prefix)
		}
		a, err := shadowsocks.Protocol{}.Access(srv, vpn.User{Name: "alice"}, vpn.Credential{Secret: vpn.NewSecret(password)}, "vpn.example.com")
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(a.Link)
		if err != nil || u.Query().Get("outline") != "1" || u.Query().Get("prefix") != decoded(t, in) {
			t.Errorf("%s: %s, %v", in, a.Link, err)
		}
	}
}

func decoded(t *testing.T, s string) string {
	t.Helper()
	text, err := url.PathUnescape(s)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRefused(t *testing.T) {
	for _, settings := range []string{
		`{"method": "rc4-md5"}`, `{"method": "chacha20"}`, `{"method": "2022-blake3-chacha20-poly1305"}`,
		`{"prefix": "%zz"}`, `{"prefix": "POST "}`, `{"prefix": "%E2%82%AC"}`, `{"prefix": "12345678901234567"}`, `{"prefix": "%FF"}`,
		`{"method": "aes-128-gcm", "prefix": "POST%20"}`, `{"method": "2022-blake3-aes-256-gcm", "prefix": "POST%20"}`,
		`{"keys_per_port": "0"}`, `{"keys_per_port": "-1"}`, `{"keys_per_port": "many"}`, `{"keys_per_port": "1000000"}`,
		`{"method": "2022-blake3-aes-256-gcm", "keys_per_port": "1000"}`,
	} {
		_, err := shadowsocks.Protocol{}.Prepare(vpn.Server{Settings: json.RawMessage(settings)})
		if vpn.KindOf(err) != vpn.Invalid {
			t.Errorf("%s: %v", settings, err)
		}
	}
}

// A credential's port follows from its slot and from nothing else.
func TestPorts(t *testing.T) {
	port := func(settings string, slot uint32) string {
		t.Helper()
		srv, _ := prepare(t, settings)
		a, err := shadowsocks.Protocol{}.Access(srv, vpn.User{Name: "alice"}, vpn.Credential{Secret: vpn.NewSecret(password), Slot: slot}, "vpn.example.com")
		if vpn.KindOf(err) == vpn.Conflict {
			return "none"
		}
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(a.Link)
		if err != nil {
			t.Fatal(err)
		}
		return u.Port()
	}
	for _, c := range []struct {
		settings string
		slot     uint32
		want     int
	}{
		{`{}`, 0, 8388},
		{`{}`, 999, 8388},
		{`{}`, 1000, 8389},
		{`{"keys_per_port": "10"}`, 25, 8390},
		{`{"keys_per_port": "10"}`, 10*protocol.MaxPorts - 1, 8388 + protocol.MaxPorts - 1},
		{`{"method": "2022-blake3-aes-128-gcm"}`, 999_999, 8388},
	} {
		if got := port(c.settings, c.slot); got != strconv.Itoa(c.want) {
			t.Errorf("%s, slot %d: port %s", c.settings, c.slot, got)
		}
	}
	if got := port(`{"keys_per_port": "10"}`, 10*protocol.MaxPorts); got != "none" {
		t.Errorf("a slot beyond the last port is at port %s", got)
	}
	if _, ok := protocol.PortOf(65535, 10, 10); ok {
		t.Error("there is a port above 65535")
	}
}

// Each secret is good for each method, and keys of two methods have nothing to
// do with each other.
func TestKeysOf2022(t *testing.T) {
	keys, err := shadowsocks.ParseKeys(vpn.NewSecret(private))
	if err != nil {
		t.Fatal(err)
	}
	var seen [][]byte
	fresh := func(what string, key []byte, size int, err error) {
		t.Helper()
		if err != nil || len(key) != size {
			t.Errorf("%s: %d bytes, %v", what, len(key), err)
		}
		for _, other := range seen {
			if bytes.HasPrefix(other, key) || bytes.HasPrefix(key, other) {
				t.Errorf("%s: a key came twice", what)
			}
		}
		seen = append(seen, key)
	}
	for _, m := range []shadowsocks.Method{shadowsocks.AES256Of2022, shadowsocks.AES128Of2022} {
		key, err := keys.ServerPSK(m)
		fresh("server, "+string(m), key, m.KeySize(), err)
		for _, secret := range []string{password, key128 + "x", strings.Repeat("x", 44)} {
			key, err := shadowsocks.UserPSK(m, vpn.NewSecret(secret))
			fresh("user, "+string(m), key, m.KeySize(), err)
		}
	}
	if key, err := shadowsocks.UserPSK(shadowsocks.AES128Of2022, vpn.NewSecret(key128)); err != nil || string(key) != "0123456789abcdef" {
		t.Errorf("a key that is one is %q, %v", key, err)
	}
	if _, err := shadowsocks.UserPSK(shadowsocks.AES128Of2022, vpn.NewSecret("short")); vpn.KindOf(err) != vpn.Invalid {
		t.Errorf("a short secret: %v", err)
	}
}

func TestAdmits(t *testing.T) {
	p := shadowsocks.Protocol{}
	for _, c := range []struct {
		changes string
		admits  bool
		drops   bool
	}{
		{`{"prefix": "POST%20"}`, true, false},
		{`{"keys_per_port": "10"}`, true, false},
		{`{"method": "aes-256-gcm"}`, false, false},
		{`{"method": "2022-blake3-aes-256-gcm"}`, false, true},
		{`{"method": null}`, true, false},
		{`{"method": "2022-blake3-aes-256-gcm", "keys_per_port": ""}`, false, true},
	} {
		old, _ := prepare(t, `{}`)
		draft, check, err := protocol.Revise(p, old, json.RawMessage(c.changes))
		if err != nil || check {
			t.Fatalf("%s: %v, %v", c.changes, check, err)
		}
		revised, err := p.Prepare(draft)
		if err != nil {
			t.Fatal(err)
		}
		if got := protocol.Admits(p, revised, old); got != c.admits {
			t.Errorf("%s: admits clients: %v", c.changes, got)
		}
		if protocol.Drops(p, revised, old) != c.drops || protocol.Drops(p, old, revised) != c.drops {
			t.Errorf("%s: it is not said whether connections end", c.changes)
		}
		if !revised.Private.Equal(old.Private) {
			t.Errorf("%s: other keys", c.changes)
		}
	}
}
