//go:build linux && e2e

package docker_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vpn/internal/runtime/docker"
	"vpn/internal/runtime/runtimetest"
	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// An engine that stops takes its containers with it, and brings them back with
// what they were told; nothing is taken for the end of a worker meanwhile.
func TestEngineStopsAndStarts(t *testing.T) {
	t.Parallel()
	e := ownEngine(t)
	b := benchAt(t, e.Host)
	w := b.Start()
	b.Put(w, b.Spec(3, "alice"))
	bounce(t, b.Connect("alice"))
	before := b.Health(w)
	kept(t, b, 3)
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	wantNoAnswer(t, b, "")
	if _, err := w.Health(b.Context()); vpn.KindOf(err) != vpn.Unavailable {
		t.Errorf("its worker says %v", err)
	}
	changed := b.Workers.(*docker.Workers).Changed()
	drain(changed)
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	ended(t, w, 10*time.Second)
	told(t, changed, b)
	within(t, 10*time.Second, func() error { return b.Do("alice", "echo") })
	after := b.Health(answering(t, b))
	if after.Epoch == before.Epoch || after.Revision != 3 {
		t.Errorf("it was %+v and is %+v", before, after)
	}
	left, err := b.Workers.Remains(b.Context(), b.Place())
	if err != nil || len(left) != 1 || left[0].Epoch != before.Epoch || left[0].Counters[0].Up != 5 {
		t.Errorf("it left %+v, %v", left, err)
	}
}

// wantNoAnswer fails unless all that needs the engine says what is wrong.
func wantNoAnswer(t *testing.T, b *runtimetest.Bench, says string) {
	t.Helper()
	other, err := openAt(engineOf(b), b.Dir) // holds nothing
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	w, err := other.Find(b.Context(), b.Place())
	for what, err := range map[string]error{
		"find": err, "start": second(other.Start(b.Context(), b.Server)), "list": second(other.List(b.Context())),
	} {
		if vpn.KindOf(err) != vpn.Unavailable || vpn.HintOf(err) == "" || !strings.Contains(err.Error(), says) {
			t.Errorf("%s gives %v, %v with hint %q", what, w, err, vpn.HintOf(err))
		}
	}
}

func second[T any](_ T, err error) error { return err }

// engineOf is where a bench's engine is.
func engineOf(b *runtimetest.Bench) string {
	text, err := os.ReadFile(filepath.Join(b.Dir, engineFile))
	if err != nil {
		b.T.Fatal(err)
	}
	return string(text)
}

// With live-restore, containers and their connections outlive the engine,
// however that ends.
func TestLiveRestore(t *testing.T) {
	t.Parallel()
	e := ownEngine(t, "--live-restore")
	b := benchAt(t, e.Host)
	w := b.Start()
	b.Put(w, b.Spec(1, "alice"))
	c := b.Connect("alice")
	before := b.Health(w)
	for _, how := range []string{"stop", "kill"} {
		if how == "stop" {
			if err := e.Stop(); err != nil {
				t.Fatal(err)
			}
		} else {
			e.Kill()
		}
		bounce(t, c)
		if now := b.Health(w); now.Epoch != before.Epoch || now.PID != before.PID {
			t.Errorf("it was %+v and is %+v", before, now)
		}
		if err := e.Start(); err != nil {
			t.Fatal(err)
		}
		bounce(t, c)
		other, err := openAt(e.Host, b.Dir)
		if err != nil {
			t.Fatal(err)
		}
		found, err := other.Find(b.Context(), b.Place())
		if err != nil || found == nil {
			t.Fatalf("the next control plane finds %v, %v", found, err)
		}
		if now := b.Health(found); now.Epoch != before.Epoch {
			t.Errorf("it finds %+v, want %+v", now, before)
		}
		other.Close()
		select {
		case <-w.Done():
			t.Fatal("a living worker is reported to have ended")
		default:
		}
	}
	// Its end is seen again.
	b.Signal(before.PID, syscall.SIGKILL)
	ended(t, w, 5*time.Second)
}

// An engine that hangs delays what needs it for a bounded time, and nothing
// else.
func TestEngineHangs(t *testing.T) {
	t.Parallel()
	e := ownEngine(t)
	b := benchAt(t, e.Host)
	w := b.Start()
	b.Put(w, b.Spec(1, "alice"))
	rig.Signal(t, e.PID(), syscall.SIGSTOP)
	began := time.Now()
	wantNoAnswer(t, b, "does not answer in time")
	if took := time.Since(began); took > 60*time.Second {
		t.Errorf("four calls take %v", took)
	}
	bounce(t, b.Connect("alice"))
	if found := b.Find(); found != w {
		t.Error("the worker that is held is not found")
	}
	if _, err := w.Usage(b.Context(), 0); err != nil {
		t.Error(err)
	}
	rig.Signal(t, e.PID(), syscall.SIGCONT)
	if _, err := w.Stop(b.Context()); err != nil {
		t.Error(err)
	}
}

