package app

import (
	"context"
	"fmt"
	"strings"

	"vpn/internal/vpn"
)

// This file is what can be asked of the daemon itself.

// Reload makes the daemon read its configuration again. A configuration that
// is wrong, or that cannot come into force without a restart, is refused as a
// whole. Either way it is in the audit log, unless it is a dry run.
func (s *SystemInfo) Reload(ctx context.Context) (vpn.Reload, error) {
	actor, err := authorize(ctx, "system.reload")
	if err != nil {
		return vpn.Reload{}, err
	}
	if s.Process == nil {
		return vpn.Reload{}, noDaemon()
	}
	if s.dryRun() {
		changed, err := s.Process.CheckReload(ctx)
		return vpn.Reload{Changed: changed, DryRun: true}, err
	}
	changed, err := s.Process.Reload(ctx)
	detail := "nothing has changed"
	switch {
	case err != nil:
		detail = "refused: " + err.Error()
	case len(changed) > 0:
		detail = "changed " + strings.Join(changed, ", ")
	}
	s.note(ctx, actor, "system.reload", "", detail)
	return vpn.Reload{Changed: changed}, err
}

// Upgrade makes the daemon go over to the program that is installed now, if
// that says that it can take over. Servers go on meanwhile, and with the old
// program until they are restarted.
func (s *SystemInfo) Upgrade(ctx context.Context) (vpn.Upgrade, error) {
	actor, err := authorize(ctx, "system.upgrade")
	if err != nil {
		return vpn.Upgrade{}, err
	}
	if s.Process == nil {
		return vpn.Upgrade{}, noDaemon()
	}
	u, err := s.Process.Upgrade(ctx)
	if err != nil {
		s.note(ctx, actor, "system.upgrade", "", "refused: "+err.Error())
		return vpn.Upgrade{}, err
	}
	return u, nil
}

// Upgraded records that this program has taken over from another version,
// or, with a problem, that another version gave back to this one.
func (s *SystemInfo) Upgraded(ctx context.Context, other, problem string) {
	detail := "from " + other + " to " + s.Version
	if problem != "" {
		detail = "back to " + s.Version + ": " + other + " failed: " + problem
	}
	s.note(ctx, System(), "system.upgrade", "", detail)
}

func noDaemon() error {
	return vpn.Errorf(vpn.Unavailable, "no daemon is running").WithHint("start it: vpn up; as a service: sudo vpn service install")
}

// Summary says in a few words how things are, for a service manager's status.
func (s *SystemInfo) Summary(ctx context.Context) (string, error) {
	servers, err := (&Servers{s.core}).list(ctx)
	if err != nil {
		return "", err
	}
	wanted, running := 0, 0
	for _, srv := range servers {
		if srv.Enabled {
			wanted++
		}
		if srv.State == vpn.Running {
			running++
		}
	}
	online := 0
	live, _ := s.reconciler.ledger.live()
	for _, u := range live {
		if u.conns > 0 {
			online++
		}
	}
	return fmt.Sprintf("%d of %s running, %s online", running, plural(wanted, "server"), plural(online, "user")), nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
