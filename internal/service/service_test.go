package service

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vpn/internal/vpn"
)

// fake is a machine in a directory. It knows what programs print, by the
// beginning of the command, and notes what was run.
type fake struct {
	machine
	t    *testing.T
	says map[string]string // "exit N" is a failure
	ran  []string
}

func newFake(t *testing.T) *fake {
	f := &fake{t: t, says: map[string]string{}}
	f.machine = machine{root: t.TempDir(), run: f.execute}
	return f
}

func (f *fake) execute(_ context.Context, program string, args ...string) (string, error) {
	command := strings.Join(append([]string{program}, args...), " ")
	f.ran = append(f.ran, command)
	for beginning, says := range f.says {
		if !strings.HasPrefix(command, beginning) {
			continue
		}
		if status, ok := strings.CutPrefix(says, "exit "); ok {
			return "", &programError{program, "it says no", exec.Command("sh", "-c", "exit "+status).Run()}
		}
		if says == "no such program" {
			return "", &programError{program, says, exec.ErrNotFound}
		}
		return says, nil
	}
	return "", nil
}

func (f *fake) put(path, text string, mode os.FileMode) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(f.at(path)), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.at(path), []byte(text), mode); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Chmod(f.at(path), mode); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fake) has(path string) bool { return f.exists(path) }

func (f *fake) booted(init string) *Service {
	f.t.Helper()
	if err := os.MkdirAll(f.at(map[string]string{"systemd": "/run/systemd/system", "openrc": "/run/openrc"}[init]), 0o755); err != nil {
		f.t.Fatal(err)
	}
	s, err := detect(f.machine)
	if err != nil || s.InitSystem() != init {
		f.t.Fatal(s, err)
	}
	return s
}

// noneLeft is the end of servers where a stop has ended them.
func noneLeft(context.Context) (int, error) { return 0, nil }

var inits = []string{"systemd", "openrc"}

func kind(t *testing.T, err error, want vpn.Kind, says string) {
	t.Helper()
	e, ok := errors.AsType[*vpn.Error](err)
	if !ok || e.Kind != want || !strings.Contains(e.Message+e.Hint, says) || e.Hint == "" {
		t.Errorf("%#v is not %s with %q and a hint", err, want, says)
	}
}

func TestDetectNone(t *testing.T) {
	f := newFake(t)
	_, err := detect(f.machine)
	kind(t, err, vpn.Unavailable, "vpn serve --supervised")
	f.put("/sbin/openrc-run", "", 0o755)
	_, err = detect(f.machine)
	kind(t, err, vpn.Unavailable, "has not booted")
	f.put("/.dockerenv", "", 0o644)
	_, err = detect(f.machine)
	kind(t, err, vpn.Unavailable, "container")
}

var settings = Settings{Binary: "/usr/local/bin/vpn", DataDir: "/var/lib/vpn"}

func TestJudge(t *testing.T) {
	for _, init := range inits {
		s := newFake(t).booted(init)
		text := s.init.render(settings)
		older := strings.Replace(s.init.render(settings), "VPN servers", "VPNs", 1)
		older = strings.Replace(older, sumMark+sum(text), sumMark+sum(older), 1)
		for name, c := range map[string]struct {
			text string
			want File
		}{
			"as written":       {text, Current},
			"an older version": {older, Old},
			"a line more":      {text + "# mine\n", Edited},
			"a line less":      {strings.Replace(text, "VPN servers", "", 1), Edited},
			"somebody else's":  {"[Unit]\n", Foreign},
			"empty":            {"", Foreign},
			"no settings":      {strings.Replace(text, settingsMark, "# ", 1), Foreign},
		} {
			got, set := judge([]byte(c.text), s.init.render)
			if got != c.want || got != Foreign && set != settings {
				t.Errorf("%s: %s: %s %+v", init, name, got, set)
			}
		}
		if got, _ := judge(nil, s.init.render); got != Missing {
			t.Errorf("%s: nothing is %s", init, got)
		}
	}
}

