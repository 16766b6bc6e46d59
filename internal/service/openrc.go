package service

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// openRC is the init system of Alpine and Gentoo.
type openRC struct{ machine }

// logFile is where the daemon logs to; under systemd it is the journal.
const logFile = "/var/log/vpn.log"

func (*openRC) name() string               { return "openrc" }
func (*openRC) path() string               { return "/etc/init.d/" + Name }
func (*openRC) executable() bool           { return true }
func (*openRC) log() string                { return logFile }
func (*openRC) follow() string             { return "tail -f " + logFile }
func (*openRC) command(verb string) string { return "rc-service " + Name + " " + verb }
func (*openRC) render(s Settings) string   { return fill(openRCTemplate, s) }
func (*openRC) extras() []string           { return []string{"/etc/conf.d/" + Name} }

// foreign has nothing to find: scripts lie in one place.
func (*openRC) foreign(context.Context) (string, error) { return "", nil }

// reload has nothing to do: scripts are read when they run.
func (*openRC) reload(context.Context) error { return nil }

func (o *openRC) do(ctx context.Context, verb string) error {
	switch verb {
	case "enable":
		if len(o.runlevels()) > 0 {
			return nil
		}
		_, err := o.run(ctx, "rc-update", "--quiet", "add", Name, "default")
		return err
	case "disable":
		for _, level := range o.runlevels() {
			if _, err := o.run(ctx, "rc-update", "--quiet", "del", Name, level); err != nil {
				return err
			}
		}
		return nil
	}
	_, err := o.run(ctx, "rc-service", "--quiet", Name, verb)
	return err
}

// runlevels returns the runlevels that the service is in.
func (o *openRC) runlevels() (levels []string) {
	for _, path := range o.find("/etc/runlevels/*/" + Name) {
		levels = append(levels, filepath.Base(filepath.Dir(path)))
	}
	return levels
}

// The statuses with which "rc-service NAME status" ends.
const (
	rcStopped      = 3
	rcStopping     = 4
	rcStarting     = 8
	rcInactive     = 16
	rcCrashed      = 32
	rcUnsupervised = 64
)

func (o *openRC) state(ctx context.Context, st *Status) error {
	st.Enabled = len(o.runlevels()) > 0
	if script, err := os.Stat(o.at(o.path())); err != nil || script.Mode().Perm()&0o100 == 0 {
		st.State = Stopped // OpenRC has no such service
		return nil
	}
	_, err := o.run(ctx, "rc-service", "--quiet", Name, "status")
	switch exitStatus(err) {
	case rcStopped, rcInactive:
		st.State = Stopped
		return nil
	case rcStopping:
		st.State = Stopping
		return nil
	case rcStarting:
		st.State = Starting
		return nil
	case rcCrashed, rcUnsupervised:
		st.State = Failed
		return nil
	}
	if err != nil {
		return err
	}
	st.State = Running
	st.PID, st.Restarts = o.option("child_pid"), o.option("start_count")
	if st.PID != 0 && !o.exists("/proc/"+strconv.Itoa(st.PID)) {
		st.State, st.PID = Starting, 0 // to OpenRC, its supervisor is the service
		return nil
	}
	if mark, err := os.Lstat(o.at("/run/openrc/started/" + Name)); err == nil {
		st.Since = mark.ModTime().UTC()
	}
	return nil
}

// option returns a number that the supervisor has written down, 0 if there is
// none or this is not root, who alone may read it.
func (o *openRC) option(name string) int {
	text, _ := o.read("/run/openrc/options/" + Name + "/" + name)
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}

func (o *openRC) lastWords(context.Context) string {
	b, err := o.read(logFile)
	if err != nil {
		return ""
	}
	return complaint(string(b[max(0, len(b)-4096):]))
}

// logFiles returns the daemon's log with its rotated copies.
func logFiles(log string) []string {
	if log == "" {
		return nil
	}
	return []string{log, log + ".*", filepath.Join(filepath.Dir(log), filepath.Base(log)+"-*")}
}
