package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"vpn/internal/app"
	"vpn/internal/client"
	"vpn/internal/config"
	"vpn/internal/logging"
	"vpn/internal/vpn"
)

const (
	turnWait  = 10 * time.Second // for a program that took over to begin to supervise
	drainWait = 15 * time.Second // for requests that are under way at an upgrade: a start of a server takes up to 10 s
	turnPoll  = 2 * time.Millisecond

	lookPeriod = time.Second // for whether the API socket is still where it was

	// The control plane is mostly idle, beside other programs on a small machine:
	// memory is worth more to it than the time of a collection.
	gcPercent = 50
	// By then the start is over, and what only it needed can be given back.
	startOver = 5 * time.Second

	changePatience = 5 * time.Minute // with one program's end and the next one's start, migrations included
)

// serving is a control plane at work.
type serving struct {
	*plane
	options    Options
	kept       *slog.LevelVar // of the log that is kept
	control    *control
	notify     notifier
	heartbeat  time.Duration // how often the service manager wants to hear; 0: not at all
	door       *door
	lost       bool // the run directory cannot be made again
	http       *http.Server
	served     chan error         // what serving the API returned
	clients    sync.WaitGroup     // connections to the API; added to until it has returned
	stop       context.CancelFunc // ends the supervision
	supervised chan error         // what it returned
}

// Serve runs the control plane until ctx ends: it answers on the API socket,
// adopts or starts every server's worker and keeps it running. With
// StopWorkers it ends them all before it returns.
//
// After an upgrade it does not return: the process runs another program then.
func Serve(ctx context.Context, o Options) (err error) {
	environ := o.Environ
	if environ == nil {
		environ = os.Getenv
	}
	debug.SetGCPercent(gcPercent)
	own := &ownLog{}
	defer own.close()
	kept := new(slog.LevelVar)
	kept.Set(o.Config.LogLevel)
	o.Log = logging.Also(o.Log, own, kept)
	s := &serving{kept: kept, options: o, notify: newNotifier(environ), served: make(chan error, 1), supervised: make(chan error, 1)}
	s.heartbeat = watchdogPeriod(environ, os.Getpid())
	s.control = newControl(o, s.notify)
	begun := func() {}
	if o.Handover != nil { // the service manager's watchdog runs on, and a store may have to be migrated
		begun = s.beat()
	}
	defer begun()
	if s.plane, err = open(ctx, o, s.control); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := own.open(filepath.Join(o.Config.DataDir, logDir)); err != nil {
		o.Log.Warn("the log is not kept", slog.Any("err", err))
	}
	s.app.SetLogging(workersLog(o.Config))
	s.control.apply = s.apply
	l, err := listen(s.runDir, systemDir(o.Config.DataDir), o.Handover)
	if err != nil {
		return err
	}
	s.door = newDoor(l)
	s.control.lost = s.workers.Lost
	s.http = &http.Server{
		Handler:           trusted(s.handler),
		ConnContext:       withPeer,
		ConnState:         s.count,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	// An idle connection that is closed for an upgrade could be one on which a
	// request is just on its way.
	s.http.SetKeepAlivesEnabled(false)
	go func() { s.served <- s.http.Serve(s.door) }()

	var supervise context.Context
	supervise, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	defer s.stop()
	go func() { s.supervised <- s.app.Reconciler.Run(supervise) }()
	o.Log.Info("control plane runs", slog.String("data_dir", o.Config.DataDir), slog.Int("pid", os.Getpid()), slog.String("version", o.Version))
	return s.run(ctx, supervise, begun)
}

// run is the life of the control plane, up to its end and including it.
func (s *serving) run(ctx, supervise context.Context, begun func()) (err error) {
	if s.options.Handover.Open() {
		if err := s.firstTurn(ctx); err != nil {
			return errors.Join(err, s.end(false))
		}
	}
	s.settle(ctx)
	begun()
	s.notify.send("READY=1")
	if s.options.Ready != nil {
		s.options.Ready(local(s.handler))
	}
	watch, unwatch := context.WithCancel(supervise)
	defer unwatch()
	go s.watchdog().run(watch)
	go s.tunnels.watch(watch)
	go s.host.Watch(watch)
	go logs{dir: filepath.Join(s.options.Config.DataDir, logDir)}.keepSmall(watch, s.options.Log)
	go s.notify.keepStatus(watch, s.line, s.control.news)
	defer time.AfterFunc(startOver, giveBack).Stop()
	look := time.NewTicker(lookPeriod)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			s.reopen(ctx)
			continue
		case <-ctx.Done():
		case err = <-s.supervised:
			s.supervised <- nil
			err = fmt.Errorf("supervise the workers: %w", err)
		case err = <-s.served:
			s.served <- nil
			err = fmt.Errorf("serve the API: %w", err)
		case sig := <-s.options.Signals:
			go s.obey(supervise, sig)
			continue
		case <-s.control.goOver:
			unwatch() // from here on the API does not answer until the next program does
			return s.goOver(ctx)
		}
		s.notify.send("STOPPING=1")
		return errors.Join(err, s.end(s.options.StopWorkers))
	}
}

