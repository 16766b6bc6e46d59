//go:build linux && e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// Why somebody is not let in is in the log of the server, once the log is to
// have it: from where they came, and what was wrong. Nobody who is in notices
// that this changes, no worker is started anew, and when it is over strangers
// leave no trace again.
func TestLogLevelReachesWorkers(t *testing.T) {
	t.Parallel()
	i := rig.NewWorld(t).Instance(t)
	config := filepath.Join(t.TempDir(), "config.yaml")
	configure := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configure("")
	rig.Setenv(i, "VPN_CONFIG="+config)
	i.CreateServer("main", port)
	i.CreateServer("ss", serverPorts["ss"], "--protocol", "shadowsocks")
	i.Serve()
	i.Must("users", "create", "alice", "-q")
	var logins, strangers []rig.Login
	for _, server := range []string{"main", "ss"} {
		var access []vpn.Access
		i.JSON(&access, "users", "link", "alice", "--server", server)
		l := rig.LinkOf(t, access[0])
		logins = append(logins, rig.Login{Link: l})
		l.UUID, l.Password = "11111111-1111-4111-8111-111111111111", strings.Repeat("x", len(l.Password))
		strangers = append(strangers, rig.Login{Link: l})
	}
	wrong := logins[0] // has the key of another server
	wrong.Link.PublicKey = "SMBi7Lvdt2YyUr0TuSmWH-DeWNTvCbqJBNwrNkBqWjQ"
	strangers = append(strangers, wrong)
	i.Must("users", "create", "bob", "-q")
	i.Must("users", "disable", "bob")
	var access []vpn.Access
	i.JSON(&access, "users", "link", "bob", "--server", "ss")
	strangers = append(strangers, rig.Login{Link: rig.LinkOf(t, access[0])})
	servers := []string{"main", "ss", "main", "ss"}
	workers := fmt.Sprint(i.Workers())
	client := i.World.SingBox(t, logins...)
	load := client.Load(t, 0, len(logins))
	others := i.World.SingBox(t, strangers...)
	knock := func() {
		t.Helper()
		refused := make(chan error, len(strangers))
		for k := range strangers {
			go func() { refused <- others.Refused(t.Context(), k) }()
		}
		for range strangers {
			if err := <-refused; err != nil {
				t.Error(err)
			}
		}
	}
	said := func(k int) string { return i.Must("server", "logs", servers[k], "--tail", "10000") }
	silent := func(when string, since ...string) {
		t.Helper()
		knock()
		for k := range 2 {
			text := said(k)
			if len(since) > 0 {
				text = strings.TrimPrefix(text, since[k])
			}
			if strings.Contains(text, rig.ClientAddr(0)) {
				t.Errorf("%s, %s says:\n%s", when, servers[k], text)
			}
		}
	}
	silent("at info")

	knocked := func(marks ...string) {
		t.Helper()
		before := []string{said(0), said(1), said(0), said(1)}
		knock()
		rig.Until(t, 5*time.Second, func() error {
			var errs []error
			for k, mark := range marks {
				found := false
				for line := range strings.Lines(strings.TrimPrefix(said(k), before[k])) {
					found = found || strings.Contains(line, rig.ClientAddr(0)+":") && strings.Contains(line, mark)
				}
				if !found {
					errs = append(errs, fmt.Errorf("%s does not say %q of a stranger:\n%s", servers[k], mark, strings.TrimPrefix(said(k), before[k])))
				}
			}
			return errors.Join(errs...)
		})
	}
	marks := []string{"invalid request user id", "msg=stranger", "authentication failed", "user=bob"}
	i.Must("config", "set", "log_level", "debug", "--daemon")
	i.Must("reload")
	knocked(marks...)
	if err := load.Err(); err != nil {
		t.Errorf("who was in: %v", err)
	}

	for k := range logins {
		if err := works(t, client, k); err != nil {
			t.Error(err)
		}
		if text := said(k); strings.Contains(text, rig.OutsideAddr+":") {
			t.Errorf("%s says where users go:\n%s", servers[k], text)
		}
	}

	i.Must("config", "set", "log_level", "info", "--daemon")
	i.Must("reload")
	silent("at info again", said(0), said(1))

	i.Daemon().Kill()
	configure("log_level: debug\nlog_format: json\n")
	i.Serve()
	knocked(marks[0], `"msg":"stranger"`, marks[2], `"user":"bob"`)
	load.Stop(t)
	if now := fmt.Sprint(i.Workers()); now != workers {
		t.Errorf("workers %s, they were %s", now, workers)
	}
}
