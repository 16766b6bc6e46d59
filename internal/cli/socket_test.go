package cli

import (
	"slices"
	"strings"
	"testing"
)

// TestSocketIsNotForThisMachine: who has named a daemon elsewhere, and maybe
// forgotten it, does not change this machine instead.
func TestSocketIsNotForThisMachine(t *testing.T) {
	more := map[string][]string{
		"config get": {"log_level"}, "config set": {"log_level", "debug"}, "config unset": {"log_level"}, "serve": {"--check"},
		"image save": {"/nowhere/vpn.tar"},
	}
	for _, cmd := range commandsOf(testProgram()) {
		path := strings.TrimPrefix(cmd.CommandPath(), "vpn ")
		if !ofTheMachine[path] {
			continue
		}
		args := append(strings.Fields(path), more[path]...)
		if cmd.Flags().Lookup("dry-run") != nil {
			args = append(args, "--dry-run") // should it not be refused
		}
		want := "vpn: --socket is for commands that ask a daemon; this one is about this machine\n" +
			"hint: leave it out, and unset VPN_SOCKET\n"
		for _, named := range []bool{false, true} {
			r := newRunner()
			r.env = map[string]string{"NO_COLOR": "1", "VPN_CONFIG": t.TempDir() + "/config.yaml"}
			with := slices.Clone(args)
			if named {
				with = append(with, "--socket", "/tmp/there.sock")
			} else {
				r.env["VPN_SOCKET"] = "/tmp/there.sock"
			}
			if got := r.run(t, with...); got.status != 2 || got.out != "" || got.err != want {
				t.Errorf("vpn %v: got %+v", with, got)
			}
		}
	}
	r := newRunner()
	r.env = map[string]string{"NO_COLOR": "1", "VPN_SOCKET": "/tmp/there.sock"}
	for _, args := range [][]string{{"config"}, {"service"}, {"upgrade", "--help"}, {"reload"}, {"users", "list"}, {"version"}} {
		if got := r.run(t, args...); got.status != 0 {
			t.Errorf("vpn %v: got %+v", args, got)
		}
	}
}
