package docker

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	entry "vpn/internal/container"
	engine "vpn/internal/docker"
	"vpn/internal/vpn"
	"vpn/internal/worker"
)

// attached is one life of a container, from a start to its end, as this
// process holds it.
type attached struct {
	*worker.Client
	w         *Workers
	server    vpn.ServerID
	container string    // its id
	name      string    // of the container
	started   time.Time // which life it is
	pid       int       // on the host
	apart     bool      // what it keeps is in a volume, and it is reached by a process in its container

	once   sync.Once
	done   chan struct{}
	ailing atomic.Pointer[string] // why it does not answer, as the engine sees it
	cause  atomic.Pointer[string] // why it has ended, if an event said so

	mu    sync.Mutex
	conns map[net.Conn]struct{} // open to the worker
	epoch string                // of the worker, once it has said so
}

// ended reports whether that life of the container is over.
func (a *attached) ended() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// lives reports whether s is that of the same life of the container.
func (a *attached) lives(s *container.State) bool {
	if s == nil || !s.Running || s.Restarting {
		return false
	}
	started, err := time.Parse(time.RFC3339Nano, s.StartedAt)
	return err == nil && started.Equal(a.started)
}

// Container returns the container's name, for people.
func (a *attached) Container() string { return a.name }

// end notes that it is over.
func (a *attached) end() {
	a.once.Do(func() {
		close(a.done)
		a.Client.Close()
	})
}

// attach takes hold of the present life of a container, nil if it has none. It
// waits for one that is just being born.
func (w *Workers) attach(ctx context.Context, server vpn.ServerID, id string) (*attached, error) {
	c, err := w.inspect(ctx, id)
	if vpn.KindOf(err) == vpn.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if c.State == nil || !c.State.Running || c.State.Restarting {
		return nil, nil
	}
	started, err := time.Parse(time.RFC3339Nano, c.State.StartedAt)
	if err != nil {
		return nil, vpn.Errorf(vpn.Unavailable, "the Docker engine says that a container was started at %q", c.State.StartedAt)
	}
	a := &attached{w: w, server: server, container: id, name: strings.TrimPrefix(c.Name, "/"), started: started, pid: c.State.Pid, done: make(chan struct{})}
	a.apart = c.Config != nil && c.Config.Labels[labelKept] == keptInVolume
	a.Client = worker.NewClient(a.dial, lifeOf{a})
	a.fallIll(c.State)
	w.lives.hold(a)
	// Its end may have come before its events were waited for.
	if !w.lives.recheck(ctx, a) {
		return nil, nil
	}
	if c.HostConfig != nil && c.HostConfig.RestartPolicy.Name != container.RestartPolicyUnlessStopped {
		// A control plane ended in the middle of a stop.
		if err := w.setRestart(ctx, id, container.RestartPolicyUnlessStopped); err != nil {
			w.log.Warn("the engine would not start a container anew", "err", err)
		}
	}
	if !c.State.Paused && !a.apart { // a stream waits for it at the other end
		a.awaitBirth(ctx)
	}
	w.journal.follow(a)
	return a, nil
}

// between takes hold of a container that has ended and that the engine will
// start anew, in a while that grows each time.
func (w *Workers) between(server vpn.ServerID, c *container.Summary) *attached {
	a := &attached{w: w, server: server, container: c.ID, name: name(c), done: make(chan struct{})}
	a.Client = worker.NewClient(func(context.Context) (net.Conn, error) { return nil, errOther }, lifeOf{a})
	a.setAiling("its container has crashed several times in a row, and the engine waits until it starts it anew: docker logs " + name(c))
	w.lives.hold(a)
	return a
}

// waits reports whether it is not a life, but the time between two.
func (a *attached) waits() bool { return a.started.IsZero() }

const (
	birthTimeout = 5 * time.Second
	birthPoll    = 5 * time.Millisecond
)

// awaitBirth returns when the worker has taken over its socket, or when it has
// had the time to.
func (a *attached) awaitBirth(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, birthTimeout)
	defer cancel()
	for {
		c, err := a.dial(ctx)
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-a.done:
			return
		case <-time.After(birthPoll):
		}
	}
}

var errOther = errors.New("another process listens there")

// dial connects to the worker's control socket, and to nobody else.
func (a *attached) dial(ctx context.Context) (net.Conn, error) {
	if err := a.well(); err != nil {
		return nil, err // the kernel would take the call, and nobody answer
	}
	var c net.Conn
	var err error
	if a.apart {
		c, err = a.stream(ctx)
	} else {
		c, err = dialSocket(ctx, filepath.Join(a.w.runDir(a.server), entry.Socket), a.pid)
	}
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.conns == nil {
		a.conns = map[net.Conn]struct{}{}
	}
	a.conns[c] = struct{}{}
	return &conn{Conn: c, a: a}, nil
}

// A conn is one to a worker, known there as long as it is open.
type conn struct {
	net.Conn
	a *attached
}

// Close closes it.
func (c *conn) Close() error {
	c.a.mu.Lock()
	delete(c.a.conns, c.Conn)
	c.a.mu.Unlock()
	return c.Conn.Close()
}

// hangUp ends the calls that wait for an answer which will not come.
func (a *attached) hangUp() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for c := range a.conns {
		_ = c.SetDeadline(time.Unix(1, 0))
	}
}

// What keeps a worker from answering.
const (
	paused    = "its container is paused"
	unhealthy = "its container is unhealthy: the worker does not answer from inside either"
)

