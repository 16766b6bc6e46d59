package service

import (
	"context"
	"os"
	"strconv"
	"time"
)

// State is how the service is.
type State string

// The states of a service.
const (
	NotInstalled State = "not installed"
	Stopped      State = "stopped"
	Starting     State = "starting"
	Running      State = "running"
	Stopping     State = "stopping"
	Failed       State = "failed"
)

// Status is what there is to know about the service.
type Status struct {
	Init       string    `json:"init"`       // "systemd", "openrc"
	Definition string    `json:"definition"` // the path of the unit or script
	File       File      `json:"file"`       // how it stands to what this program would write
	DropIns    []string  `json:"drop_ins,omitempty"`
	Stale      bool      `json:"stale,omitempty"` // the init system has not read it again since it changed
	State      State     `json:"state"`
	Enabled    bool      `json:"enabled"`
	PID        int       `json:"pid,omitempty"`
	Since      time.Time `json:"since,omitzero"`
	Restarts   int       `json:"restarts,omitempty"` // by the init system, since somebody started it
	Memory     uint64    `json:"memory,omitempty"`   // of the daemon and the workers, in bytes; 0 if not known
	Exposure   string    `json:"exposure,omitempty"` // by systemd-analyze security, 0 to 10
	Binary     string    `json:"binary,omitempty"`
	DataDir    string    `json:"data_dir,omitempty"`
	LastWords  string    `json:"last_words,omitempty"` // of a daemon that has failed
}

// Status asks the init system. It needs no privileges.
func (s *Service) Status(ctx context.Context) (Status, error) {
	st := Status{Init: s.init.name(), Definition: s.init.path()}
	definition, err := s.read(s.init.path())
	if err != nil {
		return st, err
	}
	var set Settings
	st.File, set = judge(definition, s.init.render)
	st.Binary, st.DataDir = set.Binary, set.DataDir
	if err := s.init.state(ctx, &st); err != nil {
		return st, err
	}
	if st.File == Missing && st.State == Stopped {
		st.State = NotInstalled
	}
	if st.State == Failed || st.State == Starting && st.Restarts > 0 {
		st.LastWords = s.init.lastWords(ctx)
	}
	return st, nil
}

// Runs reports whether the daemon that runs is the program at path, and not
// one that was there before.
func (st Status) Runs(path string) bool {
	exe, err := os.Readlink("/proc/" + strconv.Itoa(st.PID) + "/exe")
	return err == nil && exe == path
}
