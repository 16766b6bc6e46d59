package app_test

import (
	"testing"

	"vpn/internal/vpn"
)

// logs returns what the server's worker was told of its log, the last thing
// last.
func (b *bench) logs(id vpn.ServerID) (out []vpn.Logging) {
	if w := b.workers.worker(id); w != nil {
		w.see(func(w *fakeWorker) { out = append(out, w.logs...) })
	}
	return out
}

func (b *bench) logsAt(id vpn.ServerID, level vpn.LogLevel, times int) func() bool {
	return func() bool {
		told := b.logs(id)
		return len(told) == times && told[times-1].Level == level
	}
}

// Workers hear how to log when they are started, when they are started again,
// when they are found, and whenever it changes; each of them once.
func TestWorkersAreToldHowToLog(t *testing.T) {
	b := newBench(t)
	debug, info := vpn.Logging{Level: vpn.LogDebug, Format: "json"}, vpn.Logging{Level: vpn.LogInfo}
	b.app.SetLogging(debug)
	b.supervise()
	one, two := b.server("one"), b.server("two")
	for _, id := range []vpn.ServerID{one, two} {
		b.until("a worker that is started to be told", b.logsAt(id, vpn.LogDebug, 1))
	}
	if got := b.logs(one)[0]; got != debug {
		t.Errorf("it was told %+v", got)
	}
	b.user("alice", vpn.Limits{}) // steps of both
	b.app.SetLogging(info)
	for _, id := range []vpn.ServerID{one, two} {
		b.until("a worker to be told of a change", b.logsAt(id, vpn.LogInfo, 2))
	}
	b.workers.worker(one).crash()
	b.until("the next one to be told", b.logsAt(one, vpn.LogInfo, 1))

	b.reopen()
	b.user("bob", vpn.Limits{})
	if told := b.logs(two); len(told) != 2 {
		t.Errorf("a control plane that has no opinion told %+v", told)
	}
	b.end()
	b.app.SetLogging(debug)
	b.user("carol", vpn.Limits{}) // as a command does that finds no daemon
	if told := b.logs(two); len(told) != 2 {
		t.Errorf("one that does not supervise told %+v", told)
	}
	b.supervise()
	b.until("a worker that is found to be told", b.logsAt(two, vpn.LogDebug, 3))
}

// A worker that does not take it serves, and is not asked again and again; one
// that did not hear it is told until it does.
func TestAWorkerThatDoesNotLogAsItShould(t *testing.T) {
	b := newBench(t)
	b.app.SetLogging(vpn.Logging{Level: vpn.LogInfo})
	b.supervise()
	id := b.server("main")
	b.until("the first word", b.logsAt(id, vpn.LogInfo, 1))
	w := b.workers.worker(id)
	w.see(func(w *fakeWorker) { w.mute = vpn.Errorf(vpn.Invalid, "unknown log level") })
	b.app.SetLogging(vpn.Logging{Level: vpn.LogDebug})
	b.until("the second", b.logsAt(id, vpn.LogDebug, 2))
	u := b.user("alice", vpn.Limits{})
	if len(b.granted(id, u)) != 1 {
		t.Error("it does not serve a new user")
	}
	if told := b.logs(id); len(told) != 2 {
		t.Errorf("it was told %+v", told)
	}
	w.see(func(w *fakeWorker) { w.mute = vpn.Errorf(vpn.Unavailable, "the worker does not answer") })
	b.app.SetLogging(vpn.Logging{Level: vpn.LogWarn})
	b.until("several attempts", func() bool { return len(b.logs(id)) > 4 })
	w.see(func(w *fakeWorker) { w.mute = nil })
	b.until("the server to be in step", func() bool {
		list, err := b.app.Servers.List(b.ctx)
		return err == nil && len(list) == 1 && list[0].State == vpn.Running
	})
}
