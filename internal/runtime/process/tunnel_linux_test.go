package process_test

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"vpn/internal/app"
	"vpn/internal/router"
	"vpn/internal/runtime/process"
	"vpn/internal/runtime/runtimetest"
	"vpn/internal/vpn"
)

// A worker finds its device open and gets no capability for it; the device
// ends with the worker.
func TestTunnel(t *testing.T) {
	needRoot(t)
	jobs := make(chan func())
	defer close(jobs)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, and its network, end with this goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
		}
		for f := range jobs {
			f()
		}
	}()
	elsewhere := func(f func()) { // than on this machine's own network
		done := make(chan bool)
		jobs <- func() { f(); done <- true }
		<-done
	}
	var id vpn.ServerID
	b := runtimetest.NewBench(t, func(dir string) (app.Workers, error) {
		return process.New(process.Options{
			RunDir: dir, LogDir: dir, UIDs: vpn.UIDRange{Base: 200000, Count: 1000},
			Tunnel: func(s vpn.Server) (f *os.File, err error) {
				id = s.ID
				elsewhere(func() { f, err = router.Open(s.ID) })
				return f, err
			},
		})
	})
	there := func() (is bool) {
		elsewhere(func() { is = router.Exists(id) })
		return is
	}
	w := b.Start()
	h := b.Health(w)
	if at, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/5", h.PID)); at != "/dev/net/tun" {
		t.Errorf("the worker has %q open as its device, %v", at, err)
	}
	if got := status(t, h.PID)["CapPrm"]; got != noCapability {
		t.Errorf("the worker has the capabilities %s", got)
	}
	if !there() {
		t.Error("there is no device")
	}
	if _, err := w.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if there() {
		t.Error("the device outlives its worker")
	}
}
