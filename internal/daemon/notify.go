package daemon

import (
	"context"
	"net"
	"strings"
	"time"
)

// A notifier tells the service manager, if one asked to be told, how the
// daemon is (sd_notify(3)). It is a courtesy: that nobody listens is no error.
// The address may be a path, or the name of an abstract socket after an @.
type notifier struct{ address string }

func newNotifier(environ func(string) string) notifier { return notifier{environ("NOTIFY_SOCKET")} }

// send sends assignments, such as READY=1, in one message.
func (n notifier) send(state ...string) {
	if n.address == "" {
		return
	}
	c, err := net.Dial("unixgram", n.address)
	if err != nil {
		return
	}
	_, _ = c.Write([]byte(strings.Join(state, "\n")))
	_ = c.Close()
}

// status is the line that a person sees beside the unit.
func status(text string) string { return "STATUS=" + strings.ReplaceAll(text, "\n", "; ") }

// reloading begins what a READY=1 ends. The time tells the service manager
// whether it was begun before or after it asked.
func (n notifier) reloading() { n.send("RELOADING=1", monotonic()) }

const statusPeriod = 10 * time.Second

// keepStatus sends the status line now, and when it has changed, until ctx
// ends. It looks now and then, and at once when poked.
func (n notifier) keepStatus(ctx context.Context, line func(context.Context) (string, error), poked <-chan struct{}) {
	if n.address == "" {
		return
	}
	tick := time.NewTicker(statusPeriod)
	defer tick.Stop()
	for said := ""; ; {
		if text, err := line(ctx); err == nil && text != said {
			n.send(status(text))
			said = text
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-poked:
		}
	}
}
