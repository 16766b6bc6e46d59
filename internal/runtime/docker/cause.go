package docker

import (
	"context"
	"strconv"

	"github.com/moby/moby/api/types/container"

	"vpn/internal/vpn"
)

// Why a life of a container has ended, for people.
const (
	removed = "its container was removed"
	starved = "its container ran out of the memory that it may have"
	stopped = "its container was stopped"
)

// died notes why it has ended, if that is not known yet: what is told first is
// nearest to the cause.
func (a *attached) died(why string) {
	if why != "" {
		a.cause.CompareAndSwap(nil, &why)
	}
}

// Cause returns why it has ended. Events tell of an end before they tell that
// the container was removed, so the engine is asked, too.
func (a *attached) Cause(ctx context.Context) string {
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
		return "its container was killed (SIGKILL)"
	case signalled + 15:
		return "its container was ended (SIGTERM)"
	default:
		return "its container ended with status " + status
	}
}
