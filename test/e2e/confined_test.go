//go:build linux && e2e

package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpn/test/e2e/rig"
	"vpn/test/xfer"
)

// The real worker has given up everything, and still looks names up by DNS,
// also after resolv.conf was replaced. (What it is kept from, package process
// tries from inside.)
func TestConfinedWorkerResolves(t *testing.T) {
	t.Parallel()
	i, logins := install(t, 1)
	w := i.World
	go answerNames(w.Server.ListenPacket(t, "127.0.0.1:53"))
	client := w.Xray(t, logins...)
	raw, err := client.Dial(t.Context(), 0, "dns.example.test:9000")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(10 * time.Second))
	if err := xfer.NewConn(raw, nil).Warm(); err != nil {
		t.Errorf("by a name that only DNS knows: %v", err)
	}
	pid := i.OneWorker()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	got := fieldsOf(string(text))
	const onlyBind = "0000000000000400"
	for field, want := range map[string]string{
		"NoNewPrivs": "1", "Seccomp": "2", "Groups": "", "CapEff": onlyBind, "CapPrm": onlyBind,
	} {
		if got[field] != want {
			t.Errorf("%s is %q, want %q", field, got[field], want)
		}
	}
	if got["Uid"] == "0 0 0 0" {
		t.Error("the worker is root")
	}
	s, err := i.Status()
	if err != nil || s.Servers[0].Worker == nil || !s.Servers[0].Worker.Confined {
		t.Errorf("status does not say that the worker is confined: %+v, %v", s.Servers, err)
	}
}

func fieldsOf(status string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.Join(strings.Fields(value), " ")
	}
	return fields
}

// Without root everything works but low ports, and the worker, whose uid is
// everybody's, is confined no less. Neither it nor the control plane, which
// hides from its own user, is lost when the latter is killed.
func TestRootless(t *testing.T) {
	t.Parallel()
	const nobody, high = 65534, 8443
	i := rig.NewWorld(t).Instance(t)
	if err := errors.Join(os.Mkdir(i.Data, 0o700), os.Chown(i.Data, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	i.CreateServer("main", high)
	logins := []rig.Login{{Link: i.CreateUser("u0")}}
	launch := func() *rig.Process {
		t.Helper()
		p := rig.LaunchBy(i, fmt.Sprintf(`exec setpriv --reuid=%d --regid=%[1]d --clear-groups "$0" "$@"`, nobody), "serve")
		i.Ready()
		return p
	}
	launch()
	load := i.World.Xray(t, logins...).Load(t, 0, 1)
	worker := i.OneWorker()
	for range 3 {
		i.Daemon().Kill()
		launch()
	}
	if pid := i.OneWorker(); pid != worker {
		t.Errorf("worker %d has taken the place of %d", pid, worker)
	}
	for _, pid := range []int{worker, i.Daemon().PID()} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		got := fieldsOf(string(text))
		if id := strconv.Itoa(nobody); !strings.HasPrefix(got["Uid"], id+" "+id) || got["CapEff"] != "0000000000000000" {
			t.Errorf("process %d: uid %s, capabilities %s", pid, got["Uid"], got["CapEff"])
		}
		if pid == worker && (got["Seccomp"] != "2" || got["NoNewPrivs"] != "1") {
			t.Errorf("the worker: Seccomp %s, NoNewPrivs %s", got["Seccomp"], got["NoNewPrivs"])
		}
		// What is not dumpable does not belong to its user in /proc.
		if st, err := os.Stat(fmt.Sprintf("/proc/%d/environ", pid)); err != nil || st.Sys().(*syscall.Stat_t).Uid != 0 {
			t.Errorf("process %d can be looked into by its user (%v)", pid, err)
		}
	}
	for k, want := range load.Stop(t) {
		wantUsed(t, i, fmt.Sprint("u", k), want)
	}
}

// answerNames answers every question for an address with that of the host
// outside, and has none of other kinds (RFC 1035, section 4).
func answerNames(c net.PacketConn) {
	b := make([]byte, 1500)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		const header, tail, additional, kindA = 12, 4, 11, 1
		if n < header+tail {
			continue
		}
		question := b[header:n]
		if binary.BigEndian.Uint16(b[10:]) > 0 && len(question) > additional { // EDNS
			question = question[:len(question)-additional]
		}
		out := append([]byte{b[0], b[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
		if binary.BigEndian.Uint16(question[len(question)-tail:]) == kindA {
			out[7] = 1
			out = append(out, 0xc0, header, 0, kindA, 0, 1, 0, 0, 0, 60, 0, 4)
			out = append(out, net.ParseIP(rig.OutsideAddr).To4()...)
		}
		_, _ = c.WriteTo(out, from)
	}
}