func TestRender(t *testing.T) {
	elsewhere := Settings{Binary: "/usr/bin/vpn", DataDir: "/srv/vpn", Config: "/etc/vpn/other.yaml"}
	for _, c := range []struct {
		init       string
		settings   Settings
		with, less []string
	}{
		{
			"systemd", settings,
			[]string{
				"\nExecStart=/usr/local/bin/vpn serve --data-dir /var/lib/vpn\n", "\nStateDirectory=vpn\n",
				"\nExecStopPost=/usr/local/bin/vpn serve --data-dir /var/lib/vpn --after-stop %n\n",
			},
			[]string{"ReadWritePaths=/", "{{", "<no value>"},
		},
		{
			"systemd", elsewhere,
			[]string{"\nExecStart=/usr/bin/vpn serve --data-dir /srv/vpn --config /etc/vpn/other.yaml\n", "\nReadWritePaths=/srv/vpn\n"},
			[]string{"StateDirectory", "/usr/local"},
		},
		{
			"openrc", settings,
			[]string{`command_args="serve --supervised --data-dir /var/lib/vpn"`, "/usr/local/bin/vpn serve --data-dir /var/lib/vpn --end-workers\n"},
			nil,
		},
		{
			"openrc", elsewhere,
			[]string{"\ncommand=/usr/bin/vpn\n", `command_args="serve --supervised --data-dir /srv/vpn --config /etc/vpn/other.yaml"`},
			[]string{"{{", "<no value>"},
		},
	} {
		text := newFake(t).booted(c.init).init.render(c.settings)
		for _, want := range c.with {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in:\n%s", want, text)
			}
		}
		for _, bad := range c.less {
			if strings.Contains(text, bad) {
				t.Errorf("%q is in:\n%s", bad, text)
			}
		}
	}
}

