package containers

import (
	"context"
	"time"
)

// watchAgain is how often is looked what another program has done.
const watchAgain = 250 * time.Millisecond

// While calls do, which changes the project's containers by another program,
// and says of each service what has become of it, as it becomes so.
func (c *Containers) While(ctx context.Context, say Say, do func() error) error {
	before, err := c.List(ctx)
	if err != nil {
		return do() // which says better what is wrong
	}
	p := progress{say: say, before: newest(before), told: map[string]bool{}}
	done := make(chan error, 1)
	go func() { done <- do() }()
	tick := time.NewTicker(watchAgain)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if now, err := c.List(ctx); err == nil {
				p.look(now, false)
			}
		case err := <-done:
			if now, err := c.List(ctx); err == nil {
				p.look(now, true)
			}
			return err
		}
	}
}

// newest returns the container of each service that was made last.
func newest(all []Container) map[string]Container {
	out := map[string]Container{}
	for _, one := range all {
		if other, ok := out[one.Service]; !ok || one.Created.After(other.Created) {
			out[one.Service] = one
		}
	}
	return out
}

// A progress is what has been said of what becomes of containers.
type progress struct {
	say    Say
	before map[string]Container // by service
	told   map[string]bool      // services
}

// look says what is new in now: of a service that has no container any more
// only in the end, since another may be on its way.
func (p progress) look(now []Container, end bool) {
	there := newest(now)
	tell := func(done, service string) {
		if !p.told[service] {
			p.told[service] = true
			p.say(done, service)
		}
	}
	for _, one := range now { // in the order of the project
		was, had := p.before[one.Service]
		switch is := there[one.Service]; {
		case is.ID != one.ID || is.State != "running":
		case !had:
			tell("created", one.Service)
		case was.ID != is.ID:
			tell("recreated", one.Service)
		case was.State != "running":
			tell("started", one.Service)
		}
	}
	if !end {
		return
	}
	for service := range p.before {
		if _, ok := there[service]; !ok {
			tell("removed", service)
		}
	}
}
