package daemon

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// AfterStop is what a service manager runs once the control plane has ended
// (ExecStopPost of systemd): it ends the workers if somebody stops the unit.
// After a crash and in a restart they are left for the next control plane to
// adopt. The service's result does not tell these apart; the queue of jobs
// does: a crash has none, a restart has one of its own type.
func AfterStop(ctx context.Context, o Options, unit string) (Ended, error) {
	stopping, err := stopQueued(ctx, unit)
	if err != nil || !stopping {
		return Ended{}, err
	}
	return EndWorkers(ctx, o)
}

// stopQueued reports whether systemd has a job that stops the unit.
func stopQueued(ctx context.Context, unit string) (bool, error) {
	out, err := exec.CommandContext(ctx, "systemctl", "list-jobs", "--no-legend", "--plain").Output()
	if err != nil {
		return false, fmt.Errorf("ask systemd for its jobs: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line) // number, unit, type, state
		if len(f) >= 3 && f[1] == unit && f[2] == "stop" {
			return true, nil
		}
	}
	return false, nil
}
