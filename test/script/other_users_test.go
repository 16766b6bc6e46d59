package script

import (
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// The commands in this file need root: they play several users, or another
// machine.

// as runs a command as another user; the last line that it prints to standard
// error is its exit status:
//
//	as 54321 vpn users list
func as(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: as UID COMMAND [ARGS]")
	}
	uid, err := strconv.ParseUint(args[0], 10, 32)
	ts.Check(err)
	cmd := exec.Command("/proc/self/exe", args[2:]...) // whose directory others may not look into
	cmd.Args[0] = args[1]
	cmd.Dir = "/"
	cmd.Env = []string{"HOME=/nonexistent", "VPN_DATA_DIR=" + ts.Getenv("VPN_DATA_DIR"), "GORACE=" + ts.Getenv("GORACE")}
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	_ = cmd.Run() // its status is told
	_, _ = io.WriteString(ts.Stderr(), "exit status "+itoa(cmd.ProcessState.ExitCode())+"\n")
	ts.Defer(func() { _ = os.RemoveAll(filepath.Join(os.TempDir(), "vpn-"+args[0])) }) // its run directory
}

// shared moves the data directory to where other users can reach it; it does
// not exist yet.
func shared(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: shared")
	}
	dir, err := os.MkdirTemp("", "vpn-script")
	ts.Check(err)
	ts.Defer(func() { _ = os.RemoveAll(dir) })
	ts.Check(os.Chmod(dir, 0o777))
	ts.Setenv("VPN_DATA_DIR", filepath.Join(dir, "data"))
	ts.Setenv("TMPDIR", "/tmp") // the script's own is closed to others
}

// owned checks that all of the data directory belongs to one user:
//
//	owned 54321
func owned(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: owned UID")
	}
	ts.Check(filepath.WalkDir(ts.Getenv("VPN_DATA_DIR"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if uid := int(info.Sys().(*syscall.Stat_t).Uid); itoa(uid) != args[0] {
			ts.Fatalf("%s belongs to uid %d", path, uid)
		}
		return nil
	}))
}

// guarded puts a socket into the data directory that only root may open.
func guarded(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: guarded")
	}
	dir := ts.Getenv("VPN_DATA_DIR")
	run := filepath.Join(filepath.Dir(dir), "run")
	ts.Check(os.Mkdir(dir, 0o755))
	ts.Check(os.Mkdir(run, 0o755))
	ts.Check(os.Symlink(run, filepath.Join(dir, "run")))
	l, err := net.Listen("unix", filepath.Join(run, "api.sock"))
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Check(os.Chmod(l.Addr().String(), 0o660))
}

// booted runs a command on a machine that an init system seems to have booted:
// none, systemd, or systemd with a unit named vpn that is not ours (foreign).
// On full there is no room in /etc. On the rest root's daemon runs: on other
// another user runs the command; on wrong somebody has broken the daemon's
// configuration file since, and on moved it names a data directory, too.
// It sees a /etc, /run, /var/lib and a systemctl of its own. The last line that
// it prints to standard error is its exit status:
//
//	booted systemd vpn service status
func booted(ts *testscript.TestScript, neg bool, args []string) {
	const serve = `mkdir /etc/vpn
echo 'log_level: error' >/etc/vpn/config.yaml
"$0" serve --supervised 2>/run/log &
daemon=$!
trap 'kill $daemon; wait $daemon' EXIT
until "$0" status >/dev/null 2>&1; do kill -0 $daemon || { cat /run/log >&2; exit 99; }; done
`
	prepare := map[string]string{
		"other":   serve + `cp "$0" /run/bin/vpn; run="setpriv --reuid 54321 --regid 54321 --clear-groups /run/bin/vpn"`,
		"full":    "mount -t tmpfs -o size=4k none /etc; echo x >/etc/x",
		"wrong":   serve + "printf '# data_dir: /x\nlog_levle: error\n' >/etc/vpn/config.yaml",
		"moved":   serve + "printf 'data_dir: /srv/vpn\nlog_levle: error\n' >/etc/vpn/config.yaml",
		"none":    "",
		"systemd": "mkdir -p /run/systemd/system",
		"foreign": "mkdir -p /run/systemd/system /etc/systemd/system; echo '[Unit]' >/etc/systemd/system/vpn.service",
	}
	if neg || len(args) < 2 || args[1] != "vpn" {
		ts.Fatalf("usage: booted INIT vpn [ARGS]")
	}
	setup, ok := prepare[args[0]]
	if !ok {
		ts.Fatalf("there is no %s", args[0])
	}
	script := `set -e
for dir in /etc /run /var/lib; do mount -t tmpfs none $dir; done
mkdir /run/bin
printf '#!/bin/sh\n' >/run/bin/systemctl
chmod 755 /run/bin/systemctl
` + setup + `
PATH=/run/bin:$PATH
[ -z "$daemon" ] && exec "$0" "$@"
${run:-"$0"} "$@"`
	self, err := os.Readlink("/proc/self/exe")
	ts.Check(err)
	dir, err := os.MkdirTemp("", "vpn-script") // which is seen there
	ts.Check(err)
	ts.Defer(func() { _ = os.RemoveAll(dir) })
	ts.Check(os.Symlink(self, filepath.Join(dir, "vpn"))) // the test binary goes by its name
	cmd := exec.Command("/bin/sh", append([]string{"-c", script, filepath.Join(dir, "vpn")}, args[2:]...)...)
	cmd.Dir = "/"
	cmd.Env = []string{"HOME=/nonexistent", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "GOCOVERDIR=" + ts.Getenv("GOCOVERDIR"), "GORACE=" + ts.Getenv("GORACE")}
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	_ = cmd.Run() // its status is told
	_, _ = io.WriteString(ts.Stderr(), "exit status "+itoa(cmd.ProcessState.ExitCode())+"\n")
}
