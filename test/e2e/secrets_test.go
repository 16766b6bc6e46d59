//go:build linux && e2e

package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// Twelve secrets are planted: three servers' keys, one of them with
// a certificate's key too, and eight users' ids. Every command, every kind of
// error, a crash of a worker and of the control plane later, none of them is
// anywhere but in the store and in the answers to those who asked for a link.
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	i := rig.NewWorld(t).Instance(t)
	i.CreateServer("main", port)
	i.CreateServer("second", 8443)
	i.Must("server", "create", "self", "--port", "9443", "--target", "self", "--public-host", rig.ServerAddr)
	dir := t.TempDir() // where a core would fall
	daemon := rig.LaunchBy(i, "ulimit -c unlimited; cd "+dir+"; export GOTRACEBACK=crash", "serve", "--verbose")
	i.Ready()
	seen := &watch{}
	logins := i.CreateUsers("u", 2)
	secrets := plant(t, i)
	if len(secrets) != 12 {
		t.Fatalf("%d secrets are planted: %v", len(secrets), secrets)
	}

	client := i.World.Xray(t, logins...)
	load := client.Load(t, 0, 2)
	stranger := logins[0]
	stranger.Link.UUID = "11111111-1111-4111-8111-111111111111"
	if err := i.World.Xray(t, stranger).Refused(t.Context(), 0); err != nil {
		t.Error(err)
	}
	everyCommand(t, i, seen)
	everyError(t, i, seen, secrets[0].text)
	load.Stop(t)
	seen.processes(t, i, daemon.PID())

	for _, pid := range i.Workers() {
		rig.Signal(t, pid, syscall.SIGQUIT)
		rig.Until(t, 10*time.Second, func() error {
			if rig.Alive(pid) {
				return fmt.Errorf("worker %d lives", pid)
			}
			return nil
		})
	}
	rig.Until(t, 10*time.Second, func() error { return works(t, client, 1) })
	seen.processes(t, i, daemon.PID())
	daemon.Signal(syscall.SIGABRT)
	daemon.Wait(t, 10*time.Second)
	if !strings.Contains(daemon.Output(), "SIGABRT") {
		t.Errorf("no trace of the crash:\n%s", daemon.Output())
	}
	seen.note("the daemon's log", daemon.Output())
	if cores := listDir(t, dir); len(cores) > 0 {
		t.Errorf("the crash left %v", cores)
	}
	for _, f := range dataFiles(t, i) {
		if name := filepath.Base(f); !strings.HasPrefix(name, "vpn.db") || name == "vpn.db-seal" {
			seen.file(t, f)
		}
	}
	seen.search(t, secrets)

	// The search would find them.
	for _, s := range secrets {
		found := false
		for _, store := range []string{"vpn.db", "vpn.db-wal"} {
			text, _ := os.ReadFile(i.File(store))
			found = found || s.in(text) != ""
		}
		if !found {
			t.Errorf("%s is not even in the store", s.name)
		}
	}
}

// A control plane that crashes leaves no core, whatever the limit. (One that
// has started a worker under another uid could not: this one has not.)
func TestNoCore(t *testing.T) {
	t.Parallel()
	i := rig.NewWorld(t).Instance(t)
	dir := t.TempDir()
	daemon := rig.LaunchBy(i, "ulimit -c unlimited; cd "+dir+"; export GOTRACEBACK=crash", "serve")
	i.Ready()
	daemon.Signal(syscall.SIGABRT)
	daemon.Wait(t, 10*time.Second)
	if cores := listDir(t, dir); len(cores) > 0 {
		t.Errorf("the crash left %v", cores)
	}
}

// A secret is one thing that nobody should see.
type secret struct {
	name, text string
	spellings  map[string][]byte
}

func newSecret(name, text string, raw []byte) secret {
	s := secret{name: name, text: text, spellings: map[string][]byte{
		"as it is": []byte(text), "in capitals": []byte(strings.ToUpper(text)), "raw": raw,
		"as a list of numbers": []byte(strings.Trim(fmt.Sprint(raw), "[]")),
		"hex":                  []byte(hex.EncodeToString(raw)), "HEX": []byte(strings.ToUpper(hex.EncodeToString(raw))),
	}}
	for kind, e := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
		s.spellings[kind] = []byte(e.EncodeToString(raw))
		s.spellings[kind+" of its text"] = []byte(e.EncodeToString([]byte(text)))
	}
	return s
}

// in returns how the secret is spelled in text; empty if it is not there.
func (s secret) in(text []byte) string {
	for kind, spelling := range s.spellings {
		if bytes.Contains(text, spelling) {
			return kind
		}
	}
	return ""
}

var (
	privateKeys = regexp.MustCompile(`"private_key":"([A-Za-z0-9_-]{43})"`)
	selfKeys    = regexp.MustCompile(`"self_key":"-----BEGIN [A-Z ]+-----\\n([A-Za-z0-9+/]{64})`)
)

