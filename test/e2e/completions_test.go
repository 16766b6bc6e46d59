//go:build linux && e2e

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpn/test/e2e/rig"
)

// program returns the path of a program that this test needs.
func program(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is missing: install %s", name, pkg)
		}
		t.Skipf("%s is missing: install %s", name, pkg)
	}
	return path
}

// shell runs a script with vpn in the PATH and the instance's environment, and
// returns what it printed.
func shell(t *testing.T, i *rig.Instance, stdin io.Reader, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = []string{
		"PATH=" + filepath.Dir(i.Bin) + ":" + os.Getenv("PATH"), "HOME=" + filepath.Dir(i.Data), "TERM=dumb", "VPN_DATA_DIR=" + i.Data,
	}
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stderr = stdin, &errs
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := i.World.Server.Start(cmd); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, out.String(), errs.String())
	}
	return out.String()
}

// Shells complete commands, flags and the names that there are, with a daemon
// and without one.
func TestShellsComplete(t *testing.T) {
	t.Parallel()
	bash := program(t, "bash", "bash")
	i := rig.NewWorld(t).Instance(t)
	// Before there is anything, pressing tab makes nothing.
	library := "/usr/share/bash-completion/bash_completion"
	if _, err := os.Stat(library); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("bash-completion is missing: install it")
		}
		t.Skip("bash-completion is missing: install it")
	}
	// COMPREPLY is what bash offers.
	const complete = `
source %s
source <(vpn completions bash)
complete -p vpn >/dev/null || exit 9
offer() {
	COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9 COMPREPLY=()
	read -ra COMP_WORDS <<<"$1"
	[[ $1 == *' ' ]] && COMP_WORDS+=('')
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	__vpn_whole vpn "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}" 2>/dev/null
	printf '%%s ->' "$1"
	for c in "${COMPREPLY[@]}"; do printf ' %%s' "${c%%%% *}"; done
	echo
}
`
	lines := []string{
		"vpn users sho", "vpn users show al", "vpn users show ", "vpn users delete --yes b", "vpn server update m",
		"vpn config set log_level d", "vpn users list --del", "vpn users list -o j", "vpn server create --fingerprint saf", "vpn completions z",
	}
	offers := func() string {
		script := fmt.Sprintf(complete, library)
		for _, line := range lines {
			script += "offer '" + line + "'\n"
		}
		return shell(t, i, nil, bash, "--norc", "-c", script)
	}
	const nothing = `vpn users sho -> show
vpn users show al ->
vpn users show  ->
vpn users delete --yes b ->
vpn server update m ->
vpn config set log_level d -> debug
vpn users list --del -> --deleted
vpn users list -o j -> json
vpn server create --fingerprint saf -> safari
vpn completions z -> zsh
`
	if got := offers(); got != nothing {
		t.Errorf("with nothing there, bash offers\n%s", got)
	}
	if _, err := os.Stat(i.Data); err == nil {
		t.Error("pressing tab made a data directory")
	}
	i.CreateServer("main", port)
	for _, name := range []string{"alice", "bob", "carol@example.org"} {
		i.CreateUser(name)
	}
	want := strings.NewReplacer(
		"show al ->", "show al -> alice", "show  ->", "show  -> alice bob carol@example.org", "--yes b ->", "--yes b -> bob", "update m ->", "update m -> main",
	).Replace(nothing)
	if got := offers(); got != want {
		t.Errorf("without a daemon, bash offers\n%s", got)
	}
	i.Serve()
	if got := offers(); got != want {
		t.Errorf("with a daemon, bash offers\n%s", got)
	}
	hangs(t, i)

	t.Run("typed", func(t *testing.T) {
		// A real terminal, a real tab key, and the command that comes of it.
		typed := "PS1='$ '\nsource " + library + "\nsource <(vpn completions bash)\nvpn us\tsho\tcarol\t\nvpn users link carol@ex\t\nexit\n"
		out := shell(t, i, strings.NewReader(typed), program(t, "script", "bsdutils"), "-qec", bash+" --norc --noprofile -i", "/dev/null")
		// bash breaks words at an @.
		if !strings.Contains(out, "name         carol@example.org") || !strings.Contains(out, "#main-carol%40example.org") {
			t.Errorf("the terminal shows\n%s", out)
		}
	})
	t.Run("fish", func(t *testing.T) {
		out := shell(t, i, nil, program(t, "fish", "fish"), "--no-config", "-c", `vpn completions fish | source; complete -C "vpn users show "`)
		if out != "alice\nbob\ncarol@example.org\n" {
			t.Errorf("fish offers\n%s", out)
		}
	})
	t.Run("zsh", func(t *testing.T) {
		zsh := program(t, "zsh", "zsh")
		const script = `zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "autoload -Uz compinit; compinit -u -D; source <(vpn completions zsh); PS1='ready> '"
zpty -r z out '*ready> *'
zpty -w -n z $'vpn users show carol\t\n'
zpty -r z out '*name *carol@example.org*'
print -r -- "$out"
zpty -d z`
		if out := shell(t, i, nil, zsh, "-f", "-c", script); !strings.Contains(out, "name         carol@example.org") {
			t.Errorf("zsh shows\n%s", out)
		}
	})
}

// hangs checks that whoever presses tab while the daemon hangs, for which other
// commands have five seconds, is offered nothing, told nothing, and soon.
func hangs(t *testing.T, i *rig.Instance) {
	t.Helper()
	fastest := time.Hour
	i.Daemon().Signal(syscall.SIGSTOP)
	defer i.Daemon().Signal(syscall.SIGCONT)
	for range 3 {
		r := i.Run("__completeNoDesc", "users", "show", "")
		if r.Status != 0 || r.Out != ":4\n" {
			t.Errorf("with a daemon that hangs: %+v", r)
		}
		fastest = min(fastest, r.Took)
	}
	const wait, most = 300 * time.Millisecond, 2 * time.Second // and the program's start, on a busy machine
	if fastest < wait || fastest > most {
		t.Errorf("with a daemon that hangs nothing is offered after %v", fastest)
	}
}
