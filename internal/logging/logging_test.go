package logging_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"vpn/internal/logging"
	"vpn/internal/vpn"
)

const (
	id     = "3f8a1c52-9d0e-4b7a-8c66-0e5d1f2a7b90"
	link   = "vless://" + id + "@vpn.example.com:443?type=tcp&pbk=hSDwCYkwp1R0i33ctD73Wg2&sid=ab#main-alice"
	key    = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo"
	pem    = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0w\nplantedplantedplanted+/=\n-----END PRIVATE KEY-----\n"
	cutPEM = "-----BEGIN EC PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0w\nplantedplantedplanted"
)

// planted are texts with a secret, and the parts of them that must not show.
var planted = []struct {
	text   string
	hidden []string
}{
	{link, []string{id, "hSDwCY"}},
	{strings.ToUpper(link), []string{strings.ToUpper(id)}},
	{"open " + link + ", please", []string{id}},
	{"vless://" + id, []string{id}},
	{"vmess://eyJ2IjoiMiIsImlkIjoicGxhbnRlZCJ9", []string{"eyJ2"}},
	{"ss://cGxhbnRlZDpwbGFudGVk@vpn.example.com:8388#x", []string{"cGxhbnRl"}},
	{"socks5://alice:planted@127.0.0.1:1080", []string{"alice", "planted"}},
	{"https://planted@example.com/path", []string{"planted"}},
	{"user " + id + " came in", []string{id}},
	{"Authorization: Bearer planted-token.abc_123==", []string{"planted"}},
	{"bearer  plantedtoken", []string{"planted"}},
	{"Authorization: Basic cGxhbnRlZDpwbGFudGVk", []string{"cGxhbnRl"}},
	{fmt.Sprint(http.Header{"Authorization": {"Basic cGxhbnRlZDpwbGFudGVk"}}), []string{"cGxhbnRl"}},
	{`{"private_key":"` + key + `"}`, []string{key}},
	{fmt.Sprintf("%q", `{"private_key": "`+key+`"}`), []string{key}},
	{"PrivateKey = " + key + "=", []string{key}},
	{"server_private_key: " + key, []string{key}},
	{pem, []string{"MIGH", "planted"}},
	{strings.ReplaceAll(pem, "\n", "\r\n"), []string{"MIGH", "planted"}},
	{cutPEM, []string{"MIGH", "planted"}},
	{fmt.Sprintf("%q", `{"self_key":"`+pem+`"}`), []string{"MIGH", "planted"}},
}

type holder struct{ inner any }

func (h holder) String() string { return fmt.Sprint(h.inner) }

func logger(t *testing.T, w io.Writer, format string) *slog.Logger {
	t.Helper()
	log, err := logging.New(w, logging.Options{Format: format})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// Wherever a secret is put, it does not come out.
func TestSecretsAreMasked(t *testing.T) {
	for _, p := range planted {
		for place, put := range map[string]func(*slog.Logger){
			"message":     func(l *slog.Logger) { l.Info("before " + p.text + " after") }, //nolint:sloglint // what must not be done is tried
			"attribute":   func(l *slog.Logger) { l.Info("m", "k", p.text) },
			"error":       func(l *slog.Logger) { l.Info("m", slog.Any("err", fmt.Errorf("wrapped: %w", errors.New(p.text)))) },
			"our error":   func(l *slog.Logger) { l.Info("m", slog.Any("err", vpn.Errorf(vpn.Invalid, "bad %s", p.text))) },
			"stringer":    func(l *slog.Logger) { l.Info("m", "k", holder{p.text}) },
			"struct":      func(l *slog.Logger) { l.Info("m", "k", struct{ A string }{p.text}) },
			"slice":       func(l *slog.Logger) { l.Info("m", "k", []string{p.text}) },
			"map":         func(l *slog.Logger) { l.Info("m", "k", map[string]any{"a": p.text}) },
			"group":       func(l *slog.Logger) { l.Info("m", slog.Group("g", "k", p.text)) },
			"with":        func(l *slog.Logger) { l.With("k", p.text).WithGroup("g").With("k", p.text).Info("m", "k", p.text) },
			"key":         func(l *slog.Logger) { l.Info("m", p.text, 1) },
			"group's key": func(l *slog.Logger) { l.WithGroup(p.text).Info("m", "k", 1) },
		} {
			for _, format := range []string{"text", "json"} {
				var out bytes.Buffer
				put(logger(t, &out, format))
				for _, secret := range p.hidden {
					if strings.Contains(out.String(), secret) {
						t.Errorf("%q in %s: %s", p.text, place, out.String())
					}
				}
				if strings.Count(out.String(), "\n") != 1 || !strings.HasSuffix(out.String(), "\n") {
					t.Errorf("%q in %s: not one line: %s", p.text, place, out.String())
				}
				if format == "json" && !json.Valid(out.Bytes()) {
					t.Errorf("%q in %s: no JSON: %s", p.text, place, out.String())
				}
			}
		}
	}
}

func TestSecretTypeHidesItself(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		s := vpn.NewSecret("planted")
		logger(t, &out, format).Info("m", "a", s, "b", struct{ S vpn.Secret }{s}, "c", &s)
		if strings.Contains(out.String(), "planted") {
			t.Error(out.String())
		}
	}
}

