package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vpn/internal/app"
	"vpn/internal/vpn"
	"vpn/internal/worker"
)

const startTimeout = 10 * time.Second

// Start starts a worker for a server that has none, and returns once it
// answers; with kind [vpn.Conflict] if there is one.
func (w *Workers) Start(ctx context.Context, s vpn.Server) (app.Worker, error) {
	if err := vpn.ValidName(s.Name); err != nil {
		return nil, err
	}
	p, err := w.take(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	defer p.release()
	if a, err := w.find(ctx, s.ID, p); err != nil {
		return nil, err
	} else if a != nil {
		return nil, vpn.Errorf(vpn.Conflict, "server %s has a worker already: process %d", s.Name, a.proc.pid)
	}
	c, err := w.spawn(s)
	if err != nil {
		return nil, err
	}
	a, err := w.awaitBirth(ctx, s, c)
	if err != nil {
		return nil, err
	}
	p.current = a
	w.log.Info("worker started", slog.String("server", s.Name), slog.Int("pid", a.proc.pid))
	return a, nil
}

// A child is a worker that this process has just started.
type child struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended and was waited for
	log   *workerLog
}

// spawn makes what a worker finds open, executes it and forgets its own
// copies: connecting to a socket that the control plane holds too would
// succeed after the worker is dead.
func (w *Workers) spawn(s vpn.Server) (_ *child, err error) {
	attr, err := w.attributes(s)
	if err != nil {
		return nil, err
	}
	log, err := openLog(w.options.LogDir, string(s.ID))
	if err != nil {
		return nil, err
	}
	defer log.file.Close()
	final, err := os.OpenFile(w.path(s.ID, finalSuffix),
		os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make a worker's final file: %w", err)
	}
	defer final.Close()
	tunnel, err := w.options.open(s)
	if err != nil {
		return nil, err
	}
	if tunnel != nil {
		defer tunnel.Close()
	}
	path := w.path(s.ID, socketSuffix)
	socket, err := listen(path)
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	cmd := &exec.Cmd{
		Path:        w.options.Executable,
		Args:        []string{"vpn", worker.Command, s.Name},
		Env:         w.environ(),
		Dir:         "/",
		Stdout:      log.file,
		Stderr:      log.file,
		ExtraFiles:  []*os.File{socket, final}, // worker.ListenerFD, worker.FinalFD
		SysProcAttr: attr,
	}
	if tunnel != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, tunnel) // worker.TunnelFD
	}
	err = cmd.Start()
	if w.hidden {
		hideAgain(w.log)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a worker: %w", err), remove(path))
	}
	c := &child{cmd: cmd, ended: make(chan struct{}), log: log}
	go func() {
		_ = cmd.Wait() // how it ended is in cmd.ProcessState
		close(c.ended)
	}()
	return c, nil
}

// hidden reports whether this process may neither be dumped nor traced.
func hidden() bool {
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	return err == nil && dumpable == 0
}

// hideAgain makes this process, which was hidden, what it was: a child shares
// its maker's memory until it executes a program, and when the kernel changes
// the child's uid it says anew whether that memory may be dumped. Where
// fs.suid_dumpable is 2, as programs that collect core dumps want it, it may be.
func hideAgain(log *slog.Logger) {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		log.Error("what this process knows is not kept out of core dumps", slog.Any("err", err))
	}
}

// open returns the device that a server's worker is to have, or nil.
func (o Options) open(s vpn.Server) (*os.File, error) {
	if o.Tunnel == nil {
		return nil, nil
	}
	return o.Tunnel(s)
}

// awaitBirth returns the worker once it answers. One that does not is ended.
func (w *Workers) awaitBirth(ctx context.Context, s vpn.Server, c *child) (*attached, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	go func() {
		select {
		case <-c.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	a, err := w.seek(ctx, s.ID, true)
	if err == nil && a == nil {
		err = errNobody
	}
	if err == nil {
		if err = answer(ctx, a); err == nil {
			return a, nil
		}
		a.release()
	}
	// A socket that nobody serves is one whose only owner has ended.
	died := errors.Is(err, errNobody) || c.over()
	_ = c.cmd.Process.Kill()
	<-c.ended
	if err := remove(w.path(s.ID, socketSuffix)); err != nil {
		w.log.Warn("socket of a worker that did not start is left", slog.Any("err", err))
	}
	if died {
		return nil, c.failure(s.Name)
	}
	return nil, vpn.Errorf(vpn.Unavailable, "the worker of server %s does not start: %w", s.Name, err)
}

// answer asks until the worker answers: a machine that is busy booting may
// take longer than one call does.
func answer(ctx context.Context, a *attached) error {
	again := time.NewTicker(birthPoll)
	defer again.Stop()
	for {
		_, err := a.Health(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-again.C:
		}
	}
}

// over reports whether the child has ended.
func (c *child) over() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// failure says why a worker ended at its start.
func (c *child) failure(server string) error {
	reason := c.log.reason()
	if reason == "" {
		reason = c.cmd.ProcessState.String()
	}
	return vpn.Errorf(vpn.Unavailable, "the worker of server %s ended at its start: %s", server, reason).
		WithHint("read its log: vpn server logs %s", server)
}

// attributes are what the kernel shall make of a worker: a session that no
// terminal ends, and as root a user who may do nothing.
func (w *Workers) attributes(s vpn.Server) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setsid: true}
	w.mu.Lock()
	uids := w.uids
	w.mu.Unlock()
	if os.Geteuid() != 0 || uids.Count == 0 {
		return attr, nil
	}
	uid, ok := uids.At(s.Slot)
	if !ok {
		return nil, vpn.Errorf(vpn.Unavailable, "there is no user id left for server %s: %d are configured", s.Name, uids.Count).
			WithHint("configure a larger range of worker uids")
	}
	attr.Credential = &syscall.Credential{Uid: uid, Gid: uid} // and no groups
	if s.Port < 1024 && uid != 0 {
		attr.AmbientCaps = []uintptr{unix.CAP_NET_BIND_SERVICE}
	}
	return attr, nil
}

// passed is what a worker's environment takes over; nothing else of it gets
// in.
var passed = []string{"PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "GODEBUG", "GORACE", "GOCOVERDIR"}

func (w *Workers) environ() []string {
	var out []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if slices.Contains(passed, name) || strings.HasPrefix(name, "VPN_TEST_") {
			out = append(out, entry)
		}
	}
	if w.options.Memory > 0 {
		out = append(out, "GOMEMLIMIT="+strconv.FormatUint(w.options.Memory, 10))
	}
	return out
}

// listen makes a socket that only this user may connect to, and returns it
// open. Closing it leaves its file.
func listen(path string) (*os.File, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		// Before it is bound: the file is made with this mode, and there is
		// no moment when others could connect.
		if e := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); e != nil {
			return e
		}
		return err
	}}
	l, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("make a worker's socket: %w", err)
	}
	defer l.Close()
	ul := l.(*net.UnixListener)
	ul.SetUnlinkOnClose(false)
	f, err := ul.File()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a worker's socket: %w", err), remove(path))
	}
	return f, nil
}
