package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpn/internal/vpn"
)

// With --daemon the daemon's configuration is shown and changed, wherever it
// runs, and nothing of this machine's.
func TestDaemonConfig(t *testing.T) {
	for _, c := range []struct {
		args, out, err string
		asked          vpn.ConfigPatch
	}{
		{"config show --daemon", `
KEY          VALUE            AFTER A RELOAD
public_host  vpn.example.org
log_level    info             debug
`, "", vpn.ConfigPatch{}},
		{"config show --daemon --origin -o plain", "public_host\tvpn.example.org\tfile /etc/vpn/config.yaml:1\t\nlog_level\tinfo\tdefault\tdebug\n", "", vpn.ConfigPatch{}},
		{"config get public_host --daemon", "vpn.example.org\n", "", vpn.ConfigPatch{}},
		{
			"config set log_level debug --daemon", "",
			"set log_level in /etc/vpn/config.yaml\nwarning: VPN_LOG_LEVEL is set for the daemon, and rules over the file\nmake the daemon read it: vpn reload\n",
			vpn.ConfigPatch{Set: map[string]string{"log_level": "debug"}},
		},
		{
			"config set log_level debug --daemon --dry-run", "",
			"would set log_level in /etc/vpn/config.yaml\nwarning: VPN_LOG_LEVEL is set for the daemon, and rules over the file\n",
			vpn.ConfigPatch{Set: map[string]string{"log_level": "debug"}},
		},
		{
			"config unset log_level --daemon -q", "",
			"warning: VPN_LOG_LEVEL is set for the daemon, and rules over the file\n",
			vpn.ConfigPatch{Unset: []string{"log_level"}},
		},
	} {
		r := newRunner()
		r.env = map[string]string{"NO_COLOR": "1", "VPN_CONFIG": t.TempDir() + "/config.yaml", "VPN_SOCKET": "/tmp/there.sock"}
		got := r.run(t, strings.Fields(c.args)...)
		if got.status != 0 || got.out != strings.TrimLeft(c.out, "\n") || got.err != c.err {
			t.Errorf("vpn %s: got %d\n%s%s\nwant\n%s%s", c.args, got.status, got.out, got.err, c.out, c.err)
		}
		if d := cmp.Diff(c.asked, *r.plane.configured); d != "" {
			t.Errorf("vpn %s asks: %s", c.args, d)
		}
	}
	r := newRunner()
	r.plane.wrong = "/etc/vpn/config.yaml:1: log_level must be debug, info, warn or error"
	if got := r.run(t, "config", "show", "--daemon"); !strings.HasPrefix(got.err, "warning: a reload would refuse the configuration: /etc/vpn/config.yaml:1") {
		t.Errorf("got %+v", got)
	}
}