// What is no secret stays readable.
func TestTheRestIsKept(t *testing.T) {
	for _, text := range []string{
		"basic understanding of bearers",
		"https://example.com/path?mail=alice@example.com",
		"dial tcp 203.0.113.7:443: connection refused",
		"alice@example.com",
		"public_key=hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo",
		"private key: missing",
		"abcdefghijklmnop 20261124-030000-abcd",
		"-----BEGIN CERTIFICATE-----MIIB-----END CERTIFICATE-----",
		"unix:///run/vpn/api.sock",
	} {
		var out bytes.Buffer
		if _, err := logging.Mask(&out).Write([]byte(text)); err != nil || out.String() != text {
			t.Errorf("%q became %q, %v", text, out.String(), err)
		}
	}
	var out bytes.Buffer
	_, _ = logging.Mask(&out).Write([]byte("dial socks5://a:b@h:1 failed, " + link + " too, PrivateKey=" + key + " end\n"))
	if got, want := out.String(), "dial socks5://[secret]@h:1 failed, vless://[secret] too, PrivateKey=[secret] end\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLevelsAndFormats(t *testing.T) {
	var out bytes.Buffer
	level := new(slog.LevelVar)
	log, err := logging.New(&out, logging.Options{Level: level, Format: "json"})
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("not yet")
	level.Set(slog.LevelDebug)
	log.Debug("now")
	var line struct {
		Time       time.Time
		Level, Msg string
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%s: %v", out.String(), err)
	}
	if line.Level != "DEBUG" || line.Msg != "now" {
		t.Errorf("got %s", out.String())
	}

	out.Reset()
	east := slog.NewRecord(time.Date(2026, 11, 24, 3, 0, 0, 0, time.FixedZone("", 2*3600)), slog.LevelInfo, "m", 0)
	if err := log.Handler().Handle(t.Context(), east); err != nil || !strings.Contains(out.String(), "2026-11-24T01:00:00Z") {
		t.Errorf("got %s, %v", out.String(), err)
	}

	out.Reset()
	log = logger(t, &out, "")
	log.Debug("not this")
	log.Info("a\nlevel=ERROR msg=forged", "k", "v\nw")
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, "time=") || !strings.Contains(got, "level=INFO") {
		t.Errorf("got %s", got)
	}

	if _, err := logging.New(&out, logging.Options{Format: "jsn"}); vpn.KindOf(err) != vpn.Invalid {
		t.Errorf("an unknown format gives %v", err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestMaskReportsErrors(t *testing.T) {
	if n, err := logging.Mask(broken{}).Write([]byte("x")); n != 0 || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %d, %v", n, err)
	}
	text := []byte(link)
	if n, err := logging.Mask(io.Discard).Write(text); n != len(text) || err != nil || string(text) != link {
		t.Errorf("got %d, %v; the text is now %s", n, err, text)
	}
}

// However a secret is surrounded, JSON stays JSON and the secret hidden.
func FuzzMask(f *testing.F) {
	f.Add("before ", " after")
	f.Add(`{"private_key":"`, `"}`)
	f.Add("-----BEGIN PRIVATE KEY-----\n", "\n-----END")
	f.Add(`\"`, `\\`)
	f.Fuzz(func(t *testing.T, before, after string) {
		var out bytes.Buffer
		log := logger(t, &out, "json")
		log.Info(before+" "+link+" "+after, before, after) //nolint:sloglint // what must not be done is tried
		if strings.Contains(out.String(), id) {
			t.Errorf("it shows: %s", out.String())
		}
		if !json.Valid(out.Bytes()) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("no line of JSON: %s", out.String())
		}
	})
}

func BenchmarkLine(b *testing.B) {
	log, err := logging.New(io.Discard, logging.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		log.Info("session ended", "user", "abcdefghijklmnop", "server", "main", "source", "203.0.113.7:51234", "up", 123456, "down", 99999999)
	}
}
