package app

import (
	"context"
	"os"
	"time"

	"vpn/internal/vpn"
)

// SystemInfo are the use cases about the installation as a whole.
type SystemInfo struct {
	*core
	since time.Time
}

// Status returns the state of the installation.
func (s *SystemInfo) Status(ctx context.Context) (vpn.Status, error) {
	if _, err := authorize(ctx, "system.status"); err != nil {
		return vpn.Status{}, err
	}
	servers, err := (&Servers{s.core}).list(ctx)
	if err != nil {
		return vpn.Status{}, err
	}
	out := vpn.Status{
		Version: s.Version, Daemon: s.reconciler.Supervising(), PID: os.Getpid(), DataDir: s.DataDir,
		Since: s.since, Users: map[vpn.UserStatus]int{}, Synced: true, Servers: servers,
	}
	if err := s.users(ctx, &out); err != nil {
		return vpn.Status{}, err
	}
	for _, srv := range servers {
		out.Online += srv.Online
		out.Rate = out.Rate.Add(srv.Rate)
		if srv.State != vpn.Running && srv.State != vpn.Stopped {
			out.Synced = false
			if srv.Problem != "" { // else it is on its way
				out.Warnings = append(out.Warnings, "server "+srv.Name+" is "+string(srv.State)+": "+srv.Problem)
			}
		}
		if w := srv.Worker; w != nil && !w.Confined {
			out.Warnings = append(out.Warnings, "server "+srv.Name+" is not confined: the kernel has no Landlock, or it is switched off, so file permissions alone keep its worker from other files")
		}
		if srv.Enabled {
			out.Warnings = append(out.Warnings, s.warnings(srv.Server)...)
		}
	}
	switch usage, change := s.reconciler.books.problem(), s.store.problem(); {
	case usage != nil:
		out.Warnings = append(out.Warnings, "usage cannot be stored now, and is kept until it can: "+usage.Error())
	case change != nil:
		out.Warnings = append(out.Warnings, "the last change could not be stored: "+change.Error())
	}
	out.Warnings = append(out.Warnings, s.diskWarnings()...)
	if jump := s.reconciler.clock.Jump(); jump != 0 {
		out.Warnings = append(out.Warnings, "this machine's clock has jumped by "+jump.Round(time.Second).String()+": it is not believed before it has stood for a minute")
	}
	for _, srv := range servers {
		if w := srv.Worker; w != nil && w.Version != s.Version {
			out.Warnings = append(out.Warnings, "server "+srv.Name+" still runs version "+w.Version+
				"; this cuts its connections and makes it run "+s.Version+": vpn server restart "+srv.Name)
		}
	}
	if s.Process != nil {
		out.Executable = s.Process.Executable()
		out.Warnings = append(out.Warnings, s.Process.Warnings()...)
	}
	return out, nil
}

// users sums up all users.
func (s *SystemInfo) users(ctx context.Context, to *vpn.Status) error {
	users, now, err := s.reconciler.roster.read(ctx)
	if err != nil {
		return err
	}
	var ends vpn.Endings
	at := s.Now()
	for _, u := range users {
		l := now[u.ID]
		l.on(&u)
		status := u.Status(at)
		to.Users[status]++
		if l.conns > 0 {
			to.UsersOnline++
		}
		ends.Add(u, status, at)
	}
	to.Expiring, to.NearQuota = ends.Sum()
	return nil
}

// Host returns how the machine is that the control plane runs on.
func (s *SystemInfo) Host(ctx context.Context) (vpn.Host, error) {
	if _, err := authorize(ctx, "system.host"); err != nil {
		return vpn.Host{}, err
	}
	if s.Config.Host == nil {
		return vpn.Host{}, vpn.Errorf(vpn.Unavailable, "nothing is known of this machine")
	}
	return s.Config.Host(ctx)
}

// How little space is worth a word.
const (
	nearlyFull = 16 << 20
	quiteFull  = 64 << 10
)

// diskWarnings returns what a person should know about the data directory.
func (s *SystemInfo) diskWarnings() []string {
	if s.FreeSpace == nil {
		return nil
	}
	free, known := s.FreeSpace(s.DataDir)
	switch {
	case !known || free >= nearlyFull:
		return nil
	case free >= quiteFull:
		return []string{"the disk is nearly full: " + s.DataDir + " has " + vpn.FormatSize(free) + " free"}
	}
	return []string{"the disk is full: " + s.DataDir + " has no room: servers run on, and changes are refused until there is some"}
}

// Events returns the newest entries of the audit log, the newest first.
func (s *SystemInfo) Events(ctx context.Context, limit int) ([]vpn.Event, error) {
	if _, err := authorize(ctx, "system.events"); err != nil {
		return nil, err
	}
	if limit < 1 || limit > 10_000 {
		return nil, vpn.Errorf(vpn.Invalid, "limit must be from 1 to 10000")
	}
	var out []vpn.Event
	err := s.Store.View(ctx, func(tx Tx) (err error) {
		out, err = tx.Events.List(limit)
		return err
	})
	return out, err
}
