package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/config"
	"vpn/internal/service"
	"vpn/internal/vpn"
)

func configSet(p *program) *cobra.Command {
	var daemon bool
	cmd := &cobra.Command{
		Use: "set KEY VALUE", Short: "Set a value in the configuration file", Args: exactly("[KEY]", "[VALUE]"),
		Long: `Set a value in the configuration file. It is checked first; everything else in
the file stays as it is, comments included. A running daemon takes it once it
is reloaded. With --daemon it is that daemon that checks the value and writes its
own file, wherever it runs.`,
		Example: `  vpn config set public_host vpn.example.org
  vpn config set log_level debug
  vpn config set log_level debug --daemon --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := configKey(p, cmd, args)
			if err != nil {
				return err
			}
			value, err := configNewValue(p, cmd, args, key)
			if err != nil {
				return err
			}
			if daemon {
				return changeDaemonConfig(cmd.Context(), p, "set", key, value, vpn.ConfigPatch{Set: map[string]string{key: value}})
			}
			before, _ := p.config() // what is wrong in it may be what is mended here
			path, changed, err := editConfig(p, func(path string, data []byte) ([]byte, error) {
				return config.Set(path, data, key, value)
			})
			if err != nil {
				return err
			}
			return configEdited(p, configEdit{Key: key, Value: value, File: path, Changed: changed}, "set", before)
		},
	}
	daemonFlag(cmd.Flags(), &daemon, "have the daemon change its file")
	return changes[configEdit](p, cmd)
}

// applies says how what was set comes into force. A daemon never changes its
// data directory while it runs, for its servers would be left alone.
func applies(p *program, e configEdit, before config.Config) string {
	if e.Key != "data_dir" {
		return "make the daemon read it: vpn reload"
	}
	from, to := before.DataDir, e.Value
	if after, err := config.Load(sources(p)); to == "" && err == nil {
		to = after.DataDir
	}
	stop, start := "stop the daemon with its servers", "start it again"
	if s, err := service.Detect(); err == nil && exists(s.Definition()) {
		stop, start = s.Command("stop"), "vpn service install"
	}
	move := "mv " + from + " " + to
	if from == "" || to == "" || from == to {
		move = "move the data directory"
	}
	return "this moves nothing, and a daemon that runs keeps what it has; to move the data: " + stop + "; " + move + "; " + start
}

// configEdited says what was done to the configuration file.
func configEdited(p *program, e configEdit, verb string, before config.Config) error {
	e.DryRun = p.global.dryRun
	a := answer{data: e, names: []string{e.Key}, plain: paths([]string{e.File})}
	if variable := "VPN_" + strings.ToUpper(e.Key); p.Getenv(variable) != "" {
		a.warnings = []string{variable + " is set, and rules over the file"}
	}
	a.done = edited(e, verb)
	if _, err := config.Load(sources(p)); err != nil && !e.DryRun {
		a.warnings = append(a.warnings, "the configuration is still not good, and a reload would refuse it: "+err.Error())
	} else if e.Changed && !e.DryRun {
		a.next = []string{applies(p, e, before)}
	}
	return p.printer().show(a)
}
