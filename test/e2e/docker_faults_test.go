//go:build linux && e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// What somebody does to a container by hand is seen within two seconds, and
// made good.
func TestContainersAreRepaired(t *testing.T) {
	t.Parallel()
	i, engine := dock(t)
	i.Serve()
	i.CreateServer("main", port, "--runtime", "docker")
	client := i.World.Xray(t, i.CreateUsers("u", 1)...)
	for _, c := range []struct {
		args  []string // of docker; the container follows
		state vpn.ServerState
		says  string
		back  time.Duration // measured: 0.3 to 1.8 s, and 10 s to 12 s
	}{
		{[]string{"rm", "-f"}, "", "", 5 * time.Second},
		{[]string{"stop"}, "", "", 5 * time.Second},
		{[]string{"kill"}, "", "", 5 * time.Second},
		// It is given ten seconds, as any worker that does not answer.
		{[]string{"pause"}, vpn.Unresponsive, "paused", 20 * time.Second},
		// It hangs, and nobody has told.
		{[]string{"kill", "--signal", "STOP"}, "", "", 20 * time.Second},
	} {
		before := shown(i, "main")
		if err := works(t, client, 0); err != nil {
			t.Fatalf("before %v: %v", c.args, err)
		}
		engine.Must(t, append(c.args, before.Worker.Container)...)
		if c.state != "" {
			took := rig.Until(t, 10*time.Second, func() error {
				s := shown(i, "main")
				if s.State != c.state || !strings.Contains(s.Problem, c.says) {
					return fmt.Errorf("%v: it is %s: %s", c.args, s.State, s.Problem)
				}
				return nil
			})
			if took > 2*time.Second && !rig.Slow() {
				t.Errorf("%v: it is seen after %v", c.args, took)
			}
		}
		took := rig.Until(t, 60*time.Second, func() error {
			s := shown(i, "main")
			if s.State != vpn.Running || s.Worker == nil || s.Worker.Epoch == before.Worker.Epoch {
				return fmt.Errorf("%v: it is %s: %s", c.args, s.State, s.Problem)
			}
			return works(t, client, 0)
		})
		t.Logf("%v: serves again after %v", c.args, took)
		if took > c.back && !rig.Slow() {
			t.Errorf("%v: serves again after %v", c.args, took)
		}
	}
	if out := engine.Must(t, "ps", "-aq", "--filter", "label=vpn.server"); strings.Count(out, "\n") != 1 {
		t.Errorf("the containers are %q", out)
	}
}
