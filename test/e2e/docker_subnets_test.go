//go:build linux && e2e

package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// A subnet that a network of Docker's has is refused, whether it has a route
// on this machine or not. An engine that hangs holds nobody up for long, and
// that it was not asked is said; one that is not there is not missed.
func TestSubnetsBesideDocker(t *testing.T) {
	t.Parallel()
	w := rig.NewWorld(t)
	engine := w.Server.Docker(t)
	id := engine.Must(t, "network", "create", "--subnet", "10.60.0.0/16", "--ipv6", "--subnet", "fd60::/48", "office")
	w.Server.IP(t, "link del br-"+id[:12]) // until it is used
	engine.Must(t, "network", "create", "--driver", "macvlan", "--opt", "parent=to-outside", "--subnet", "10.61.0.0/16", "lan")
	x := w.Instance(t)
	rig.Setenv(x, "DOCKER_HOST="+engine.Host)
	create := func(name string, args ...string) rig.Result {
		return x.Run(append([]string{"server", "create", name, "--protocol", "wireguard", "--public-host", rig.ServerAddr}, args...)...)
	}
	for subnet, by := range map[string]string{
		"10.60.7.0/24": "office, which has 10.60.0.0/16", "10.61.0.0/28": "lan, which has 10.61.0.0/16", "172.17.0.0/16": "bridge, which has 172.17.0.0/16",
		"fd60:0:0:7::/64": "office, which has fd60::/48",
	} {
		flag := "--subnet"
		if strings.Contains(subnet, ":") {
			flag = "--subnet6"
		}
		if r := create("wg", flag, subnet); r.Status != 5 || !strings.Contains(r.Err, "subnet "+subnet+" is taken by Docker network "+by) {
			t.Errorf("%s %s says %d: %s", flag, subnet, r.Status, r.Err)
		}
	}
	if r := create("beside", "--subnet", "10.62.0.0/16", "--subnet6", "fd60:1::/64"); r.Status != 0 {
		t.Errorf("a subnet beside them is refused: %d: %s", r.Status, r.Err)
	}

	hang := func(s syscall.Signal) {
		if err := syscall.Kill(engine.PID(), s); err != nil {
			t.Fatal(err)
		}
	}
	const unknown = "Docker's engine does not answer"
	hang(syscall.SIGSTOP)
	r := create("while-it-hangs")
	hang(syscall.SIGCONT)
	if r.Status != 0 || strings.Count(r.Err, unknown) != 1 || r.Took > 15*time.Second {
		t.Errorf("with an engine that hangs it takes %v and says %d: %s", r.Took, r.Status, r.Err)
	}
	if err := engine.Stop(); err != nil {
		t.Fatal(err)
	}
	if r := create("without"); r.Status != 0 || strings.Contains(r.Err, "Docker") {
		t.Errorf("without an engine it says %d: %s", r.Status, r.Err)
	}
	var servers []vpn.ServerInfo
	if x.JSON(&servers, "server", "list"); len(servers) != 3 {
		t.Errorf("there are %d servers", len(servers))
	}
}
