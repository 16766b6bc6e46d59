package cli

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpn/internal/vpn"
)

func usersCommand(p *program) *cobra.Command {
	cmd := group("users", "Manage users: limits, links, traffic", `  vpn users create alice --quota 50GB
  vpn users list
  vpn users link alice`,
		usersCreate(p), usersList(p), usersShow(p), usersUpdate(p), usersDelete(p), usersRestore(p), usersReset(p),
		usersEnable(p), usersDisable(p), usersKick(p), usersLink(p), usersQR(p), usersRotate(p), usersDevice(p),
	)
	cmd.Aliases = []string{"user"}
	return cmd
}

// limitFlags are the flags of what a user may use.
type limitFlags struct {
	limits  vpn.Limits
	expires time.Time
}

func (l *limitFlags) add(fs *pflag.FlagSet, now func() time.Time) {
	fs.Var(sizeValue(&l.limits.Quota), "quota", "traffic, up and down together: 50GB, 10GiB, none")
	fs.Var(whenValue(&l.expires, now), "expires", "the end: 30d, 2026-12-31, 2026-12-31T15:00 (UTC), never")
	fs.Var(rateValue(&l.limits.RateUp), "rate-up", "speed from the user: 20mbit, 2.5MB/s, none")
	fs.Var(rateValue(&l.limits.RateDown), "rate-down", "speed to the user")
	fs.Var(countValue(&l.limits.Devices), "devices", "networks at one time from which the user connects, or none")
	fs.Var(countValue(&l.limits.Connections), "connections", "connections at one time, or none")
}

// patch returns what those flags change that were given.
func (l *limitFlags) patch(fs *pflag.FlagSet) vpn.UserPatch {
	var p vpn.UserPatch
	for name, set := range map[string]func(){
		"quota":       func() { p.Quota = &l.limits.Quota },
		"expires":     func() { p.ExpiresAt = &l.expires },
		"rate-up":     func() { p.RateUp = &l.limits.RateUp },
		"rate-down":   func() { p.RateDown = &l.limits.RateDown },
		"devices":     func() { p.Devices = &l.limits.Devices },
		"connections": func() { p.Connections = &l.limits.Connections },
	} {
		if fs.Changed(name) {
			set()
		}
	}
	return p
}

func links(access []vpn.Access) []string {
	out := make([]string, 0, len(access))
	for _, a := range access {
		if a.Link != "" { // a dry run has none
			out = append(append(out, a.Link), a.Others...)
		}
	}
	return out
}
