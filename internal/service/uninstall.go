package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"vpn/internal/selfupdate"
	"vpn/internal/vpn"
)

// Uninstall stops the service with its servers, and takes it away from the
// init system. What the daemon has stored stays, and so do drop-ins. The
// service's stop ends the workers; end is called after it, to end those that
// are left nevertheless, and returns how many it has ended. With an error of
// its the service stays installed.
func (s *Service) Uninstall(ctx context.Context, end func(context.Context) (int, error), did func(string)) error {
	st, err := s.Status(ctx)
	if err != nil {
		return err
	}
	if _, err := s.WouldUninstall(st); err != nil {
		return err
	}
	if err := s.stop(ctx, st, end, did); err != nil {
		return err
	}
	if st.File != Missing {
		if err := s.init.do(ctx, "disable"); err != nil {
			return fmt.Errorf("disable the service: %w", err)
		}
		if _, err := s.remove(s.init.path()); err != nil {
			return err
		}
		did("removed " + s.init.path())
	}
	return s.init.reload(ctx)
}

// WouldUninstall returns what [Service.Uninstall] would do where the service
// is as st says, or why it would not.
func (s *Service) WouldUninstall(st Status) (steps []string, err error) {
	switch {
	case st.File == Foreign:
		return nil, vpn.Errorf(vpn.Conflict, "vpn did not write %s, and leaves it alone", st.Definition).
			WithHint("if it is in the way, stop and remove it by hand")
	case st.File == Missing && st.State == NotInstalled:
		return nil, vpn.Errorf(vpn.NotFound, "the service is not installed").WithHint("see: vpn service status")
	}
	if st.State != Stopped {
		steps = append(steps, "stop the service and its servers")
	}
	if st.File != Missing {
		steps = append(steps, "remove "+st.Definition)
	}
	return steps, nil
}

// Stop stops the service with its servers, as [Service.Uninstall] does.
func (s *Service) Stop(ctx context.Context, end func(context.Context) (int, error), did func(string)) error {
	st, err := s.Status(ctx)
	if err != nil {
		return err
	}
	return s.stop(ctx, st, end, did)
}

func (s *Service) stop(ctx context.Context, st Status, end func(context.Context) (int, error), did func(string)) error {
	stops := st.State != Stopped && st.State != NotInstalled
	if stops {
		if err := s.init.do(ctx, "stop"); err != nil {
			return fmt.Errorf("stop the service: %w", err)
		}
	}
	left, err := end(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("end the servers: %w", err)
	case stops:
		did("stopped the service and its servers")
	case left > 0:
		did("ended the servers that were left")
	}
	return nil
}

// DropIns returns the files beside the definition that administrators have
// written, and which mean nothing without it.
func (s *Service) DropIns() []string { return s.find(s.init.extras()...) }

// A Part is something that belongs to an installation and can be removed.
type Part struct {
	Path string // or a name
	What string
	// Remove removes it. That it is gone already is no error.
	Remove func(context.Context) error
}

// Parts returns what the installation of a data directory has put onto this
// machine beside its service: in the order in which it can be removed, as far
// as it is there. The service is nil if there is no init system. With keepData
// what a later installation could go on with is left out.
func Parts(s *Service, dataDir, config string, keepData bool) ([]Part, error) {
	m := machine{run: execute}
	if s != nil {
		m = s.machine
	}
	rec, err := m.readRecord(dataDir)
	if err != nil {
		return nil, err
	}
	var parts []Part
	add := func(what string, patterns ...string) {
		for _, path := range m.find(patterns...) {
			parts = append(parts, Part{path, what, func(context.Context) error {
				_, err := m.remove(path)
				return err
			}})
		}
	}
	if s != nil {
		add("changes of the service by hand", s.init.extras()...)
		add("log", logFiles(s.init.log())...)
	}
	if keepData {
		add("note of what was installed", filepath.Join(dataDir, recordFile))
		add("link to the sockets", filepath.Join(dataDir, "run"))
	} else {
		if config != "" && m.exists(config) {
			parts = append(parts, Part{config, "configuration", func(context.Context) error {
				_, err := m.remove(config)
				_ = os.Remove(m.at(filepath.Dir(config))) // if there is nothing else in it
				return err
			}})
		}
		if m.exists(dataDir) {
			parts = append(parts, Part{dataDir, "data: users, keys, traffic, logs", func(context.Context) error { return m.removeData(dataDir) }})
		}
	}
	if there, _, err := m.group(); err != nil {
		return nil, err
	} else if there && rec.Group {
		parts = append(parts, Part{"group " + Name, "who may use vpn without sudo", m.deleteGroup})
	}
	if rec.Binary != "" {
		add("this program", rec.Binary, rec.Binary+selfupdate.OldSuffix)
	}
	return parts, nil
}

// ours are the names of what the daemon keeps in a data directory.
var ours = []string{"vpn.db*", "lock", "run", "logs", "workers", "compose", "backups", recordFile}

// removeData removes a data directory. The system's own is ours with all that
// is in it; from one that somebody named, only what is known to be ours is
// removed, and the rest is named.
func (m machine) removeData(dir string) error {
	real, err := filepath.EvalSymlinks(m.at(dir)) // it may be a link to a larger disk
	if err != nil {
		return err
	}
	if dir != systemDataDir {
		var patterns []string
		for _, name := range ours {
			patterns = append(patterns, filepath.Join(dir, name))
		}
		if _, err := m.remove(patterns...); err != nil {
			return err
		}
		rest, err := os.ReadDir(real)
		if err != nil {
			return err
		}
		if len(rest) > 0 {
			return vpn.Errorf(vpn.Conflict, "in %s is something that vpn did not write: %s", dir, rest[0].Name()).
				WithHint("look at it, and remove the directory by hand")
		}
	}
	err = os.RemoveAll(real)
	if real != m.at(dir) {
		err = errors.Join(err, os.Remove(m.at(dir)))
	}
	return err
}

// systemDataDir is the data directory that no other program would use.
const systemDataDir = "/var/lib/vpn"
