package docker

import (
	"context"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"

	"vpn/internal/vpn"
)

// Why a life of a container has ended, for people.
const (
	removed = "its container was removed"
	starved = "its container ran out of the memory that it may have"
	stopped = "its container was stopped"
	killed  = "its container was killed (SIGKILL)"
)

// died notes why it has ended, if that is not known yet: what is told first is
// nearest to the cause, but that who lacks memory is killed.
func (a *attached) died(why string) {
	told := a.cause.Load()
	if why != "" && (told == nil || *told == killed && why == starved) {
		a.cause.CompareAndSwap(told, &why)
	}
}

// Cause returns why it has ended. Events tell of an end before they tell that
// the container was removed, so the engine is asked, too.
func (a *attached) Cause(ctx context.Context) string {
	a.hear(ctx)
	c, err := a.w.inspect(ctx, a.container)
	switch told := a.cause.Load(); {
	case told != nil && *told == starved:
		return starved
	case vpn.KindOf(err) == vpn.NotFound, err == nil && c.State != nil && c.State.Status == container.StateRemoving:
		return removed
	case told != nil:
		return *told
	case err != nil || c.State == nil || c.State.Running || c.State.Restarting:
		return ""
	case c.State.OOMKilled:
		return starved
	default:
		return exitText(strconv.Itoa(c.State.ExitCode))
	}
}

// hear waits for what the engine may say yet of a life that was killed: of a
// lack of memory it tells as a thing of its own, sometimes after the end.
func (a *attached) hear(ctx context.Context) {
	const patience, step = 300 * time.Millisecond, 20 * time.Millisecond
	for waited := time.Duration(0); waited < patience; waited += step {
		if told := a.cause.Load(); told == nil || *told != killed {
			return
		}
		select {
		case <-time.After(step):
		case <-ctx.Done():
			return
		}
	}
}

// exitText says what the status means with which a container has ended.
func exitText(status string) string {
	n, err := strconv.Atoi(status)
	if err != nil {
		return ""
	}
	const signalled = 128 // and the number of the signal, as shells have it
	switch n {
	case 0:
		return stopped
	case signalled + 9:
		return killed
	case signalled + 15:
		return "its container was ended (SIGTERM)"
	default:
		return "its container ended with status " + status
	}
}
