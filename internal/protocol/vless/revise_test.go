package vless_test

import (
	"encoding/json"
	"slices"
	"testing"

	"vpn/internal/protocol"
	"vpn/internal/protocol/vless"
	"vpn/internal/vpn"
)

// revise applies changes to a server and prepares the result.
func revise(t *testing.T, s vpn.Server, changes string) (vpn.Server, vless.Settings, bool) {
	t.Helper()
	revised, settle, err := protocol.Revise(vless.Protocol{}, s, json.RawMessage(changes))
	if err != nil {
		t.Fatalf("%s: %v", changes, err)
	}
	if revised, err = (vless.Protocol{}).Prepare(revised); err != nil {
		t.Fatalf("%s: %v", changes, err)
	}
	set, err := vless.ParseSettings(revised.Settings)
	if err != nil {
		t.Fatal(err)
	}
	return revised, set, settle
}

func TestRevise(t *testing.T) {
	old, was, _ := prepare(t, `{"target": "www.example.com:443", "short_ids": ["aa", "bb"], "record_lengths": {"www.example.com 0": [22]}}`)
	for changes, c := range map[string]struct {
		names          []string
		measured       bool
		settle, admits bool
	}{
		`{"short_ids": ["cc", "bb", "aa"]}`:                            {[]string{"www.example.com"}, true, false, true},
		`{"short_ids": ["cc", "bb"]}`:                                  {[]string{"www.example.com"}, true, false, false},
		`{"short_ids": null}`:                                          {[]string{"www.example.com"}, true, false, false},
		`{"fingerprint": "firefox"}`:                                   {[]string{"www.example.com"}, true, false, true},
		`{"target": "WWW.example.com:0443"}`:                           {[]string{"www.example.com"}, true, false, true},
		`{"target": "www.example.org:443"}`:                            {[]string{"www.example.org"}, false, true, false},
		`{"target": "www.example.org:443", "server_names": null}`:      {[]string{"www.example.org"}, false, true, false},
		`{"target": "a.org:443", "server_names": ["www.example.com"]}`: {[]string{"www.example.com"}, false, true, true},
		`{"server_names": ["a.example.com", "www.example.com"]}`:       {[]string{"a.example.com", "www.example.com"}, false, true, true},
		`{"server_names": ["a.example.com"]}`:                          {[]string{"a.example.com"}, false, true, false},
		`{"target": "self"}`:                                           {[]string{"www.example.com"}, false, true, true},
		`{"target": "www.example.com:443", "fingerprint": "chrome"}`:   {[]string{"www.example.com"}, true, false, true},
		`{"target": "nowhere"}`:                                        {},
	} {
		if c.names == nil {
			if _, _, err := protocol.Revise(vless.Protocol{}, old, json.RawMessage(changes)); vpn.KindOf(err) != vpn.Invalid {
				t.Errorf("%s: %v", changes, err)
			}
			continue
		}
		revised, set, settle := revise(t, old, changes)
		if !slices.Equal(set.ServerNames, c.names) || (set.RecordLengths != nil) != c.measured || settle != c.settle {
			t.Errorf("%s: names %v, measured %v, to be settled %v", changes, set.ServerNames, set.RecordLengths, settle)
		}
		if got := protocol.Admits(vless.Protocol{}, revised, old); got != c.admits {
			t.Errorf("%s: admits old clients: %v", changes, got)
		}
		if set.PublicKey != was.PublicKey {
			t.Errorf("%s: the keys are other ones", changes)
		}
	}
	for _, changes := range []string{`[]`, `{"a"`, `{"targett": "self"}`, `{"target": "self", "target": "self"}`, `{"short_ids": ["x"]}`} {
		if _, _, err := protocol.Revise(vless.Protocol{}, old, json.RawMessage(changes)); vpn.KindOf(err) != vpn.Invalid {
			t.Errorf("%s: %v", changes, err)
		}
	}
}

// The certificate that strangers see holds the server names.
func TestReviseMakesTheCertificateAnew(t *testing.T) {
	old, _, keys := prepare(t, `{"target": "self", "server_names": ["a.example.com"]}`)
	same, _, _ := revise(t, old, `{"fingerprint": "firefox"}`)
	if got, err := vless.ParseKeys(same.Private); err != nil || got != keys {
		t.Errorf("another fingerprint made other keys: %v", err)
	}
	renamed, _, _ := revise(t, old, `{"server_names": ["b.example.com"]}`)
	got, err := vless.ParseKeys(renamed.Private)
	if err != nil || got.SelfCert == keys.SelfCert || got.PrivateKey != keys.PrivateKey {
		t.Errorf("another name: the certificate stays, or the key does not; %v", err)
	}
}

// What a shell offers for a setting is taken.
func TestChoicesAreValid(t *testing.T) {
	for _, f := range (vless.Protocol{}).Fields() {
		for _, choice := range f.Choices {
			raw, err := json.Marshal(map[string]string{f.Key: choice})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := vless.ParseSettings(raw); err != nil {
				t.Errorf("%s: %v", raw, err)
			}
		}
	}
}
