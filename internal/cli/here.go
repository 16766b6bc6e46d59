package cli

import (
	"github.com/spf13/cobra"

	"vpn/internal/vpn"
)

// This file is what is refused where no control plane can run, and where the
// command line only asks those of other machines.

// linuxOnly is the annotation of commands about the installation of this
// machine, of which there is none where no control plane can run.
const linuxOnly = "linux-only"

// onLinux marks a command, and those below it, so, and with [ofThisMachine].
func onLinux(cmd *cobra.Command) *cobra.Command {
	ofThisMachine(cmd).Annotations[linuxOnly] = "true"
	return cmd
}

// mayBeHere returns an error if cmd is about an installation that this machine
// cannot have.
func mayBeHere(cmd *cobra.Command) error {
	if cmd.HasSubCommands() { // a group only prints its help
		return nil
	}
	for at := cmd; at != nil; at = at.Parent() {
		if at.Annotations[linuxOnly] != "" {
			return servesHere()
		}
	}
	return nil
}

// hasConfigFile returns an error if the configuration file of this machine is
// meant, and no control plane can run here to read it. One that is named may
// be for another machine.
func hasConfigFile(p *program) error {
	err := servesHere()
	if err == nil || p.global.configFile != "" || p.Getenv("VPN_CONFIG") != "" {
		return nil
	}
	return vpn.Errorf(vpn.Unavailable, "%w", err).WithHint("name the file, which may be for another machine: --config FILE; or ask a daemon for its own: vpn --socket ssh://root@HOST config show --daemon")
}
