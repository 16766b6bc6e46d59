package wireguard

import (
	"flag"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"vpn/internal/engine"
	"vpn/internal/engine/enginetest"
	"vpn/internal/protocol/wireguard"
	"vpn/internal/router"
	"vpn/internal/vpn"
)

const insideEnv = "VPN_TEST_INSIDE"

// inNamespace runs the test again in a network namespace of its own, and
// reports whether this is that run.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideEnv) != "" {
		return true
	}
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("this test needs root, for a network namespace with a TUN device")
		}
		t.Skip("this test needs root, for a network namespace with a TUN device")
	}
	pattern := "^" + t.Name() + "$"
	if _, cases, some := strings.Cut(flag.Lookup("test.run").Value.String(), "/"); some {
		pattern += "/" + cases
	}
	cmd := exec.Command(os.Args[0], "-test.run="+pattern, "-test.timeout=4m", "-test.v="+verbose())
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return false
}

func verbose() string {
	if testing.Verbose() {
		return "true"
	}
	return "false"
}

func run(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

// TestTUN runs the suite over a TUN device. Destinations are at addresses of
// this host, which is where its packets come out.
func TestTUN(t *testing.T) {
	t.Parallel() // in a process of its own
	if !inNamespace(t) {
		return
	}
	four, six := netip.MustParseAddr("10.99.0.7"), netip.MustParseAddr("fd99::7")
	run(t, "ip", "link", "set", "lo", "up")
	run(t, "ip", "addr", "add", four.String()+"/32", "dev", "lo")
	run(t, "ip", "addr", "add", six.String()+"/128", "dev", "lo", "nodad")
	spec := server(t, wireguard.TUN)
	except := []string{"one user who takes all"} // nobody takes sockets of the process: all that it sees is packets
	if enginetest.Raced {                        // as in user space; test/e2e has both kinds of TCP, without it
		except = append(except, "rate", "throttled user")
	}
	enginetest.Run(t, enginetest.Harness{
		Except: except,
		New: func(c engine.Config) (engine.Engine, error) {
			c.Tunnel = openTUN(t, spec)
			return newHasty(c)
		},
		Server:  func(testing.TB) vpn.ServerSpec { return spec },
		Secret:  newSecret,
		Dial:    newClients().dial,
		Listens: "udp",
		Tunnel:  true,
		Packets: true,
		Host4:   four,
		Host6:   six,
	})
}

// openTUN makes a TUN device for a server, with its addresses and no rules.
func openTUN(t testing.TB, spec vpn.ServerSpec) int {
	t.Helper()
	id := vpn.ServerID(vpn.NewID())
	f, err := router.Open(id)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	want, err := wireguard.Protocol{}.Tunnel(vpn.Server{Settings: spec.Settings})
	if err != nil {
		t.Fatal(err)
	}
	name := router.Device(id)
	for _, a := range want.Addresses {
		args := []string{"ip", "addr", "add", a.String(), "dev", name}
		if a.Addr().Is6() {
			args = append(args, "nodad")
		}
		run(t, args...)
	}
	run(t, "ip", "link", "set", name, "up", "mtu", "1420")
	return fd
}
