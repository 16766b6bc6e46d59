package app

import "time"

// attendance is how many connections there were in the steps of history that
// the store has not been told of: a look each second, and who had how many.
//
// A step is told when it is over, or when somebody asks: an idle host writes
// once in five minutes. What a control plane that is killed had not told is
// lost on both sides, looks and connections, so that averages stay true. Only
// the ledger uses it, with its mutex held.
type attendance struct {
	steps []Watched // the oldest first; the last one goes on
	asked bool      // about the last one
}

// mostSteps is how many steps wait for a store that cannot be written: a day
// of them. What is older is not known, and is told so.
const mostSteps = int(24 * time.Hour / coarseStep)

// look adds a second: whoever is connected by what the epochs say.
func (a *attendance) look(epochs map[string]*epochCount, at time.Time) {
	begin := at.UTC().Truncate(coarseStep)
	if n := len(a.steps); n == 0 || !a.steps[n-1].At.Equal(begin) {
		if len(a.steps) == mostSteps {
			a.steps = append(a.steps[:0], a.steps[1:]...)
		}
		a.steps = append(a.steps, Watched{At: begin, Connected: map[Connected]int64{}})
	}
	step := &a.steps[len(a.steps)-1]
	step.Seconds++
	for _, e := range epochs {
		if e.conns == 0 {
			continue
		}
		for u, t := range e.tallies {
			if t.conns > 0 {
				step.Connected[Connected{User: u, Server: e.server}] += int64(t.conns)
			}
		}
	}
}

// due reports whether the store is to be told: a step is over, or somebody asks.
func (a *attendance) due() bool { return len(a.steps) > 1 || a.asked && len(a.steps) > 0 }

// store tells all there is. It may be run again.
func (a *attendance) store(tx Tx) error {
	for _, s := range a.steps {
		if err := tx.History.Watch(s); err != nil {
			return err
		}
	}
	return nil
}

// settle forgets what the store has been told.
func (a *attendance) settle() { *a = attendance{} }

// attend notes who is connected now, as l knows it.
func attend(l *ledger, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attendance.look(l.epochs, at)
}
