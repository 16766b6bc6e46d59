package vpn_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"vpn/internal/vpn"
)

const planted = "correct-horse-battery"

// leaks reports whether text gives planted away, in clear or encoded.
func leaks(text string) bool {
	text = strings.ToLower(text)
	numbers := strings.Trim(fmt.Sprint([]byte(planted)), "[]") // as %d and %v print bytes
	for _, form := range []string{
		planted,
		hex.EncodeToString([]byte(planted)),
		fmt.Sprintf("% x", planted),
		numbers,
		strings.ReplaceAll(numbers, " ", ", "),
		strings.ToLower(base64.RawStdEncoding.EncodeToString([]byte(planted))),
	} {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

func TestSecretIsHidden(t *testing.T) {
	s := vpn.NewSecret(planted)
	holders := map[string]any{
		"itself":     s,
		"pointer":    &s,
		"exported":   struct{ Key vpn.Secret }{s},
		"unexported": struct{ key vpn.Secret }{s},
		"deep":       &struct{ inner struct{ key *vpn.Secret } }{struct{ key *vpn.Secret }{&s}},
		"embedded":   struct{ vpn.Secret }{s},
		"slice":      []vpn.Secret{s},
		"array":      [1]vpn.Secret{s},
		"map value":  map[string]vpn.Secret{"a": s},
		"map key":    map[vpn.Secret]int{s: 1},
		"interface":  []any{s},
		"error":      vpn.Errorf(vpn.Invalid, "key %v, %s, %q, %x", s, s, s, s),
		"joined":     errors.Join(fmt.Errorf("key %+v: %w", s, vpn.Errorf(vpn.Denied, "%#v", s))),
		"server":     vpn.Server{Name: "main", Private: s},
		"credential": vpn.Credential{Secret: s},
		"spec":       vpn.Spec{Server: vpn.ServerSpec{Private: s}, Grants: []vpn.Grant{{Secret: s}}},
	}
	for name, holder := range holders {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%c", "%U", "%t", "%e", "%10.3s", "%-40v", "%T", "%p", "%!", "%z"} {
			if got := fmt.Sprintf(verb, holder); leaks(got) {
				t.Errorf("%s printed by %s: %s", name, verb, got)
			}
		}
		if b, err := json.Marshal(holder); err == nil && leaks(string(b)) {
			t.Errorf("%s as JSON: %s", name, b)
		}
		var log bytes.Buffer
		for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
			slog.New(h).With("with", holder).Info("here", "key", holder, slog.Group("in", "key", holder))
		}
		if leaks(log.String()) {
			t.Errorf("%s in the log: %s", name, log.String())
		}
	}
}

func TestSecretSaysWhatItIs(t *testing.T) {
	s := vpn.NewSecret(planted)
	for _, got := range []string{s.String(), fmt.Sprintf("%x", s), fmt.Sprintf("%#v", s)} {
		if got != "[secret]" {
			t.Errorf("got %q", got)
		}
	}
	b, err := json.Marshal(map[string]vpn.Secret{"key": s})
	if err != nil || string(b) != `{"key":"[secret]"}` {
		t.Errorf("JSON is %s, %v", b, err)
	}
	// What was printed must not come back as a secret that says "[secret]".
	if err := json.Unmarshal([]byte(`"[secret]"`), &s); err == nil || s.Reveal() != planted {
		t.Errorf("a secret was read back from its mask: %v", err)
	}
}

func TestSecretValue(t *testing.T) {
	s := vpn.NewSecret(planted)
	if s.Reveal() != planted || s.IsZero() {
		t.Error("the value is lost")
	}
	if !s.Equal(vpn.NewSecret(planted)) || s.Equal(vpn.NewSecret("other")) || s.Equal(vpn.Secret{}) {
		t.Error("Equal compares something else than the value")
	}
	var zero vpn.Secret
	if !zero.IsZero() || !vpn.NewSecret("").IsZero() || !zero.Equal(vpn.NewSecret("")) || zero.Reveal() != "" {
		t.Error("the zero secret is not empty")
	}
	if zero.String() != "[secret]" {
		t.Error("the zero secret tells that it is empty")
	}
}
