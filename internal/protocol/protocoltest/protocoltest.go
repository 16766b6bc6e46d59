// Package protocoltest is the suite that every [protocol.Protocol] passes. It
// is imported by tests only, and knows no protocol.
package protocoltest

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

//nolint:gochecknoglobals // a flag has to be known before the tests begin
var update = flag.Bool("update", false, "write the golden files anew")

// A Sample is what the suite has to be told about one protocol.
type Sample struct {
	Settings string     // the least that a person has to say, as JSON
	Server   vpn.Server // as Prepare once left it; the golden links are of it
	Secret   vpn.Secret // as Mint once made it

	Golden  string // the file of the golden links in testdata; empty: access.golden
	Keyless bool   // servers have no keys
	Named   bool   // links have the user's name in front of the secret
}

// Run checks that p keeps the promises of [protocol.Protocol]. The links of
// the sample are compared with testdata/access.golden of the caller's
// package; go test -update writes that file.
func Run(t *testing.T, p protocol.Protocol, sample Sample) {
	s := suite{p: p, sample: sample}
	t.Run("prepare fills in what is open", s.fills)
	t.Run("prepare accepts its own output", s.acceptsItsOutput)
	t.Run("prepare makes other keys each time", s.freshKeys)
	t.Run("prepare refuses bad settings", s.refusesBadSettings)
	t.Run("prepare hides damaged keys", s.hidesDamagedKeys)
	t.Run("fields are settings", s.fieldsAreSettings)
	t.Run("networks", s.networks)
	t.Run("mint", s.mint)
	t.Run("access is as recorded", s.golden)
	t.Run("access is the user's own", s.ownAccess)
	t.Run("access for a device says so", s.deviceAccess)
	t.Run("access stands hostile names", s.hostileNames)
	t.Run("access stands any host", s.hosts)
}

type suite struct {
	p      protocol.Protocol
	sample Sample
}

// draft is a server as a person asks for it.
func (s suite) draft() vpn.Server {
	return vpn.Server{
		ID: "abcdefghijklmnop", Name: "main", Protocol: s.p.Name(), Port: 443,
		PublicHost: "vpn.example.com", Settings: json.RawMessage(s.sample.Settings),
	}
}

func (s suite) prepared(t *testing.T) vpn.Server {
	t.Helper()
	out, err := s.p.Prepare(s.draft())
	if err != nil {
		t.Fatalf("Prepare: %v", err)
	}
	return out
}

func (s suite) fills(t *testing.T) {
	in := s.draft()
	out := s.prepared(t)
	if !json.Valid(out.Settings) || out.Private.IsZero() != s.sample.Keyless {
		t.Errorf("settings %s, private %q", out.Settings, out.Private.Reveal())
	}
	if string(in.Settings) != s.sample.Settings {
		t.Error("Prepare wrote into its argument")
	}
	rest := out
	rest.Settings, rest.Private = in.Settings, in.Private
	if !reflect.DeepEqual(rest, in) {
		t.Errorf("Prepare changed more than settings and keys: %+v", rest)
	}
}

func (s suite) acceptsItsOutput(t *testing.T) {
	for what, first := range map[string]vpn.Server{"fresh": s.prepared(t), "sample": s.sample.Server} {
		again, err := s.p.Prepare(first)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if string(again.Settings) != string(first.Settings) {
			t.Errorf("%s: settings changed\nfrom %s\nto   %s", what, first.Settings, again.Settings)
		}
		if !again.Private.Equal(first.Private) {
			t.Errorf("%s: keys changed", what)
		}
	}
}

func (s suite) networks(t *testing.T) {
	all := s.p.Networks()
	for i, network := range all {
		if network != "tcp" && network != "udp" || slices.Contains(all[:i], network) {
			t.Errorf("the networks are %q", all)
		}
	}
	if len(all) == 0 {
		t.Error("it listens on no network")
	}
}

func (s suite) freshKeys(t *testing.T) {
	if !s.sample.Keyless && s.prepared(t).Private.Equal(s.prepared(t).Private) {
		t.Error("two servers have the same keys")
	}
}