// giveBack returns memory to the system. What lies in a [sync.Pool], such as
// the buffers that migrations are read with, takes two collections.
func giveBack() {
	runtime.GC()
	debug.FreeOSMemory()
}

// firstTurn waits until the supervision has begun: before that, the program
// that was there before can have it all back.
func (s *serving) firstTurn(ctx context.Context) error {
	deadline := time.NewTimer(turnWait)
	defer deadline.Stop()
	tick := time.NewTicker(turnPoll)
	defer tick.Stop()
	for s.app.Reconciler.Turns() == 0 {
		select {
		case <-ctx.Done():
			return nil // an orderly end, which comes next
		case err := <-s.supervised:
			s.supervised <- nil
			return fmt.Errorf("supervise the workers: %w", err)
		case <-deadline.C:
			return errors.New("the supervision of the workers does not begin")
		case <-tick.C:
		}
	}
	return nil
}

// settle ends the takeover, if this program has taken over from another.
func (s *serving) settle(ctx context.Context) {
	h := s.options.Handover
	if h == nil {
		return
	}
	h.settle()
	s.door.current().SetUnlinkOnClose(true)
	from, failed := h.note.From, h.note.Failed
	if failed == "" {
		s.options.Log.Info("took over", slog.String("from", from), slog.String("to", s.options.Version))
	} else {
		s.options.Log.Error("upgrade failed", slog.String("to", from), slog.String("reason", failed))
	}
	s.app.System.Upgraded(ctx, from, failed)
}

// beat tells the service manager's watchdog, for as long as changePatience,
// that one program is being exchanged for another, until the caller says that
// this is done.
func (s *serving) beat() (done func()) {
	ctx, cancel := context.WithTimeout(context.Background(), changePatience)
	w := s.beating(func(context.Context) error { return nil }, func() uint64 { return 0 })
	w.stuck = changePatience
	go w.run(ctx)
	return cancel
}

func (s *serving) watchdog() watchdog {
	api := client.Unix(filepath.Join(s.runDir, socketName))
	return s.beating(func(ctx context.Context) error {
		_, err := api.System.Events(ctx, 1)
		return err
	}, s.app.Reconciler.Turns)
}

func (s *serving) beating(ask func(context.Context) error, turns func() uint64) watchdog {
	return watchdog{
		every: s.heartbeat, stuck: stuckAfter, turns: turns, ask: ask, log: s.options.Log,
		tell: func() { s.notify.send("WATCHDOG=1") },
	}
}

// line is what a person sees beside the unit: what is wrong, or how it goes.
func (s *serving) line(ctx context.Context) (string, error) {
	if warnings := s.control.Warnings(); len(warnings) > 0 {
		return warnings[0], nil
	}
	return s.app.System.Summary(ctx)
}

// apply brings a configuration into force, but for what needs a restart.
func (s *serving) apply(c config.Config) {
	s.app.SetPublicHost(c.PublicHost)
	s.app.SetRuntime(homeOfNew(c))
	s.workers.SetUIDs(c.WorkerUIDs)
	s.kept.Set(c.LogLevel)
	s.app.SetLogging(workersLog(c))
	if s.options.Adjust != nil {
		s.options.Adjust(c)
	}
}

