package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/service"
	"vpn/internal/vpn"
)

func serviceStatus(p *program) *cobra.Command {
	return answers[service.Status](p, &cobra.Command{
		Use: "status", Short: "Show how the service is", Args: exactly(),
		Long: `Show how the init system runs the daemon, and whether its unit is the one that
this program would write. The exit status is 0 if the service runs, 3 if it is
not installed, and 6 if it is installed but does not run.`,
		Example: `  vpn service status
  vpn service status -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := service.Detect()
			if err != nil {
				return err
			}
			st, err := s.Status(cmd.Context())
			if err != nil {
				return unanswered(st, err)
			}
			if err := printService(p.printer(), s, st); err != nil {
				return err
			}
			return notRunning(s, st)
		},
	})
}

// notRunning is the error that a service's state is.
func notRunning(s *service.Service, st service.Status) error {
	switch st.State {
	case service.Running:
		return nil
	case service.NotInstalled:
		return vpn.Errorf(vpn.NotFound, "the service is not installed").WithHint("sudo vpn service install")
	}
	how := string(st.State)
	if st.State == service.Starting && st.Restarts > 0 {
		how += ", after " + many(st.Restarts, "restart")
	}
	if st.LastWords != "" {
		how += ": " + st.LastWords
	}
	err := vpn.Errorf(vpn.Unavailable, "the service is %s", how)
	if st.State == service.Starting || st.State == service.Stopping {
		return err.WithHint("its log: %s", s.FollowLog())
	}
	return err.WithHint("start it: %s; its log: %s", s.Command("start"), s.FollowLog())
}

func printService(out *printer, s *service.Service, st service.Status) error {
	state := string(st.State)
	if st.State == service.Running {
		state = "running since " + formatTime(st.Since)
	}
	if st.PID != 0 {
		state += ", pid " + strconv.Itoa(st.PID)
	}
	enabled := "no"
	if st.Enabled {
		enabled = "yes"
	}
	memory, exposure, restarts := "", "", ""
	if st.Memory > 0 {
		memory = vpn.FormatSize(st.Memory) + " with its servers"
	}
	if st.Exposure != "" {
		exposure = st.Exposure + " of 10, by systemd-analyze security"
	}
	if st.Restarts > 0 {
		restarts = strconv.Itoa(st.Restarts) + " by " + st.Init
	}
	fields := []any{
		"service", state,
		"init", st.Init,
		"enabled", enabled,
		"file", st.Definition + ", " + string(st.File),
		"drop-ins", strings.Join(st.DropIns, " "),
		"program", st.Binary,
		"data", st.DataDir,
		"memory", memory,
		"restarts", restarts,
		"last words", st.LastWords,
		"exposure", exposure,
		"log", s.FollowLog(),
	}
	return out.show(answer{
		data: st, names: []string{service.Name}, plain: serviceRow(st), quiet: []string{string(st.State)},
		fields: fields, warnings: serviceWarnings(st),
	})
}

func serviceWarnings(st service.Status) (warnings []string) {
	switch st.File {
	case service.Old:
		warnings = append(warnings, "another version of vpn wrote "+st.Definition+"; bring it up to date: sudo vpn service install")
	case service.Edited:
		warnings = append(warnings, st.Definition+" was changed by hand; the next vpn service install would replace it")
	case service.Foreign:
		warnings = append(warnings, "vpn did not write "+st.Definition)
	case service.Missing:
		return nil
	}
	if st.Stale {
		warnings = append(warnings, "systemd has not read its files again since they changed: systemctl daemon-reload")
	}
	if !st.Enabled {
		warnings = append(warnings, "it does not start with the machine: sudo vpn service install")
	}
	return warnings
}
