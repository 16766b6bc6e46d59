package protocol_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

type settings struct {
	Target string           `json:"target" help:"where to"`
	Names  []string         `json:"server_names" help:"names"`
	Quick  bool             `json:"quick,omitempty" help:"quickly"`
	Shape  string           `json:"shape" help:"one of these" choices:"round,square"`
	Site   string           `json:"site" help:"a site" choices:"auto" others:"yes"`
	Made   map[string][]int `json:"made,omitempty"`
}

func TestFieldsOf(t *testing.T) {
	want := []protocol.Field{
		{Key: "target", Help: "where to"},
		{Key: "server_names", Help: "names", List: true},
		{Key: "quick", Help: "quickly", Bool: true},
		{Key: "shape", Help: "one of these", Choices: []string{"round", "square"}},
		{Key: "site", Help: "a site", Choices: []string{"auto"}, Others: true},
	}
	got := protocol.FieldsOf(settings{})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var flags []string
	for _, f := range got {
		flags = append(flags, f.Flag())
	}
	if diff := cmp.Diff([]string{"target", "server-name", "quick", "shape", "site"}, flags); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeSettings(t *testing.T) {
	for raw, want := range map[string]settings{
		``:     {},
		`null`: {},
		`{}`:   {},
		` {"target": "a", "server_names": ["b", "c"], "quick": true, "made": {"x": [1]}} `: {
			Target: "a", Names: []string{"b", "c"}, Quick: true, Made: map[string][]int{"x": {1}},
		},
	} {
		var got settings
		if err := protocol.DecodeSettings(json.RawMessage(raw), &got); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", raw, diff)
		}
	}
}

func TestDecodeSettingsRefuses(t *testing.T) {
	for raw, hint := range map[string]string{
		`{"targt": "a"}`:                  "did you mean target?",
		`{"Target": "a"}`:                 "did you mean target?",
		`{"server-names": []}`:            "did you mean server_names?",
		`{"other": 1}`:                    "there is: target, server_names, quick, shape, site, made",
		`{"target": 5}`:                   "target is text",
		`{"server_names": "planted"}`:     "server_names is a list of text",
		`{"server_names": [5]}`:           "server_names is a list of text",
		`{"quick": "planted"}`:            "quick is true or false",
		`{"made": ["planted"]}`:           "made is an object",
		`{"target": "a", "target": "b"}`:  `write them like {"key": "value"}`,
		`{"target": "a"} {"target": "b"}`: `write them like {"key": "value"}`,
		`["planted"]`:                     `write them like {"key": "value"}`,
		`"planted"`:                       `write them like {"key": "value"}`,
		`{"target": planted}`:             `write them like {"key": "value"}`,
		`{"target": "a"`:                  `write them like {"key": "value"}`,
		`{"target"`:                       `write them like {"key": "value"}`,
		`{target: "a"}`:                   `write them like {"key": "value"}`,
	} {
		err := protocol.DecodeSettings(json.RawMessage(raw), new(settings))
		e, ok := errors.AsType[*vpn.Error](err)
		if !ok || e.Kind != vpn.Invalid || e.Hint != hint {
			t.Errorf("%s: %v, hint %q; want one of kind invalid with hint %q", raw, err, e.Hint, hint)
			continue
		}
		if strings.Contains(e.Message+e.Hint, "planted") {
			t.Errorf("%s: the error shows the value: %v", raw, e)
		}
	}
}

type named string

func (n named) Name() vpn.Protocol                     { return vpn.Protocol(n) }
func (named) Networks() []string                       { return []string{"tcp"} }
func (named) Fields() []protocol.Field                 { return nil }
func (named) Ports() []uint16                          { return []uint16{1} }
func (named) Prepare(s vpn.Server) (vpn.Server, error) { return s, nil }
func (named) Mint(vpn.Server) (vpn.Secret, error)      { return vpn.Secret{}, nil }
func (named) Access(vpn.Server, vpn.User, vpn.Credential, string) (vpn.Access, error) {
	return vpn.Access{}, nil
}

func TestSet(t *testing.T) {
	set := protocol.NewSet(named("one"), named("two"))
	if p, err := set.Get("two"); err != nil || p.Name() != "two" {
		t.Errorf("got %v, %v", p, err)
	}
	_, err := set.Get("three")
	if e, ok := errors.AsType[*vpn.Error](err); !ok || e.Kind != vpn.Invalid || e.Hint != "there is: one, two" {
		t.Errorf("an unknown protocol gives %#v", err)
	}
	if all := set.All(); len(all) != 2 || all[0].Name() != "one" {
		t.Errorf("the order is lost: %v", all)
	}
	defer func() {
		if recover() == nil {
			t.Error("two protocols of one name are taken")
		}
	}()
	protocol.NewSet(named("one"), named("one"))
}