// plant makes users whose credentials are secrets, and finds the servers' keys
// in the store.
func plant(t *testing.T, i *rig.Instance) []secret {
	t.Helper()
	var out []secret
	for k := range 8 {
		name := fmt.Sprint("u", k)
		if k >= 2 {
			i.CreateUser(name)
		}
		var access []vpn.Access
		i.JSON(&access, "users", "link", name, "--server", "main")
		id := rig.ParseLink(t, access[0].Link).UUID
		raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, newSecret("the id of "+name, id, raw))
	}
	var store []byte
	for _, name := range []string{"vpn.db", "vpn.db-wal"} {
		text, err := os.ReadFile(i.File(name))
		if err != nil {
			t.Fatal(err)
		}
		store = append(store, text...)
	}
	add := func(kind string, re *regexp.Regexp, e *base64.Encoding) {
		for _, m := range re.FindAllSubmatch(store, -1) {
			text := string(m[1])
			raw, err := e.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(out, func(s secret) bool { return s.text == text }) {
				out = append(out, newSecret(kind, text, raw))
			}
		}
	}
	add("a server's private key", privateKeys, base64.RawURLEncoding)
	add("a certificate's private key", selfKeys, base64.StdEncoding)
	return out
}

// A watch is what somebody who looks everywhere has seen.
type watch struct{ places, texts []string }

func (w *watch) note(place, text string) {
	w.places, w.texts = append(w.places, place), append(w.texts, text)
}

func (w *watch) file(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w.note(path, string(text))
}

// processes looks at the arguments and environments of what runs.
func (w *watch) processes(t *testing.T, i *rig.Instance, daemon int) {
	t.Helper()
	for _, pid := range append(i.Workers(), daemon) {
		for _, name := range []string{"cmdline", "environ"} {
			w.file(t, fmt.Sprintf("/proc/%d/%s", pid, name))
		}
	}
}

func (w *watch) run(i *rig.Instance, args ...string) {
	r := i.Run(args...)
	w.note("vpn "+strings.Join(args, " "), r.Out+r.Err)
}

func (w *watch) search(t *testing.T, secrets []secret) {
	t.Helper()
	for k, text := range w.texts {
		for _, s := range secrets {
			if kind := s.in([]byte(text)); kind != "" {
				t.Errorf("%s holds %s (%s)", w.places[k], s.name, kind)
			}
		}
	}
	t.Logf("%d places", len(w.texts))
}

// everyCommand runs all that may not tell a secret, as text, as JSON and with
// every detail.
func everyCommand(t *testing.T, i *rig.Instance, seen *watch) {
	t.Helper()
	for _, line := range []string{
		"status", "version", "config", "help", "users list", "users show u0", "users update u0 --quota 5GB", "users disable u2",
		"users enable u2", "users kick u3", "users delete u7 --yes", "server list", "server show main", "server show self",
		"server status", "server logs main", "server logs self --tail 1000", "server stop second", "server start second", "server restart second --yes",
	} {
		args := strings.Fields(line)
		seen.run(i, args...)
		seen.run(i, append(args, "-o", "json")...)
		seen.run(i, append(args, "--verbose")...)
	}
}

// everyError makes what can go wrong do so, with a secret in places where
// people leave one.
func everyError(t *testing.T, i *rig.Instance, seen *watch, secret string) {
	t.Helper()
	for _, line := range []string{
		"users show nobody", "users create u0", "users create ../x", "server create main", "server create x --port 443",
		"server create y --target nowhere.example.test:1 --verbose", "users update u0 --quota x", "nonsense", "server logs nobody",
	} {
		seen.run(i, strings.Fields(line)...)
	}
	for _, body := range []any{
		map[string]any{"limits": map[string]any{"quota": secret}},
		map[string]any{"name": []string{secret}},
		map[string]any{"name": "x", "expires_at": secret},
		[]string{secret},
		secret, 7,
	} {
		err := i.API(t.Context(), "POST", "/v1/users", body, nil)
		if err == nil {
			t.Errorf("%v makes a user", body)
			continue
		}
		seen.note(fmt.Sprintf("the answer to %T", body), err.Error())
	}
	path := filepath.Join(t.TempDir(), "config.yaml")
	for _, text := range []string{"log_level: " + secret, "log_format: [" + secret + "]", "public_host: 'a b " + secret + "'", "{" + secret} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		seen.run(i, "serve", "--check", "--config", path)
	}
}

func dataFiles(t *testing.T, i *rig.Instance) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"*", "*/*"} {
		paths, err := filepath.Glob(i.File(pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range paths {
			if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
				out = append(out, p)
			}
		}
	}
	return out
}

func listDir(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}