func TestSettingsThatNoServiceCanHave(t *testing.T) {
	for _, s := range []Settings{
		{Binary: "/usr/bin/vpn", DataDir: "/srv/a b"},
		{Binary: "/usr/bin/vpn", DataDir: "/srv/100%"},
		{Binary: "/usr/bin/v$pn", DataDir: "/srv/vpn"},
		{Binary: "/usr/bin/vpn", DataDir: "/srv/vpn", Config: "/etc/x\nExecStartPre=/bin/true"},
		{Binary: "/usr/bin/vpn", DataDir: "/home/me/vpn"},
		{Binary: "/usr/bin/vpn", DataDir: "/root"},
		{Binary: "/usr/bin/vpn", DataDir: "/srv/vpn", Config: "/tmp/vpn.yaml"},
	} {
		kind(t, s.check(), vpn.Invalid, "")
	}
	for _, s := range []Settings{settings, {Binary: "/opt/vpn/vpn", DataDir: "/rooted/vpn-1", Config: "/etc/vpn/c.yaml"}} {
		if err := s.check(); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

func TestPlace(t *testing.T) {
	for name, c := range map[string]struct {
		program   string
		mode      os.FileMode
		there     string // content of what is at ProgramPath
		installed bool   // by an earlier installation
		force     bool

		path string // empty: a conflict
		copy bool
	}{
		"from a package":             {program: "/usr/bin/vpn", mode: 0o755, path: "/usr/bin/vpn"},
		"in its place":               {program: ProgramPath, mode: 0o755, path: ProgramPath},
		"in a home":                  {program: "/home/me/vpn", mode: 0o755, path: ProgramPath, copy: true},
		"others may write it":        {program: "/usr/bin/vpn", mode: 0o775, path: ProgramPath, copy: true},
		"in its place, open":         {program: ProgramPath, mode: 0o757},
		"the same is there":          {program: "/root/vpn", mode: 0o755, there: "new", path: ProgramPath},
		"another is there":           {program: "/root/vpn", mode: 0o755, there: "old"},
		"another, forced":            {program: "/root/vpn", mode: 0o755, there: "old", force: true, path: ProgramPath, copy: true},
		"an older one that was ours": {program: "/root/vpn", mode: 0o755, there: "old", installed: true, path: ProgramPath, copy: true},
	} {
		f := newFake(t)
		f.put(c.program, "new", c.mode)
		if c.there != "" {
			f.put(ProgramPath, c.there, 0o755)
		}
		installed := ""
		if c.installed {
			installed = ProgramPath
		}
		path, copied, err := f.place(c.program, installed, c.force)
		if c.path == "" {
			kind(t, err, vpn.Conflict, ProgramPath)
			continue
		}
		if err != nil || path != c.path || copied != c.copy {
			t.Errorf("%s: %s %v %v", name, path, copied, err)
		}
	}
}

func TestInstallAndRemove(t *testing.T) {
	for _, init := range inits {
		t.Run(init, func(t *testing.T) {
			f := newFake(t)
			f.says["systemctl show vpn.service"] = "ActiveState=inactive\n"
			s := f.booted(init)
			f.put("/root/vpn", "program", 0o755)
			f.put("/etc/group", "root:x:0:\n", 0o644)
			f.put("/etc/vpn/config.yaml", "# mine\n", 0o644)
			wish := Wish{Program: "/root/vpn", Settings: Settings{DataDir: systemDataDir}}
			plan, err := s.Plan(t.Context(), wish)
			if err != nil || !plan.Copy || !plan.Group || plan.File != Missing {
				t.Fatalf("%+v %v", plan, err)
			}
			if f.has(ProgramPath) || f.has(s.Definition()) || f.has(systemDataDir) {
				t.Error("a plan has changed something")
			}
			var did []string
			changed, err := s.Install(t.Context(), plan, func(what string) { did = append(did, what) })
			if err != nil || !changed || len(did) != 3 {
				t.Fatalf("%v %q %v", changed, did, err)
			}
			st, err := os.Stat(f.at(s.Definition()))
			if err != nil || st.Mode().Perm()&0o111 != 0 != s.init.executable() {
				t.Errorf("the definition: %v %v", st.Mode(), err)
			}
			if !slices.Contains(f.ran, "groupadd --system vpn") {
				t.Errorf("no group: %q", f.ran)
			}
			f.put("/etc/group", "root:x:0:\nvpn:x:997:alice,bob\n", 0o644)

			// Again: there is nothing to do, and what was made is not forgotten.
			plan, err = s.Plan(t.Context(), wish)
			if err != nil || plan.Copy || plan.Group || plan.File != Current || !slices.Equal(plan.Members, []string{"alice", "bob"}) {
				t.Fatalf("again: %+v %v", plan, err)
			}
			if changed, err := s.Install(t.Context(), plan, func(what string) { t.Errorf("again: %s", what) }); err != nil || changed {
				t.Errorf("again: %v %v", changed, err)
			}

			if err := s.Uninstall(t.Context(), noneLeft, func(string) {}); err != nil || f.has(s.Definition()) {
				t.Errorf("uninstall: %v", err)
			}
			kind2 := vpn.KindOf(s.Uninstall(t.Context(), noneLeft, func(string) {}))
			if kind2 != vpn.NotFound {
				t.Errorf("uninstall again: %s", kind2)
			}
			kept, err := Parts(s, systemDataDir, "/etc/vpn/config.yaml", true)
			if err != nil {
				t.Fatal(err)
			}
			parts, err := Parts(s, systemDataDir, "/etc/vpn/config.yaml", false)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"/etc/vpn/config.yaml", systemDataDir, "group vpn", ProgramPath}
			if got := paths(parts); !slices.Equal(got, want) {
				t.Errorf("parts: %q", got)
			}
			want = []string{systemDataDir + "/" + recordFile, "group vpn", ProgramPath}
			if got := paths(kept); !slices.Equal(got, want) {
				t.Errorf("parts without data: %q", got)
			}
			for _, p := range parts {
				if err := p.Remove(t.Context()); err != nil {
					t.Errorf("remove %s: %v", p.Path, err)
				}
			}
			if f.has("/etc/vpn") || f.has(systemDataDir) || f.has(ProgramPath) || !slices.Contains(f.ran, "groupdel vpn") {
				t.Errorf("something is left: %q", f.ran)
			}
		})
	}
}

func paths(parts []Part) (list []string) {
	for _, p := range parts {
		list = append(list, p.Path)
	}
	return list
}

// What was there before stays.
func TestRemoveLeavesTheOwners(t *testing.T) {
	f := newFake(t)
	s := f.booted("systemd")
	f.put("/usr/bin/vpn", "program", 0o755)
	f.put("/etc/group", "vpn:x:5:carol\n", 0o644)
	plan, err := s.Plan(t.Context(), Wish{Program: "/usr/bin/vpn", Settings: Settings{DataDir: "/srv/vpn"}})
	if err != nil || plan.Group || plan.Copy {
		t.Fatalf("%+v %v", plan, err)
	}
	if _, err := s.Install(t.Context(), plan, func(string) {}); err != nil {
		t.Fatal(err)
	}
	parts, err := Parts(s, "/srv/vpn", "", false)
	if got := paths(parts); err != nil || !slices.Equal(got, []string{"/srv/vpn"}) {
		t.Fatalf("%q %v", got, err)
	}
	f.put("/srv/vpn/vpn.db", "", 0o600)
	f.put("/srv/vpn/vpn.db-wal", "", 0o600)
	f.put("/srv/vpn/logs/main.log", "", 0o600)
	f.put("/srv/vpn/photo.jpg", "", 0o600)
	kind(t, parts[0].Remove(t.Context()), vpn.Conflict, "photo.jpg")
	if !f.has("/srv/vpn/photo.jpg") || f.has("/srv/vpn/vpn.db") || f.has("/srv/vpn/logs") {
		t.Error("not exactly what is vpn's was removed")
	}
}

// A data directory may be a link to a larger disk.
func TestRemoveFollowsTheDataDirectory(t *testing.T) {
	f := newFake(t)
	f.put("/mnt/disk/vpn/vpn.db", "", 0o600)
	f.put("/var/lib/other", "", 0o600)
	if err := os.Symlink(f.at("/mnt/disk/vpn"), f.at(systemDataDir)); err != nil {
		t.Fatal(err)
	}
	if err := f.removeData(systemDataDir); err != nil {
		t.Fatal(err)
	}
	if f.has(systemDataDir) || f.has("/mnt/disk/vpn") || !f.has("/mnt/disk") {
		t.Error("the data is not gone, or too much is")
	}
}

func TestConflicts(t *testing.T) {
	f := newFake(t)
	s := f.booted("systemd")
	f.put("/usr/bin/vpn", "program", 0o755)
	wish := Wish{Program: "/usr/bin/vpn", Settings: Settings{DataDir: systemDataDir}}
	force := wish
	force.Force = true

	f.put(s.Definition(), "[Unit]\n", 0o644)
	_, err := s.Plan(t.Context(), wish)
	kind(t, err, vpn.Conflict, s.Definition())
	if vpn.KindOf(s.Uninstall(t.Context(), noneLeft, func(string) {})) != vpn.Conflict {
		t.Error("somebody else's unit would be removed")
	}
	if plan, err := s.Plan(t.Context(), force); err != nil || plan.File != Foreign {
		t.Errorf("forced: %+v %v", plan, err)
	}
	if err := os.Remove(f.at(s.Definition())); err != nil {
		t.Fatal(err)
	}
	f.says["systemctl show --property=FragmentPath"] = "/lib/systemd/system/vpn.service\n"
	_, err = s.Plan(t.Context(), wish)
	kind(t, err, vpn.Conflict, "/lib/systemd/system/vpn.service")
	f.put(systemDataDir, "a file", 0o600)
	_, err = s.Plan(t.Context(), force)
	if vpn.KindOf(err) != vpn.Conflict {
		t.Errorf("a file as data directory: %v", err)
	}
}

// A stop that leaves servers is not called one, and the service stays.
func TestUninstallLooksForServers(t *testing.T) {
	for _, init := range inits {
		f := newFake(t)
		s := f.booted(init)
		f.put(s.Definition(), s.init.render(settings), 0o755)
		f.says["systemctl show"] = "ActiveState=failed\n"
		f.says["rc-service --quiet vpn status"] = "exit 32"
		say := func(what string) { t.Errorf("%s: with servers left: %s", init, what) }
		stuck := func(context.Context) (int, error) { return 2, vpn.Errorf(vpn.Unavailable, "a worker does not end") }
		if err := s.Uninstall(t.Context(), stuck, say); vpn.KindOf(err) != vpn.Unavailable || !f.has(s.Definition()) {
			t.Errorf("%s: servers that do not end: %v", init, err)
		}
		f.says["systemctl show"], f.says["rc-service --quiet vpn status"] = "ActiveState=inactive\n", "exit 3"
		var did []string
		ended := func(context.Context) (int, error) { return 2, nil }
		if err := s.Uninstall(t.Context(), ended, func(what string) { did = append(did, what) }); err != nil || !slices.Contains(did, "ended the servers that were left") {
			t.Errorf("%s: servers of a service that was stopped: %q %v", init, did, err)
		}
	}
}

// An installation that goes to another data directory is still the one that
// made the group and the program.
func TestInstallElsewhereKeepsTheNote(t *testing.T) {
	f := newFake(t)
	s := f.booted("systemd")
	f.put("/root/vpn", "program", 0o755)
	for _, dir := range []string{"/srv/one", "/srv/two"} {
		plan, err := s.Plan(t.Context(), Wish{Program: "/root/vpn", Settings: Settings{DataDir: dir}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Install(t.Context(), plan, func(string) {}); err != nil {
			t.Fatal(err)
		}
		f.put("/etc/group", "vpn:x:997:\n", 0o644)
	}
	parts, err := Parts(s, "/srv/two", "", false)
	if got := paths(parts); err != nil || !slices.Equal(got, []string{"/srv/two", "group vpn", ProgramPath}) {
		t.Errorf("what belongs to it: %q %v", got, err)
	}
	if f.has("/srv/one/" + recordFile) {
		t.Error("there are two notes of one installation")
	}
}

// What "vpn upgrade --back" goes back to is the program before.
func TestInstallKeepsTheProgramBefore(t *testing.T) {
	f := newFake(t)
	s := f.booted("systemd")
	f.put(ProgramPath+".old", "first", 0o755)
	for _, version := range []string{"second", "third"} {
		f.put("/root/vpn", version, 0o755)
		plan, err := s.Plan(t.Context(), Wish{Program: "/root/vpn", Settings: Settings{DataDir: systemDataDir}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Install(t.Context(), plan, func(string) {}); err != nil {
			t.Fatal(err)
		}
	}
	if old, err := f.read(ProgramPath + ".old"); string(old) != "second" {
		t.Errorf("the program before is %q %v", old, err)
	}
}

func TestGroupByBusybox(t *testing.T) {
	f := newFake(t)
	f.says["groupadd"], f.says["groupdel"] = "no such program", "no such program"
	if err := errors.Join(f.addGroup(t.Context()), f.deleteGroup(t.Context())); err != nil {
		t.Fatal(err)
	}
	want := []string{"groupadd --system vpn", "addgroup -S vpn", "groupdel vpn", "delgroup vpn"}
	if !slices.Equal(f.ran, want) {
		t.Errorf("ran %q", f.ran)
	}
	f.says["groupadd"], f.ran = "exit 9", nil
	if err := f.addGroup(t.Context()); err == nil || len(f.ran) != 1 {
		t.Errorf("a failure is no missing program: %v, ran %q", err, f.ran)
	}
}

func TestSystemdState(t *testing.T) {
	f := newFake(t)
	s := f.booted("systemd")
	f.put(s.Definition(), s.init.render(settings), 0o644)
	f.says["systemd-analyze"] = "NAME\n→ Overall exposure level for vpn.service: 2.4 OK :-)\n"
	f.says["systemctl show"] = "ActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=42\n" +
		"ActiveEnterTimestamp=Wed 2026-11-25 20:41:12 UTC\nMemoryCurrent=43000000\nNRestarts=2\nNeedDaemonReload=yes\n" +
		"DropInPaths=/etc/a.conf /etc/b.conf\n"
	st, err := s.Status(t.Context())
	if err != nil || st.State != Running || !st.Enabled || st.PID != 42 || st.Memory != 43e6 || st.Restarts != 2 || !st.Stale ||
		len(st.DropIns) != 2 || st.Exposure != "2.4" || st.File != Current || st.Binary != settings.Binary ||
		st.Since.Format("2006-01-02T15:04:05Z07:00") != "2026-11-25T20:41:12Z" {
		t.Errorf("%+v %v", st, err)
	}
	for text, want := range map[string]State{
		"ActiveState=failed": Failed, "ActiveState=activating": Starting, "ActiveState=deactivating": Stopping,
		"ActiveState=inactive": Stopped, "ActiveState=reloading": Running, "": Stopped,
	} {
		f.says["systemctl show"] = text + "\nMemoryCurrent=[not set]\nMainPID=0\n"
		if st, err := s.Status(t.Context()); err != nil || st.State != want || st.Memory != 0 {
			t.Errorf("%q: %+v %v", text, st, err)
		}
	}
	f.says["journalctl"] = "level=INFO msg=x\nvpn: the store is damaged\nhint: restore it\n"
	for text, want := range map[string]string{
		"ActiveState=activating\nNRestarts=7": "the store is damaged", "ActiveState=failed": "the store is damaged",
		"ActiveState=activating\nNRestarts=0": "", "ActiveState=active\nNRestarts=7": "",
	} {
		f.says["systemctl show"] = text + "\n"
		if st, err := s.Status(t.Context()); err != nil || st.LastWords != want {
			t.Errorf("%q: last words %q %v", text, st.LastWords, err)
		}
	}
	f.says["systemctl show"] = "exit 1"
	if _, err := s.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "it says no") {
		t.Errorf("a systemd that does not answer: %v", err)
	}
}

func TestOpenRCState(t *testing.T) {
	f := newFake(t)
	s := f.booted("openrc")
	if st, err := s.Status(t.Context()); err != nil || st.State != NotInstalled {
		t.Errorf("nothing: %+v %v", st, err)
	}
	f.put(s.Definition(), s.init.render(settings), 0o755)
	f.put("/run/openrc/options/vpn/child_pid", "42", 0o600)
	f.put("/etc/runlevels/default/vpn", "", 0o755)
	for status, want := range map[int]State{
		3: Stopped, 4: Stopping, 8: Starting, 16: Stopped, 32: Failed, 64: Failed,
	} {
		f.says["rc-service"] = "exit " + strconv.Itoa(status)
		if st, err := s.Status(t.Context()); err != nil || st.State != want || !st.Enabled || st.PID != 0 {
			t.Errorf("%d: %+v %v", status, st, err)
		}
	}
	f.says["rc-service"] = ""
	f.put("/run/openrc/options/vpn/start_count", "3", 0o600)
	f.put(logFile, "vpn: the store is damaged\nhint: restore it\n", 0o640)
	if st, err := s.Status(t.Context()); err != nil || st.State != Starting || st.PID != 0 || st.Restarts != 3 || st.LastWords != "the store is damaged" {
		t.Errorf("between two ends: %+v %v", st, err)
	}
	f.put("/proc/42/stat", "", 0o444)
	if st, err := s.Status(t.Context()); err != nil || st.State != Running || st.PID != 42 {
		t.Errorf("running: %+v %v", st, err)
	}
}

func TestComplaint(t *testing.T) {
	for log, want := range map[string]string{
		"": "",
		"level=INFO msg=x\nvpn: the data directory is in use\nhint: wait\n":            "the data directory is in use",
		"vpn: the store is damaged\nhint: restore it\nwarning: something at the end\n": "the store is damaged",
		"panic: oh\n\n": "panic: oh",
	} {
		if got := complaint(log); got != want {
			t.Errorf("%q: %q", log, got)
		}
	}
}
