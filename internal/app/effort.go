package app

import (
	"runtime"
	"time"

	"vpn/internal/vpn"
)

// effort is how much a worker has computed of late, by what it says itself.
// Its owner's mutex guards it.
type effort struct {
	epoch   string
	at, cpu int64   // milliseconds, of the last answer that counted
	percent float64 // of all cores, between the last two that did
	known   bool
	noted   time.Time
}

// note takes a worker's answer. Workers of earlier versions do not say.
func (e *effort) note(cs vpn.Counters) {
	if cs.Epoch != e.epoch || cs.CPU < e.cpu {
		*e = effort{epoch: cs.Epoch}
	}
	if cs.CPU == 0 {
		return
	}
	over := cs.At - e.at
	if over < minElapsed.Milliseconds() {
		return
	}
	if e.cpu > 0 {
		e.percent, e.known, e.noted = 100*float64(cs.CPU-e.cpu)/float64(over)/float64(runtime.NumCPU()), true, time.Now()
	}
	e.at, e.cpu = cs.At, cs.CPU
}

// percentIn returns the last second's effort in an epoch, nil if it is not
// known.
func (e *effort) percentIn(epoch string) *float64 {
	if !e.known || e.epoch != epoch || time.Since(e.noted) > answerWait {
		return nil
	}
	tenths := float64(int(min(100, e.percent)*10+0.5)) / 10
	return &tenths
}
