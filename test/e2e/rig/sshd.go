//go:build linux

package rig

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An SSHD is OpenSSH's server on the server host, where root may log in with
// a key, and finds the instance's vpn in PATH.
type SSHD struct {
	*Process
	dir string
}

// sshPassphrase opens the second key.
const sshPassphrase = "correct horse"

// StartSSHD starts it, and gives root of the client host a home of its own,
// with the keys "plain" and "locked", of which the first is used, and the
// server's.
func StartSSHD(t testing.TB, i *Instance) *SSHD {
	t.Helper()
	dir := t.TempDir()
	s := &SSHD{dir: dir}
	key := func(name, passphrase string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", file).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
		public, err := os.ReadFile(file + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		return string(public)
	}
	write := func(name string, lines ...string) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host := key("host", "")
	write("authorized", key("plain", ""), key("locked", sshPassphrase))
	write(".ssh/known_hosts", ServerAddr+" "+host)
	s.Use(t, "plain")
	var env strings.Builder
	for _, v := range append([]string{"PATH=" + filepath.Dir(i.Bin) + ":/usr/bin:/bin"}, i.env...) {
		env.WriteString(` "` + v + `"`)
	}
	write("sshd_config",
		"ListenAddress "+ServerAddr, "HostKey "+filepath.Join(dir, "host"), "AuthorizedKeysFile "+filepath.Join(dir, "authorized"),
		"PidFile none", "StrictModes no", "UsePAM no", "PasswordAuthentication no", "PermitRootLogin yes", "LogLevel VERBOSE", "SetEnv"+env.String())
	i.World.Client.Bind(t, dir, "/root")
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // where it shuts itself in before anybody has logged in
		t.Fatal(err)
	}
	s.Process = i.World.Server.Spawn(t, nil, "/usr/sbin/sshd", "-D", "-e", "-f", filepath.Join(dir, "sshd_config"))
	Until(t, 10*time.Second, func() error {
		c, err := i.World.Client.Dial(t.Context(), "tcp", net.JoinHostPort(ServerAddr, "22"))
		if err == nil {
			c.Close()
		}
		return err
	})
	return s
}

// Use makes the client log in with that key; "" stands for none. Its user has
// configured more, maybe.
func (s *SSHD) Use(t testing.TB, key string, more ...string) {
	t.Helper()
	config := "IdentitiesOnly yes\nIdentityFile none\n"
	if key != "" {
		config = "IdentitiesOnly yes\nIdentityFile " + filepath.Join(s.dir, key) + "\n"
	}
	for _, line := range more {
		config += line + "\n"
	}
	if err := os.WriteFile(filepath.Join(s.dir, ".ssh/config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Authorize makes the server say what the key "plain" is for, in the options of
// authorized_keys.
func (s *SSHD) Authorize(t testing.TB, options string) {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(s.dir, "plain.pub"))
	if err == nil {
		err = os.WriteFile(filepath.Join(s.dir, "authorized"), []byte(strings.TrimSpace(options+" "+string(key))+"\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Home gives root of the server host a home of its own, in which these lines
// are what its shell does at each login.
func (s *SSHD) Home(t testing.TB, i *Instance, bashrc ...string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".bashrc"), []byte(strings.Join(bashrc, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i.World.Server.Bind(t, dir, "/root")
}

// Distrust makes the client know another key of the server than it has.
func (s *SSHD) Distrust(t testing.TB) {
	t.Helper()
	other, err := os.ReadFile(filepath.Join(s.dir, "plain.pub"))
	if err == nil {
		err = os.WriteFile(filepath.Join(s.dir, ".ssh/known_hosts"), []byte(ServerAddr+" "+string(other)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Passphrase opens the key "locked".
func (*SSHD) Passphrase() string { return sshPassphrase }

// Logins returns how often somebody was let in.
func (s *SSHD) Logins() int { return strings.Count(s.Output(), "Accepted publickey for root") }
