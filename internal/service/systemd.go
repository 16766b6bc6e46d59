package service

import (
	"cmp"
	"context"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// systemd is the init system of most distributions.
type systemd struct{ machine }

const unit = Name + ".service"

func (*systemd) name() string               { return "systemd" }
func (*systemd) path() string               { return "/etc/systemd/system/" + unit }
func (*systemd) executable() bool           { return false }
func (*systemd) log() string                { return "" }
func (*systemd) follow() string             { return "journalctl -u " + Name }
func (*systemd) command(verb string) string { return "systemctl " + verb + " " + Name }
func (*systemd) render(s Settings) string   { return fill(systemdTemplate, s) }

// Drop-ins are the administrator's, but mean nothing without the unit.
func (d *systemd) extras() []string { return []string{d.path() + ".d"} }

// foreign returns the unit of a package.
func (d *systemd) foreign(ctx context.Context) (string, error) {
	out, err := d.run(ctx, "systemctl", "show", "--property=FragmentPath", "--value", unit)
	if err != nil {
		return "", err
	}
	if at := strings.TrimSpace(out); at != "" && at != d.path() && filepath.Base(at) == unit {
		return at, nil
	}
	return "", nil
}

func (d *systemd) reload(ctx context.Context) error {
	_, err := d.run(ctx, "systemctl", "daemon-reload")
	return err
}

func (d *systemd) do(ctx context.Context, verb string) error {
	_, err := d.run(ctx, "systemctl", "--quiet", verb, unit)
	if verb == "disable" && err == nil {
		_, _ = d.run(ctx, "systemctl", "--quiet", "reset-failed", unit) // it fails if nothing has failed
	}
	return err
}

func (d *systemd) state(ctx context.Context, st *Status) error {
	out, err := d.run(ctx, "systemctl", "show", unit, "--property="+
		"ActiveState,SubState,UnitFileState,MainPID,ActiveEnterTimestamp,MemoryCurrent,NRestarts,NeedDaemonReload,DropInPaths")
	if err != nil {
		return err
	}
	p := map[string]string{}
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		p[key] = value
	}
	switch p["ActiveState"] {
	case "active", "reloading":
		st.State = Running
	case "activating":
		st.State = Starting
	case "deactivating":
		st.State = Stopping
	case "failed":
		st.State = Failed
	default:
		st.State = Stopped
	}
	st.Enabled = strings.HasPrefix(p["UnitFileState"], "enabled")
	st.PID, _ = strconv.Atoi(p["MainPID"])
	st.Restarts, _ = strconv.Atoi(p["NRestarts"])
	st.DropIns = strings.Fields(p["DropInPaths"])
	st.Stale = p["NeedDaemonReload"] == "yes"
	if st.State == Running {
		st.Since, _ = time.Parse("Mon 2006-01-02 15:04:05 MST", p["ActiveEnterTimestamp"]) // in UTC: see execute
		st.Memory = memory(p["MemoryCurrent"])
		st.Exposure = d.exposure(ctx)
	}
	return nil
}

// memory reads a number of bytes, which is not one or beyond any machine's if
// systemd does not know it.
func memory(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0
	}
	return n
}

// exposure is what systemd-analyze thinks of the sandbox, from 0 to 10; not
// every system has that program.
func (d *systemd) exposure(ctx context.Context) string {
	out, err := d.run(ctx, "systemd-analyze", "security", "--no-pager", unit)
	if err != nil {
		return ""
	}
	_, level, _ := strings.Cut(out, "Overall exposure level for "+unit+": ")
	number, _, _ := strings.Cut(level, " ")
	return strings.TrimSpace(number)
}

func (d *systemd) lastWords(ctx context.Context) string {
	// What vpn says it is, and not what systemd says about it.
	out, err := d.run(ctx, "journalctl", "--unit="+unit, "--identifier="+Name, "--lines=8", "--output=cat", "--no-pager", "--quiet")
	if err != nil {
		return ""
	}
	return complaint(out)
}

// complaint finds in the end of a log why a program has failed: what it says
// of itself as an error or else the last line.
func complaint(log string) string {
	last, said := "", ""
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "vpn: "); ok {
			said = text
		}
		if line != "" && !strings.HasPrefix(line, "hint: ") {
			last = line
		}
	}
	return cmp.Or(said, last)
}