// fallIll notes what keeps the worker from answering, or that it is well.
func (a *attached) fallIll(s *container.State) {
	switch {
	case s.Paused:
		a.setAiling(paused)
	case s.Health != nil && s.Health.Status == container.Unhealthy:
		a.setAiling(unhealthy)
	default:
		a.ailing.Store(nil)
	}
}

func (a *attached) setAiling(why string) {
	a.ailing.Store(&why)
	a.hangUp()
}

// well returns an error at once where a call would wait for its time-out.
func (a *attached) well() error {
	if why := a.ailing.Load(); why != nil {
		return vpn.Errorf(vpn.Unavailable, "the worker does not answer: %s", *why).
			WithHint("see: docker inspect %s", a.name)
	}
	return nil
}

// Health returns what the worker says of itself, by the process id that it
// has on the host.
func (a *attached) Health(ctx context.Context) (vpn.Health, error) {
	if err := a.well(); err != nil {
		return vpn.Health{}, err
	}
	h, err := a.Client.Health(ctx)
	if err != nil {
		return h, err
	}
	if a.pid != 0 {
		h.PID = a.pid
	}
	a.mu.Lock()
	a.epoch = h.Epoch
	a.mu.Unlock()
	return h, nil
}

// Stop is the client's. Where the answer comes through a process in the
// container, that may end before it has passed the answer on: it is in the
// volume, too.
func (a *attached) Stop(ctx context.Context) (*vpn.Counters, error) {
	final, err := a.Client.Stop(ctx)
	if err != nil || final != nil || !a.apart {
		return final, err
	}
	a.mu.Lock()
	epoch := a.epoch
	a.mu.Unlock()
	left, err := a.w.kept(a.server).finals(ctx)
	if err != nil {
		return nil, nil //nolint:nilerr // it has stopped; what it left is asked for again
	}
	for i := range left {
		if left[i].Epoch == epoch {
			return &left[i], nil
		}
	}
	return nil, nil
}

// Put is the client's.
func (a *attached) Put(ctx context.Context, s vpn.Spec) error {
	if err := a.well(); err != nil {
		return err
	}
	return a.Client.Put(ctx, s)
}

// Patch is the client's.
func (a *attached) Patch(ctx context.Context, p vpn.Patch) error {
	if err := a.well(); err != nil {
		return err
	}
	return a.Client.Patch(ctx, p)
}

// Usage is the client's.
func (a *attached) Usage(ctx context.Context, after uint64) (vpn.Counters, error) {
	if err := a.well(); err != nil {
		return vpn.Counters{}, err
	}
	return a.Client.Usage(ctx, after)
}

// lifeOf is an attached as a [worker.Process].
type lifeOf struct{ a *attached }

// callTimeout bounds what is asked of the engine about one container, beside
// the limits of each call.
const callTimeout = 30 * time.Second

func (l lifeOf) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), callTimeout)
}

// Done is closed when that life of the container is over.
func (l lifeOf) Done() <-chan struct{} { return l.a.done }

// Resume lets the container go on if it is paused or suspended, so that it can
// stop in order; and the engine is not to start it anew when it has.
func (l lifeOf) Resume() error {
	ctx, cancel := l.context()
	defer cancel()
	a, w := l.a, l.a.w
	if err := w.setRestart(ctx, a.container, container.RestartPolicyDisabled); err != nil && !engine.NoSpace(err) {
		return l.unlessGone(err)
	}
	// Without space to write that down, an engine does not start what it was
	// asked to signal either.
	if a.waits() {
		return nil
	}
	if a.ailing.Load() != nil {
		if err := w.unpause(ctx, a.container); err != nil {
			return l.unlessGone(err)
		}
		a.ailing.Store(nil)
	}
	return l.signal(ctx, "SIGCONT")
}

// Terminate asks it to stop in order.
func (l lifeOf) Terminate() error {
	ctx, cancel := l.context()
	defer cancel()
	return l.signal(ctx, "SIGTERM")
}

// Kill ends it at once. The engine does not start anew what was killed by it.
func (l lifeOf) Kill() error {
	ctx, cancel := l.context()
	defer cancel()
	err := l.signal(ctx, "SIGKILL")
	if l.a.waits() {
		// There is nothing to kill, but something to be called off.
		err = l.a.w.stop(ctx, l.a.container)
	}
	if err != nil {
		return err
	}
	// The event may not come: its stream may be broken at this moment.
	for range 100 {
		if !l.a.w.lives.recheck(ctx, l.a) {
			return nil
		}
		select {
		case <-l.a.done:
			return nil
		case <-ctx.Done():
			return nil
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

func (l lifeOf) signal(ctx context.Context, signal string) error {
	if l.a.ended() {
		return nil
	}
	_, err := engine.Call(ctx, l.a.w.options.Engine, engine.Slow, "send "+signal+" to a container", func(ctx context.Context, c *client.Client) (client.ContainerKillResult, error) {
		return c.ContainerKill(ctx, l.a.container, client.ContainerKillOptions{Signal: signal})
	})
	return l.unlessGone(err)
}

// unlessGone leaves out the error of something that was to be done to a
// container that has ended.
func (l lifeOf) unlessGone(err error) error {
	if err == nil || l.a.ended() {
		return nil
	}
	if kind := vpn.KindOf(err); kind == vpn.NotFound || kind == vpn.Conflict {
		ctx, cancel := l.context()
		defer cancel()
		if !l.a.w.lives.recheck(ctx, l.a) {
			return nil
		}
	}
	return err
}
