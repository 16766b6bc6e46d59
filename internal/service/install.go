package service

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"vpn/internal/selfupdate"
	"vpn/internal/vpn"
)

// ProgramPath is where a program is copied to that lies where a service
// cannot rely on it.
const ProgramPath = "/usr/local/bin/vpn"

// Wish is what is to be installed.
type Wish struct {
	Program  string // this program's path
	Settings        // without Binary

	// Force replaces what stands in the way: a definition that is not ours or
	// was changed by hand, another program at [ProgramPath].
	Force bool
}

// Plan is what an installation will do. [Service.Plan] makes it and changes
// nothing.
type Plan struct {
	Settings
	Copy    bool     // this program to Settings.Binary
	Group   bool     // make the group
	Members []string // of a group that is there already
	File    File     // what is there now
	Program string   // this one
	From    string   // the data directory of the installation before, if it was another

	contents []byte // of the definition
}

// Steps says what an installation will do, but for the start.
func (s *Service) Steps(p Plan) (steps []string) {
	if p.Copy {
		steps = append(steps, "copy this program to "+p.Binary)
	}
	if p.Group {
		steps = append(steps, "make the group "+Name)
	}
	if p.File != Current {
		steps = append(steps, "write "+s.init.path())
	}
	return steps
}

// Plan finds out what to do, and whether something is in the way: kinds
// [vpn.Invalid] and [vpn.Conflict].
func (s *Service) Plan(ctx context.Context, w Wish) (Plan, error) {
	p := Plan{Settings: w.Settings, Program: w.Program}
	if err := s.ownedByRoot(w.DataDir); err != nil {
		return p, err
	}
	definition, err := s.read(s.init.path())
	if err != nil {
		return p, err
	}
	var was Settings
	p.File, was = judge(definition, s.init.render)
	if p.From = cmp.Or(was.DataDir, systemDataDir); p.From == p.DataDir {
		p.From = ""
	}
	rec, err := s.records(p)
	if err != nil {
		return p, err
	}
	if p.Binary, p.Copy, err = s.place(w.Program, rec.Binary, w.Force); err != nil {
		return p, err
	}
	if err := p.check(); err != nil {
		return p, err
	}
	if err := s.mayReplace(ctx, p.File, w.Force); err != nil {
		return p, err
	}
	p.contents = []byte(s.init.render(p.Settings))
	if p.File == Current && !bytes.Equal(p.contents, definition) {
		p.File = Old // of other settings
	}
	there, members, err := s.group()
	p.Group, p.Members = !there, members
	return p, err
}

// mayReplace refuses to overwrite what somebody else has written.
func (s *Service) mayReplace(ctx context.Context, file File, force bool) error {
	if force {
		return nil
	}
	path := s.init.path()
	switch file {
	case Foreign:
		return vpn.Errorf(vpn.Conflict, "%s is there already, and vpn did not write it", path).
			WithHint("look at it; to replace it: vpn service install --force")
	case Edited:
		return vpn.Errorf(vpn.Conflict, "%s was changed by hand, and would be replaced", path).
			WithHint("move your changes to where they stay: %s; then: vpn service install --force", s.init.extras()[0])
	}
	other, err := s.init.foreign(ctx)
	if err != nil {
		return vpn.Errorf(vpn.Unavailable, "%s does not answer: %w", s.init.name(), err)
	}
	if other != "" {
		return vpn.Errorf(vpn.Conflict, "a service named %s comes from %s", Name, other).
			WithHint("use that one: systemctl enable --now %s; or put another before it: vpn service install --force", Name)
	}
	return nil
}