func (s suite) refusesBadSettings(t *testing.T) {
	fields := s.p.Fields()
	cases := map[string]string{
		"an unknown key": s.with("no_such_setting", `"x"`),
		"a list":         `[]`,
		"half an object": `{"a"`,
		"two objects":    `{} {}`,
	}
	for _, f := range fields {
		cases[f.Key+" of another type"] = s.with(f.Key, `{"planted": 5}`)
		cases[f.Key+" with control characters"] = s.with(f.Key, fieldValue(f, `"a\nb\u0000"`))
		cases[f.Key+" in capitals"] = s.with(strings.ToUpper(f.Key), fieldValue(f, `"x"`))
	}
	for what, settings := range cases {
		srv := s.draft()
		srv.Settings = json.RawMessage(settings)
		_, err := s.p.Prepare(srv)
		if e, ok := errors.AsType[*vpn.Error](err); !ok || e.Kind != vpn.Invalid || e.Hint == "" {
			t.Errorf("%s: %v; want an error of kind invalid with a hint", what, err)
		}
	}
	srv := s.draft()
	srv.Settings = json.RawMessage(s.with(fields[0].Key+"x", `"x"`))
	_, err := s.p.Prepare(srv)
	if e, ok := errors.AsType[*vpn.Error](err); ok && !strings.Contains(e.Hint, fields[0].Key) {
		t.Errorf("a mistyped %s is not suggested: %q", fields[0].Key, e.Hint)
	}
}

// with returns the sample settings with one key set.
func (s suite) with(key, value string) string {
	var settings map[string]json.RawMessage
	if err := json.Unmarshal([]byte(s.sample.Settings), &settings); err != nil || settings == nil {
		settings = map[string]json.RawMessage{}
	}
	settings[key] = json.RawMessage(value)
	out, err := json.Marshal(settings)
	if err != nil {
		panic(err) // a test passed what is no JSON
	}
	return string(out)
}

func fieldValue(f protocol.Field, element string) string {
	if f.List {
		return "[" + element + "]"
	}
	return element
}

func (s suite) hidesDamagedKeys(t *testing.T) {
	srv := s.prepared(t)
	for _, private := range []string{"planted-7f3a", `{"planted-7f3a": 1}`, `"planted-7f3a"`} {
		srv.Private = vpn.NewSecret(private)
		_, err := s.p.Prepare(srv)
		if err == nil {
			t.Errorf("keys %s are accepted", private)
			continue
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			if strings.Contains(fmt.Sprintf("%+v", e), "planted-7f3a") {
				t.Errorf("the error shows the keys: %v", e)
			}
		}
	}
}

func (s suite) fieldsAreSettings(t *testing.T) {
	var settings map[string]any
	if err := json.Unmarshal(s.prepared(t).Settings, &settings); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range s.p.Fields() {
		if f.Help == "" || seen[f.Key] || f.Key != strings.ToLower(f.Key) {
			t.Errorf("field %+v has no help, comes twice or is not in lower case", f)
		}
		seen[f.Key] = true
		value, ok := settings[f.Key]
		if !ok {
			t.Errorf("the prepared settings have no %q", f.Key)
			continue
		}
		_, isList := value.([]any)
		_, isBool := value.(bool)
		if isList != f.List || isBool != f.Bool {
			t.Errorf("field %+v is %T in the settings", f, value)
		}
	}
	if len(seen) == 0 {
		t.Error("there are no fields")
	}
}

func (s suite) mint(t *testing.T) {
	srv := s.prepared(t)
	seen := map[string]bool{}
	for range 100 {
		secret, err := s.p.Mint(srv)
		if err != nil {
			t.Fatal(err)
		}
		if len(secret.Reveal()) < 16 || seen[secret.Reveal()] {
			t.Fatalf("secret %q is short or came twice", secret.Reveal())
		}
		seen[secret.Reveal()] = true
	}
}
