package docker

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// lives are the containers' lives whose end is waited for.
type lives struct {
	objects
	log     *slog.Logger
	changed chan app.Place
	servers func() []vpn.ServerID // all that are known

	ctx   context.Context //nolint:containedctx // ends with the runtime: of what goes on behind calls
	leave context.CancelFunc
	tasks sync.WaitGroup

	mu       sync.Mutex
	held     map[string]*attached // by container
	watching bool
}

// tell puts a server into changed, unless many are waiting there already.
func (l *lives) tell(id vpn.ServerID) {
	select {
	case l.changed <- app.Place{Server: id, Runtime: vpn.RuntimeDocker}:
	default:
	}
}

// hold has the end of a noticed, from now on.
func (l *lives) hold(a *attached) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[a.container] = a
	if !l.watching && l.ctx.Err() == nil {
		l.watching = true
		l.tasks.Go(l.watch)
	}
}

// recheck looks whether that life of the container goes on, and returns so;
// it is also so if the engine does not answer.
func (l *lives) recheck(ctx context.Context, a *attached) bool {
	c, err := l.inspect(ctx, a.container)
	switch {
	case vpn.KindOf(err) == vpn.NotFound:
	case err != nil || c.State == nil:
		return !a.ended()
	case a.waits():
		if c.State.Restarting {
			return !a.ended()
		}
	case a.lives(c.State):
		a.fallIll(c.State)
		return !a.ended()
	}
	l.over(a)
	return false
}

// over ends a, and forgets it.
func (l *lives) over(a *attached) {
	l.mu.Lock()
	if l.held[a.container] == a {
		delete(l.held, a.container)
	}
	l.mu.Unlock()
	a.end()
}

// later does something that nobody waits for, unless the runtime is closed.
func (l *lives) later(f func(context.Context)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() == nil {
		l.tasks.Go(func() { f(l.ctx) })
	}
}

func (l *lives) holding() []*attached {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]*attached, 0, len(l.held))
	for _, a := range l.held {
		out = append(out, a)
	}
	return out
}

// watch follows the engine's events about the store's containers until the
// runtime is closed.
func (l *lives) watch() {
	retry := firstRetry
	broken := false
	for l.ctx.Err() == nil {
		began := time.Now()
		err := l.listen(func() {
			// What happened in between has to be looked up.
			for _, a := range l.holding() {
				l.recheck(l.ctx, a)
			}
			if broken {
				l.log.Info("the Docker engine answers again")
				l.tellAll()
			}
			broken = false
		})
		if l.ctx.Err() != nil {
			return
		}
		if time.Since(began) > lastRetry {
			retry = firstRetry
		}
		if !broken {
			l.log.Warn("the Docker engine tells nothing any more", slog.Any("err", err))
		}
		broken = true
		select {
		case <-l.ctx.Done():
		case <-time.After(retry):
		}
		retry = min(2*retry, lastRetry)
	}
}

// tellAll has every server looked after that is known here.
func (l *lives) tellAll() {
	for _, id := range l.servers() {
		l.tell(id)
	}
}

// listen takes the engine's events until their stream breaks. It calls
// connected once they come.
func (l *lives) listen(connected func()) error {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	c, err := l.engine.Client(ctx)
	if err != nil {
		return err
	}
	filters := l.ours("").Add("type", string(events.ContainerEventType))
	stream := c.Events(ctx, client.EventsListOptions{Filters: filters})
	select {
	case err := <-stream.Err:
		return l.engine.Error("follow its events", err)
	default:
	}
	connected()
	for {
		select {
		case m := <-stream.Messages:
			l.notice(m)
		case err := <-stream.Err:
			return l.engine.Error("follow its events", err)
		}
	}
}

// notice acts on one event.
func (l *lives) notice(m events.Message) {
	id := vpn.ServerID(m.Actor.Attributes[labelServer])
	l.mu.Lock()
	a := l.held[m.Actor.ID]
	l.mu.Unlock()
	if a != nil && !a.waits() && time.Unix(0, m.TimeNano).Before(a.started) {
		return // about an earlier life
	}
	log := l.log.With(slog.String("server", m.Actor.Attributes[labelName]), slog.String("container", m.Actor.Attributes["name"]))
	switch m.Action {
	case events.ActionDie:
		log.Info("container has ended", slog.String("status", m.Actor.Attributes["exitCode"]))
		if a != nil {
			a.died(exitText(m.Actor.Attributes["exitCode"]))
			l.over(a)
		}
		return // its worker's end is seen
	case events.ActionDestroy:
		if a != nil {
			a.died(removed)
			l.over(a)
		}
	case events.ActionOOM:
		log.Warn("container wants more memory than it may have, and is ended")
		if a != nil {
			a.died(starved)
		}
		return
	case events.ActionPause:
		log.Warn("container was paused")
		if a != nil {
			a.setAiling(paused)
		}
	case events.ActionUnPause:
		log.Info("container goes on")
		if a != nil {
			a.ailing.Store(nil)
		}
	case events.ActionHealthStatusUnhealthy:
		log.Warn("container is unhealthy")
		if a != nil {
			a.setAiling(unhealthy)
		}
	case events.ActionHealthStatusHealthy:
		if a == nil || a.ailing.Load() == nil {
			return
		}
		l.recheck(l.ctx, a) // it may be paused
	case events.ActionStart:
		if a != nil && a.waits() {
			l.over(a)
		}
	default:
		return
	}
	if validID.MatchString(string(id)) {
		l.tell(id)
	}
}

// exitReason is the line of a log that says best why a program ended: the
// first of a crash, else the last of all.
func exitReason(text string) string {
	var last string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return line
		}
		if line != "" {
			last = line
		}
	}
	return last
}