// ownedByRoot refuses a data directory for which the daemon would become
// another user, and so lose what it needs root for.
func (s *Service) ownedByRoot(dir string) error {
	st, err := os.Stat(s.at(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return vpn.Errorf(vpn.Conflict, "%s is not a directory", dir)
	}
	if uid, ok := OwnerOf(st); ok && uid != os.Geteuid() {
		return vpn.Errorf(vpn.Conflict, "the data directory %s belongs to uid %d, and the service is root's", dir, uid).
			WithHint("to hand it over: chown -R root:root %s", dir)
	}
	return nil
}

// place says which program the service runs, and whether this one has to be
// copied there first.
func (m machine) place(program, installed string, force bool) (path string, copied bool, err error) {
	if m.stays(program) {
		return program, false, nil
	}
	there, err := os.Stat(m.at(ProgramPath))
	if errors.Is(err, fs.ErrNotExist) {
		return ProgramPath, true, nil
	}
	if err != nil {
		return "", false, err
	}
	here, err := os.Stat(m.at(program))
	if err != nil {
		return "", false, err
	}
	if os.SameFile(here, there) {
		return "", false, vpn.Errorf(vpn.Conflict, "others than root can change %s, which root would run", program).
			WithHint("chown root:root %s && chmod 755 %[1]s", program)
	}
	same, err := sameContent(m.at(program), m.at(ProgramPath))
	if err != nil {
		return "", false, err
	}
	if same && m.stays(ProgramPath) {
		return ProgramPath, false, nil
	}
	if installed != ProgramPath && !force {
		return "", false, vpn.Errorf(vpn.Conflict, "another program is at %s already", ProgramPath).
			WithHint("is it an older vpn? to replace it by this one: vpn service install --force")
	}
	return ProgramPath, true, nil
}

// stays reports whether a program lies where a service can rely on it: in a
// place for programs, in which root alone can change it.
func (m machine) stays(program string) bool {
	system := false
	for _, dir := range []string{"/usr/", "/opt/", "/bin/", "/sbin/", "/nix/store/", "/gnu/store/"} {
		system = system || strings.HasPrefix(program, dir)
	}
	if !system {
		return false
	}
	for path := program; path != "/"; path = filepath.Dir(path) {
		st, err := os.Stat(m.at(path))
		if err != nil {
			return false
		}
		open := fs.FileMode(0o022)
		if st.IsDir() {
			open = 0o002 // Debian once gave /usr/local to a group of administrators
		}
		uid, ok := OwnerOf(st)
		if !ok || uid != os.Geteuid() || st.Mode().Perm()&open != 0 {
			return false
		}
	}
	return true
}

func sameContent(a, b string) (bool, error) {
	x, err := os.ReadFile(a)
	if err != nil {
		return false, err
	}
	y, err := os.ReadFile(b)
	return bytes.Equal(x, y), err
}

// Install does what the plan says, and tells did about each thing that it
// has done. The service is not started. It reports whether what runs, if it
// does, is another than what is installed now.
func (s *Service) Install(ctx context.Context, p Plan, did func(string)) (changed bool, err error) {
	if err := os.MkdirAll(s.at(p.DataDir), 0o700); err != nil {
		return false, fmt.Errorf("make the data directory: %w", err)
	}
	rec, err := s.records(p)
	if err != nil {
		return false, err
	}
	if p.Copy {
		rec.Binary = p.Binary
	}
	rec.Group = rec.Group || p.Group
	// Before it is so: what is there by half has to be found again.
	if err := s.writeRecord(p.DataDir, rec); err != nil {
		return false, fmt.Errorf("note what was installed: %w", err)
	}
	if p.From != "" { // one installation has one note
		if _, err := s.remove(filepath.Join(p.From, recordFile)); err != nil {
			return false, err
		}
	}
	if p.Copy {
		program, err := os.ReadFile(s.at(p.Program))
		if err == nil {
			err = s.keepOld(p.Binary)
		}
		if err == nil {
			err = s.write(p.Binary, program, 0o755)
		}
		if err != nil {
			return false, fmt.Errorf("copy this program: %w", err)
		}
		did("copied this program to " + p.Binary)
	}
	if p.Group {
		if err := s.addGroup(ctx); err != nil {
			return false, err
		}
		did("made the group " + Name)
	}
	if p.File != Current {
		mode := fs.FileMode(0o644)
		if s.init.executable() {
			mode = 0o755
		}
		if err := s.write(s.init.path(), p.contents, mode); err != nil {
			return false, fmt.Errorf("write the service's definition: %w", err)
		}
		did("wrote " + s.init.path())
		if err := s.init.reload(ctx); err != nil {
			return false, err
		}
	}
	if err := s.init.do(ctx, "enable"); err != nil {
		return false, err
	}
	return p.Copy || p.File != Current, nil
}

// keepOld keeps the program at path, if there is one, beside it: "vpn upgrade
// --back" goes back to the version before, and not to an older one.
func (m machine) keepOld(path string) error {
	program, err := m.read(path)
	if err != nil || program == nil {
		return err
	}
	return m.write(path+selfupdate.OldSuffix, program, 0o755)
}

// record is what an installation has made that nothing else tells from what
// was there before. It lies in the data directory.
type record struct {
	Group  bool   `json:"group,omitempty"`
	Binary string `json:"binary,omitempty"`
}

const recordFile = "service.json"

func (m machine) readRecord(dataDir string) (record, error) {
	var r record
	path := filepath.Join(dataDir, recordFile)
	b, err := m.read(path)
	if err != nil || b == nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, vpn.Errorf(vpn.Conflict, "%s cannot be read: %w", path, err).WithHint("remove it, then try again")
	}
	return r, nil
}

// records is what installations have made so far: a data directory elsewhere
// does not make the machine another one.
func (m machine) records(p Plan) (record, error) {
	r, err := m.readRecord(p.DataDir)
	if err != nil || p.From == "" {
		return r, err
	}
	before, err := m.readRecord(p.From)
	return record{Group: r.Group || before.Group, Binary: cmp.Or(r.Binary, before.Binary)}, err
}

func (m machine) writeRecord(dataDir string, r record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return m.write(filepath.Join(dataDir, recordFile), append(b, '\n'), 0o600)
}

// group reports whether the group is there, and who is in it.
func (m machine) group() (there bool, members []string, err error) {
	b, err := m.read("/etc/group")
	if err != nil {
		return false, nil, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSpace(line), ":") // name, password, id, members
		if len(f) == 4 && f[0] == Name {
			return true, strings.FieldsFunc(f[3], func(r rune) bool { return r == ',' }), nil
		}
	}
	return false, nil, nil
}
