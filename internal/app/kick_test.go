package app_test

import (
	"errors"
	"testing"

	"vpn/internal/vpn"
)

// TestKickNamesTheServer: one server hangs, and whoever has to be quick is
// told which, and what ends the connections there.
func TestKickNamesTheServer(t *testing.T) {
	b := newBench(t)
	b.supervise()
	stuck, fine := b.server("stuck"), b.server("fine")
	b.user("alice", vpn.Limits{})
	b.workers.worker(stuck).see(func(w *fakeWorker) { w.silent = true })
	_, err := b.app.Users.Kick(b.ctx, "alice")
	e, ok := errors.AsType[*vpn.Error](err)
	if !ok || e.Kind != vpn.Unavailable || err.Error() != "server stuck: the worker does not answer" ||
		e.Hint != "its connections may stay open; this closes all of them: vpn server restart stuck" {
		t.Errorf("got %v, %+v", err, e)
	}
	b.workers.worker(fine).see(func(w *fakeWorker) {
		if w.kicks != 1 {
			t.Errorf("the other server was told %d times", w.kicks)
		}
	})
}
