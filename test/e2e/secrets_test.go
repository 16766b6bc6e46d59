//go:build linux && e2e

package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// Secrets of every kind are planted: what servers of each protocol know, and
// what their users do. Every command, every kind of error, a crash of a worker
// and of the control plane later, none of them is anywhere but in the store
// and in the answers to those who asked for a way in.
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	i, engine := dock(t)
	dir := t.TempDir() // where a core would fall
	config := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(config, []byte("log_level: debug\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rig.Setenv(i, "VPN_CONFIG="+config)
	i.CreateServer("main", port)
	i.Must("server", "create", "self", "--port", "9443", "--target", "self", "--public-host", rig.ServerAddr)
	daemon := rig.LaunchBy(i, dumps(dir), "serve")
	i.Ready()
	for name, flags := range map[string]string{
		"ss": "shadowsocks", "ss22": "shadowsocks --method 2022-blake3-aes-256-gcm", "wg": "wireguard --carrier userspace",
		"web": "http --tls", "socks": "socks5", "boxed": "shadowsocks --runtime docker",
	} {
		i.CreateServer(name, serverPorts[name], append([]string{"--protocol"}, strings.Fields(flags)...)...)
	}
	for k := range 6 {
		i.Must("users", "create", fmt.Sprint("u", k), "-q")
	}
	for k := range forms {
		i.Must("users", "create", fmt.Sprint("d", k), "-q")
		i.Must("server", "create", fmt.Sprint("d", k), "--protocol", "socks5", "--port", fmt.Sprint(20200+k), "--public-host", rig.ServerAddr)
	}
	i.Must("users", "device", "add", "u0", "phone")
	i.Ready()

	seen := newWatch(t, i)
	client, load := strangersAndFriends(t, i)
	secrets := everyCommand(t, i, seen, commandsOf(t, i))
	everyError(t, i, seen, plant(t, i.File("vpn.db"))[0].text)
	load.Stop(t)
	seen.processes(t)
	box := shown(i, "boxed").Worker.Container
	seen.note("docker inspect", engine.Must(t, "inspect", box))
	seen.note("docker logs", engine.Must(t, "logs", box))
	seen.note("docker history", engine.Must(t, "history", "--no-trunc", strings.TrimSpace(engine.Must(t, "inspect", "-f", "{{.Image}}", box))))

	workers := i.Workers()
	for _, pid := range append(workers, daemon.PID()) {
		wantNoCore(t, pid)
	}
	for _, pid := range workers {
		rig.Signal(t, pid, syscall.SIGQUIT)
		rig.Until(t, 10*time.Second, func() error {
			if rig.Alive(pid) {
				return fmt.Errorf("worker %d lives", pid)
			}
			return nil
		})
	}
	rig.Until(t, 10*time.Second, func() error { return works(t, client, 1) })
	own := append(plant(t, i.File("vpn.db")), keyOfClients(t, i)) // those that commands have made, too
	for _, kind := range kinds {
		if !slices.ContainsFunc(own, func(s secret) bool { return s.name == kind }) {
			t.Errorf("%s is not planted", kind)
		}
	}
	foundInTheStore(t, i, own)
	daemon.Signal(syscall.SIGABRT)
	daemon.Wait(t, 10*time.Second)
	if !strings.Contains(daemon.Output(), "SIGABRT") {
		t.Errorf("no trace of the crash:\n%s", daemon.Output())
	}
	if cores := listDir(t, dir); len(cores) > 0 {
		t.Errorf("the crash left %v", cores)
	}
	seen.note("the daemon's log", daemon.Output())
	for _, f := range dataFiles(t, i) {
		if name := filepath.Base(f); !strings.HasPrefix(name, "vpn.db") || name == "vpn.db-seal" {
			seen.file(t, f)
		}
	}
	seen.search(t, append(own, secrets...))
}

// A control plane that crashes leaves no core, whatever the limit, where every
// other program does. (One that has started a worker under another uid may be
// kept from it by the kernel: this one has not.)
func TestNoCore(t *testing.T) {
	t.Parallel()
	i := rig.NewWorld(t).Instance(t)
	dir := t.TempDir()
	daemon := rig.LaunchBy(i, dumps(dir), "serve")
	i.Ready()
	wantNoCore(t, daemon.PID())
	daemon.Signal(syscall.SIGABRT)
	daemon.Wait(t, 10*time.Second)
	if cores := listDir(t, dir); len(cores) > 0 {
		t.Errorf("the crash left %v", cores)
	}
	other := i.World.Server.Spawn(t, nil, "/bin/sh", "-c", dumps(dir)+"; kill -ABRT $$")
	other.Wait(t, 10*time.Second)
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		t.Fatal(err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &limit); err != nil {
		t.Fatal(err)
	}
	switch here := !strings.ContainsAny(string(pattern), "/|"); {
	case !here || limit.Max == 0:
		t.Logf("cores of this machine fall elsewhere, or nowhere: %s", pattern)
	case len(listDir(t, dir)) == 0:
		t.Error("no program leaves a core here: this test could not fail")
	}
}

// dumps is what a shell does so that what it becomes leaves a core in dir, if it
// may, when it crashes.
func dumps(dir string) string {
	return "ulimit -c unlimited; cd " + dir + "; export GOTRACEBACK=crash"
}

// wantNoCore fails the test unless the kernel writes no core of the process, by
// two rules: its limit, and that it may not be dumped, by which what /proc has
// of it belongs to root. (With a uid of root's own that says nothing: TestHidden
// of the process runtime looks there.)
func wantNoCore(t *testing.T, pid int) {
	t.Helper()
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^Max core file size +0 +0 `).Match(limits) {
		t.Errorf("process %d may leave a core:\n%s", pid, limits)
	}
	if st, err := os.Stat(fmt.Sprintf("/proc/%d/environ", pid)); err != nil || st.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("process %d may be dumped (%v)", pid, err)
	}
}

// A secret is one thing that nobody should see.
type secret struct {
	name, text string
	spellings  map[string][]byte
}

func newSecret(name, text string, raw []byte) secret {
	s := secret{name: name, text: text, spellings: map[string][]byte{
		"as it is": []byte(text), "in capitals": []byte(strings.ToUpper(text)), "escaped": []byte(url.QueryEscape(text)),
		"raw": raw, "as a list of numbers": []byte(strings.Trim(fmt.Sprint(raw), "[]")),
		"hex": []byte(hex.EncodeToString(raw)), "HEX": []byte(strings.ToUpper(hex.EncodeToString(raw))),
	}}
	for kind, e := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
		for before := range 3 { // what stands before it, as a user's name does, shifts it
			s.spellings[fmt.Sprint(kind, before)] = shifted(e, before, raw)
			s.spellings[fmt.Sprint(kind, before, " of its text")] = shifted(e, before, []byte(text))
		}
	}
	return s
}

// shifted returns what can be told of b in the base64 of a longer text in which
// so many bytes, of three, stand before it.
func shifted(e *base64.Encoding, before int, b []byte) []byte {
	out := e.EncodeToString(append(make([]byte, before), b...))
	whole := (before + len(b)) / 3 * 4
	return []byte(out[[]int{0, 2, 3}[before]:whole])
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

// kinds are the sorts of secrets that there have to be, so that nothing is
// shown by their absence.
var kinds = []string{
	"main's private_key", "self's private_key", "self's self_key", "ss's seed", "ss22's seed", "ss22's key", "wg's private_key", "web's tls_key", "boxed's seed",
	"u0's id at main", "u0's secret at ss", "u0's secret at ss22", "u0's private_key at wg", "u0's preshared_key at wg", "u0's secret at web", "u0's secret at socks",
	"u0's secret at boxed", "u0's id at main for phone",
}

// plant returns all secrets that are in a store, by what they are.
func plant(t *testing.T, store string) (out []secret) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+store+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT name, '', '', private FROM servers WHERE length(private) > 0
		UNION ALL SELECT s.name, u.name, c.label, c.secret FROM credentials c JOIN users u ON u.id = c.user_id JOIN servers s ON s.id = c.server_id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var server, user, label string
		var text []byte
		if err := rows.Scan(&server, &user, &label, &text); err != nil {
			t.Fatal(err)
		}
		for kind, text := range parts(text) {
			name := server + "'s " + kind
			if user != "" {
				name = user + "'s " + kind + " at " + server
			}
			if label != "" {
				name += " for " + label
			}
			out = append(out, newSecret(name, text, rawOf(t, text)))
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// keyOfClients returns the key of a server that all its users know, which is not
// in the store.
func keyOfClients(t *testing.T, i *rig.Instance) secret {
	t.Helper()
	var access []vpn.Access
	i.JSON(&access, "users", "link", "u0", "--server", "ss22")
	key, _, _ := strings.Cut(rig.LinkOf(t, access[0]).Password, ":")
	return newSecret("ss22's key", key, rawOf(t, key))
}

// parts takes apart what one column holds: a text, or several by name, of
// which certificates are no secrets.
func parts(column []byte) map[string]string {
	var many map[string]string
	switch {
	case json.Unmarshal(column, &many) == nil:
		maps.DeleteFunc(many, func(name, text string) bool { return text == "" || name == "self_cert" })
		return many
	case len(column) == 36 && bytes.Count(column, []byte("-")) == 4:
		return map[string]string{"id": string(column)}
	}
	return map[string]string{"secret": string(column)}
}

// rawOf returns the bytes that a secret's text stands for. Of a PEM block, that
// is what is in it.
func rawOf(t *testing.T, text string) []byte {
	t.Helper()
	if block, _ := pem.Decode([]byte(text)); block != nil {
		return block.Bytes
	}
	if raw, err := hex.DecodeString(strings.ReplaceAll(text, "-", "")); err == nil {
		return raw
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
		if raw, err := e.DecodeString(text); err == nil {
			return raw
		}
	}
	return []byte(text)
}

// foundInTheStore fails the test if a search for them would find nothing even
// there.
func foundInTheStore(t *testing.T, i *rig.Instance, secrets []secret) {
	t.Helper()
	var store []byte
	for _, name := range []string{"vpn.db", "vpn.db-wal"} {
		text, _ := os.ReadFile(i.File(name))
		store = append(store, text...)
	}
	for _, s := range secrets {
		if s.name != "ss22's key" && !bytes.Contains(store, bytes.ReplaceAll([]byte(s.text), []byte("\n"), []byte(`\n`))) {
			t.Errorf("%s is not even in the store", s.name)
		}
	}
}

// A watch is what somebody who looks everywhere has seen.
type watch struct {
	i    *rig.Instance
	mu   sync.Mutex
	seen map[string]string // by place
	may  map[string]string // what may tell users' secrets, and why
	own  map[string]bool   // places where the test itself has put one
}

// newWatch returns one that looks at all processes of the server host, again
// and again until the test ends.
func newWatch(t *testing.T, i *rig.Instance) *watch {
	t.Helper()
	w := &watch{i: i, seen: map[string]string{}, may: map[string]string{}, own: map[string]bool{}}
	ctx, stop := context.WithCancel(t.Context())
	var looking sync.WaitGroup
	looking.Go(func() {
		for ctx.Err() == nil {
			w.processes(t)
			pause(ctx, 50*time.Millisecond)
		}
	})
	t.Cleanup(func() { stop(); looking.Wait() })
	return w
}

func (w *watch) note(place, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[place] += text
}

// typed excepts a command into whose arguments somebody puts a secret.
func (w *watch) typed(program string, args []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.own["/proc: "+strings.Join(append([]string{program}, args...), "\x00")+"\x00"] = true
}

func (w *watch) file(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w.note(path, string(text))
}

// processes looks at the arguments and environments of all that runs on the
// server host.
func (w *watch) processes(t *testing.T) {
	t.Helper()
	host, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", w.i.Daemon().PID()))
	if err != nil {
		return // it has ended
	}
	nets, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		t.Error(err)
	}
	for _, net := range nets {
		if of, err := os.Readlink(net); err != nil || of != host {
			continue
		}
		for _, name := range []string{"cmdline", "environ"} {
			text, err := os.ReadFile(filepath.Join(net, "../..", name))
			if err != nil || len(text) == 0 {
				continue // it has ended
			}
			w.mu.Lock()
			w.seen["/proc: "+string(text)] = string(text)
			w.mu.Unlock()
		}
	}
}

// search looks for the secrets in all that was seen.
func (w *watch) search(t *testing.T, secrets []secret) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for place, text := range w.seen {
		for _, s := range secrets {
			if w.own[place] || w.may[place] != "" && !s.ofServer() {
				continue
			}
			if kind := s.in([]byte(text)); kind != "" {
				t.Errorf("%q holds %s (%s)", place, s.name, kind)
			}
		}
	}
	t.Logf("%d secrets, %d places", len(secrets), len(w.seen))
}

// ofServer reports that no client may know the secret.
func (s secret) ofServer() bool {
	return !strings.Contains(s.name, " at ") && s.name != "ss22's key"
}

// strangersAndFriends lets some in and some not, so that workers have something
// to say of both.
func strangersAndFriends(t *testing.T, i *rig.Instance) (*rig.Client, *rig.Load) {
	t.Helper()
	var logins, strangers []rig.Login
	for _, server := range []string{"main", "ss", "ss22", "socks", "web", "boxed"} {
		var access []vpn.Access
		i.JSON(&access, "users", "link", "u0", "--server", server, "--device", "")
		l := rig.LinkOf(t, access[0])
		logins = append(logins, rig.Login{Link: l})
		switch {
		case l.UUID != "":
			l.UUID = "11111111-1111-4111-8111-111111111111"
		case server == "ss22":
			key, _, _ := strings.Cut(l.Password, ":")
			l.Password = key + ":" + base64.StdEncoding.EncodeToString(make([]byte, 32))
		default:
			l.Password = strings.Repeat("x", len(l.Password))
		}
		strangers = append(strangers, rig.Login{Link: l})
	}
	client := i.World.SingBox(t, logins...)
	load := client.Load(t, 0, len(logins))
	others := i.World.SingBox(t, strangers...)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // some are told nothing
	defer cancel()
	var trying sync.WaitGroup
	for k := range strangers {
		trying.Go(func() {
			if conn, err := others.Open(ctx, k, false); err == nil {
				conn.Close()
				t.Errorf("stranger %d is let in", k)
			}
		})
	}
	var access []vpn.Access
	i.JSON(&access, "users", "link", "u0", "--server", "wg", "--device", "")
	l := rig.LinkOf(t, access[0])
	rig.WireGuard(i.World, t, rig.Login{Link: l}).MustOpen(t, 0, false)
	l.File = regexp.MustCompile(`PrivateKey = .*`).ReplaceAllString(l.File, "PrivateKey = "+base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0x77}, 32)))
	if err := rig.WireGuard(i.World, t, rig.Login{Link: l}).Refused(t.Context(), 0); err != nil {
		t.Error(err)
	}
	trying.Wait()
	workersSpeak(t, i)
	return client, load
}

// workersSpeak fails the test unless the worker of every protocol has said
// something of the stranger that it has met: what is not said tells no secret.
func workersSpeak(t *testing.T, i *rig.Instance) {
	t.Helper()
	rig.Until(t, 10*time.Second, func() error {
		for name, says := range map[string]string{
			"main": "invalid request user id", "ss": "stranger", "ss22": "stranger", "socks": "stranger", "web": "stranger",
			"boxed": "stranger", "wg": "invalid initiation message",
		} {
			text := i.Must("server", "logs", name, "--tail", "1000")
			found := false
			for line := range strings.Lines(text) {
				found = found || strings.Contains(line, "level=DEBUG") && strings.Contains(line, says)
			}
			if !found {
				return fmt.Errorf("%s does not say %q:\n%s", name, says, text)
			}
		}
		return nil
	})
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