// workersLog is how workers are to log, by the configuration.
func workersLog(c config.Config) vpn.Logging {
	return vpn.Logging{Level: vpn.LogLevel(strings.ToLower(c.LogLevel.String())), Format: c.LogFormat}
}

// obey does what a signal asks for. What comes of it is in the log.
func (s *serving) obey(ctx context.Context, sig os.Signal) {
	ctx = app.WithActor(ctx, app.System())
	var err error
	switch sig {
	case syscall.SIGHUP:
		_, err = s.app.System.Reload(ctx) // logged there
	case UpgradeSignal:
		if _, err = s.app.System.Upgrade(ctx); err != nil {
			s.options.Log.Error("upgrade refused", slog.Any("err", err))
		}
	}
	s.options.Log.Debug("signal obeyed", slog.String("signal", sig.String()), slog.Any("err", err))
}

// goOver executes the program that is installed now. Requests that are under
// way are answered before; who connects from now on waits for the next
// program. It returns only if nothing could be executed, or if ctx has ended
// in the meantime.
func (s *serving) goOver(ctx context.Context) error {
	s.options.Log.Info("going over to another program", slog.String("file", s.options.Executable))
	defer s.beat()()
	s.notify.reloading()
	s.notify.send(status("going over to another version"))
	s.door.current().SetUnlinkOnClose(false)
	out := hand{note: handoverNote{From: s.options.Version, Path: s.options.Executable}}
	var err, e error
	out.api, err = s.door.current().File()
	if err != nil {
		return errors.Join(fmt.Errorf("keep the API socket: %w", err), s.end(s.options.StopWorkers))
	}
	defer out.api.Close()
	s.drain(drainWait)
	if ctx.Err() != nil {
		return s.end(s.options.StopWorkers)
	}
	err = s.endSupervision()
	err = errors.Join(err, within(stopWait, s.release))
	out.lock, e = s.locks[0].File()
	err = errors.Join(err, e)
	out.runLock, e = s.locks[1].File()
	err = errors.Join(err, e)
	if err != nil {
		s.options.Log.Warn("not all could be left in order", slog.Any("err", err)) // the next program finds what a crash leaves
	}
	return fmt.Errorf("go over to another program: %w", out.execute(s.options.Executable, append([]string{"vpn"}, s.options.Args...)))
}

// count keeps s.clients.
func (s *serving) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.clients.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.clients.Done()
	case http.StateActive, http.StateIdle:
	}
}

// within runs fn, and does not wait for it for ever: executing another program
// ends whatever is stuck in this one, as a crash would.
func within(limit time.Duration, fn func() error) error {
	done := make(chan error, 1)
	go func() { done <- fn() }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		return errors.New("the store or the workers do not let go")
	}
}

// drain ends the API: it waits until all who are connected have been answered
// or have gone, or the time is up. [http.Server.Shutdown] would drop those
// whose request it has not begun to read.
func (s *serving) drain(wait time.Duration) {
	close(s.ending)
	_ = s.door.Close()
	<-s.served
	s.served <- nil
	gone := make(chan struct{})
	go func() {
		s.clients.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(wait):
	}
	_ = s.http.Close()
}

// endSupervision leaves the workers to whoever comes next.
func (s *serving) endSupervision() error {
	s.stop()
	select {
	case err := <-s.supervised:
		return err
	case <-time.After(stopWait):
		return errors.New("the supervision of the workers does not end")
	}
}

// end ends the API first, so that nothing new is asked, then the supervision,
// then, if so told, the workers.
func (s *serving) end(stopWorkers bool) error {
	if !s.drained() { // it is, if an upgrade was given up
		s.drain(shutdownWait)
	}
	errs := []error{s.endSupervision()}
	if stopWorkers {
		ctx, cancel := context.WithTimeout(context.Background(), stopWait)
		defer cancel()
		errs = append(errs, s.app.Reconciler.StopAll(ctx))
	}
	s.options.Log.Info("control plane ends", slog.Bool("workers_stopped", stopWorkers))
	return errors.Join(errs...)
}

func (s *serving) drained() bool {
	select {
	case <-s.ending:
		return true
	default:
		return false
	}
}