// What the engine holds beside ours is not touched, and of ours nothing is
// left; an image that somebody has removed is made again.
func TestNothingElseIsTouched(t *testing.T) {
	t.Parallel()
	e := ownEngine(t)
	a, b := benchAt(t, e.Host), benchAt(t, e.Host)
	a.Start()
	imageOf := func(b *runtimetest.Bench) string {
		t.Helper()
		return strings.TrimSpace(e.Must(t, "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "label=vpn.store="+storeOf(b.Dir)))
	}
	tag := imageOf(a)
	// Others' objects, called and labelled as nearly like ours as may be.
	e.Must(t, "tag", tag, "others:1")
	e.Must(t, "volume", "create", "--label", "vpn.server="+string(b.Server.ID), "vpn-volume")
	e.Must(t, "create", "--name", "vpn-"+b.Server.Name, "--label", "vpn.server="+string(b.Server.ID), "others:1", "help")
	e.Must(t, "create", "--name", "vpn-else", "--label", "vpn.store=else", "--label", "vpn.server="+string(b.Server.ID), "others:1", "help")
	before := e.Objects(t)

	w := b.Start()
	b.Put(w, b.Spec(1, "alice"))
	bounce(t, b.Connect("alice"))
	if err := w.Kill(b.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Workers.Discard(b.Context(), b.Place()); err != nil {
		t.Fatal(err)
	}
	its := imageOf(b) // which is for its next life
	objects := func() string {
		var others []string
		for line := range strings.Lines(e.Objects(t)) {
			if !strings.Contains(line, its) {
				others = append(others, line)
			}
		}
		return strings.Join(others, "")
	}
	if after := objects(); its == "" || its == tag || after != before {
		t.Errorf("before\n%s\nafter a life, with an image %s\n%s", before, its, after)
	}
	if entries, err := os.ReadDir(filepath.Join(b.Dir, "workers")); err != nil || len(entries) != 0 {
		t.Errorf("there is left %v, %v", entries, err)
	}
	b.Start()
	if err := b.Workers.(*docker.Workers).Purge(b.Context()); err != nil {
		t.Fatal(err)
	}
	if after := e.Objects(t); after != before {
		t.Errorf("before\n%s\nafter a purge\n%s", before, after)
	}

	// An image goes with the last that uses it, and comes again.
	e.Must(t, "rm", "vpn-else", "vpn-"+b.Server.Name)
	if err := a.Workers.(*docker.Workers).Purge(a.Context()); err != nil {
		t.Fatal(err)
	}
	e.Must(t, "rmi", "others:1")
	if left := e.Must(t, "images", "-q"); left != "" {
		t.Fatalf("the images %s are left", left)
	}
	b.Put(b.Start(), b.Spec(1, "alice"))
	bounce(t, b.Connect("alice"))
}

// On a network of its own a server is reached by its published port, whatever
// the address in its spec; the network comes and goes with those who use it.
func TestBridge(t *testing.T) {
	t.Parallel()
	b := bench(t)
	b.Server.Container.Network = "vpn-test-bridge"
	w := b.Start()
	b.Put(w, b.Spec(1, "alice"))
	bounce(t, b.Connect("alice"))
	if err := b.Do("alice", "open /proc/net/route"); err == nil {
		routes := theEngine.Must(t, "network", "inspect", "-f", "{{len .Containers}} {{index .Labels \"vpn.store\"}}", "vpn-test-bridge")
		if strings.TrimSpace(routes) != "1 "+storeOf(b.Dir) {
			t.Errorf("the network has %s", routes)
		}
	}
	// Another's port is not taken from it.
	other := bench(t)
	other.Server.Container.Network = "vpn-test-bridge"
	l, err := net.Listen("tcp", netip.AddrPortFrom(other.Server.Listen, other.Server.Port).String())
	if err != nil {
		t.Fatal(err)
	}
	_, err = other.Workers.Start(other.Context(), other.Server)
	if vpn.KindOf(err) != vpn.Conflict || !strings.Contains(err.Error(), fmt.Sprintf("port %d", other.Server.Port)) || vpn.HintOf(err) == "" {
		t.Errorf("with a port that is taken: %v", err)
	}
	l.Close()
	other.Start()
	if _, err := w.Stop(b.Context()); err != nil {
		t.Fatal(err)
	}
	cs, err := b.Workers.Remains(b.Context(), b.Place())
	if err != nil || len(cs) != 1 {
		t.Fatalf("it left %v, %v", cs, err)
	}
	if err := b.Workers.Discard(b.Context(), b.Place(), cs[0].Epoch); err != nil {
		t.Fatal(err)
	}
	// Of another store, the network is left to its users.
	if err := other.Find().Kill(other.Context()); err != nil {
		t.Fatal(err)
	}
	if err := other.Workers.Discard(other.Context(), other.Place()); err != nil {
		t.Fatal(err)
	}
}

// Servers of an installation that start at the same moment on a network that
// is not there, as after a boot, get the same one.
func TestOneNetwork(t *testing.T) {
	t.Parallel()
	const name = "vpn-test-at-once"
	all := []*runtimetest.Bench{bench(t)}
	for range 4 {
		other := new(*all[0])
		other.Server = bench(t).Server
		all = append(all, other)
	}
	var starting sync.WaitGroup
	for _, b := range all {
		b.Server.Container.Network = name
		starting.Go(func() {
			w, err := b.Workers.Start(b.Context(), b.Server)
			if err == nil {
				err = w.Put(b.Context(), b.Spec(1, "alice"))
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	starting.Wait()
	if ids := theEngine.Must(t, "network", "ls", "-q", "--filter", "name="+name); strings.Count(ids, "\n") != 1 {
		t.Errorf("there are the networks %q", ids)
	}
	for _, b := range all {
		bounce(t, b.Connect("alice"))
	}
}

// Where the engine gives containers other user ids, a server has its
// directory all the same, on the host's network and on one of its own.
func TestRemappedUsers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"subuid", "subgid"} { // seen by these tests alone
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte("daemon:400000:65536\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat("/etc/" + name); err != nil {
			t.Fatalf("%v: install uidmap or passwd", err)
		}
		if err := unix.Mount(file, "/etc/"+name, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount("/etc/"+name, unix.MNT_DETACH) })
	}
	e := ownEngine(t, "--userns-remap=daemon:daemon")
	for network, uid := range map[string]string{"host": "65532", "vpn-remapped": "465532"} {
		b := benchAt(t, e.Host)
		b.Server.Container.Network = network
		w := b.Start()
		b.Put(w, b.Spec(1, "alice"))
		bounce(t, b.Connect("alice"))
		if got, _, _ := strings.Cut(statusOf(t, b.Health(w).PID)["Uid"], " "); got != uid {
			t.Errorf("on the network %s the worker is user %s, want %s", network, got, uid)
		}
		h := b.Health(w)
		if _, err := w.Stop(b.Context()); err != nil {
			t.Fatal(err)
		}
		if cs, err := b.Workers.Remains(b.Context(), b.Place()); err != nil || len(cs) != 1 {
			t.Errorf("it left %v, %v", cs, err)
		}
		if err := b.Workers.Discard(b.Context(), b.Place(), h.Epoch); err != nil {
			t.Error(err)
		}
	}
}

// What serves has nothing that it does not need, however its container began.
func TestPrivileges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		port uint16 // 0: any
		caps string
	}{{"a high port", 0, "0000000000000000"}, {"a low port", 87, "0000000000000400"}} {
		b := bench(t)
		if c.port != 0 {
			b.Server.Listen, b.Server.Port = netip.MustParseAddr("127.86.80.78"), c.port
		}
		w := b.Start()
		b.Put(w, b.Spec(1, "alice"))
		bounce(t, b.Connect("alice"))
		status := statusOf(t, b.Health(w).PID)
		for field, want := range map[string]string{
			"Uid": "65532 65532 65532 65532", "Gid": "65532 65532 65532 65532", "CapEff": c.caps, "CapPrm": c.caps,
			"NoNewPrivs": "1", "Seccomp": "2", "Name": "vpn-worker",
		} {
			if status[field] != want {
				t.Errorf("%s: %s is %q, want %q", c.name, field, status[field], want)
			}
		}
		if g := status["Groups"]; g != "" && g != "65532" { // the engine gives its own
			t.Errorf("%s: Groups is %q", c.name, g)
		}
		for _, command := range []string{"create /x", "create /tmp/x", "become root", "capabilities all", "mount /tmp"} {
			if err := b.Do("alice", command); err == nil {
				t.Errorf("%s: %s is possible", c.name, command)
			}
		}
		var found []struct {
			HostConfig struct {
				ReadonlyRootfs  bool
				Memory          int64
				PidsLimit       int64
				CapDrop, CapAdd []string
				LogConfig       struct{ Config map[string]string }
			}
		}
		if err := json.Unmarshal([]byte(theEngine.Must(t, "inspect", nameOf(w))), &found); err != nil {
			t.Fatal(err)
		}
		h := found[0].HostConfig
		if !h.ReadonlyRootfs || h.Memory != vpn.ContainerMemory || h.PidsLimit != vpn.ContainerPIDs || len(h.CapDrop) != 1 || h.CapDrop[0] != "ALL" || h.LogConfig.Config["max-size"] == "" {
			t.Errorf("%s: the engine holds %+v", c.name, h)
		}
		if c.port == 0 && len(h.CapAdd) != 0 {
			t.Errorf("it may %v", h.CapAdd)
		}
		// Whoever asks from outside of it gets an answer.
		theEngine.Must(t, "exec", nameOf(w), "/vpn", "container", "health")
	}
}

func statusOf(t *testing.T, pid int) map[string]string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.Join(strings.Fields(value), " ")
	}
	return fields
}
