package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"vpn/internal/app"
	"vpn/internal/config"
	"vpn/internal/selfupdate"
	"vpn/internal/vpn"
)

// control is what the use cases can do to the daemon: it fills [app.Process].
type control struct {
	options Options
	notify  notifier
	apply   func(config.Config) // brings a configuration into force; set before the first request
	goOver  chan struct{}       // asks Serve to execute what is installed
	news    chan struct{}       // says that the warnings have changed

	lost func() []vpn.ServerID // servers that no later daemon would find; set before the first request

	acting sync.Mutex // held by the one reload or upgrade that is under way

	mu       sync.Mutex
	config   config.Config // in force
	reload   string        // what was wrong with the configuration when it was last read
	upgraded string        // what was wrong with the program that gave back
}

var _ app.Process = (*control)(nil)

func newControl(o Options, n notifier) *control {
	c := &control{options: o, notify: n, config: o.Config, goOver: make(chan struct{}, 1), news: make(chan struct{}, 1)}
	if h := o.Handover; h != nil && h.note.Failed != "" {
		c.upgraded = "the upgrade to version " + h.note.From + " failed, and version " + o.Version + " goes on: " + h.note.Failed
	}
	return c
}

// Reload implements [app.Process].
func (c *control) Reload(context.Context) ([]string, error) {
	if !c.acting.TryLock() {
		return nil, busy()
	}
	defer c.acting.Unlock()
	c.notify.reloading()
	changed, err := c.reread()
	c.mu.Lock()
	c.reload = ""
	if err != nil {
		c.reload = "the configuration was refused, and the one before is in force: " + err.Error()
	}
	c.mu.Unlock()
	c.notify.send("READY=1")
	select {
	case c.news <- struct{}{}:
	default:
	}
	if err != nil {
		hint := ""
		if e, ok := errors.AsType[*vpn.Error](err); ok {
			hint = e.Hint
		}
		c.options.Log.Error("configuration refused; the one before stays in force", slog.Any("err", err), slog.String("hint", hint))
		return nil, err
	}
	c.options.Log.Info("configuration read", slog.Any("changed", changed))
	return changed, nil
}

// CheckReload implements [app.Process].
func (c *control) CheckReload(context.Context) ([]string, error) {
	if !c.acting.TryLock() {
		return nil, busy()
	}
	defer c.acting.Unlock()
	_, changed, err := c.read()
	return changed, err
}

func (c *control) reread() ([]string, error) {
	next, changed, err := c.read()
	if err != nil {
		return nil, err
	}
	c.apply(next)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.config = next
	return changed, nil
}

// inForce returns the configuration that is.
func (c *control) inForce() config.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.config
}

// read returns the configuration that a reload would bring into force, and
// which keys it would change.
func (c *control) read() (next config.Config, changed []string, err error) {
	if c.options.Load == nil {
		return next, nil, vpn.Errorf(vpn.Unavailable, "this daemon cannot read its configuration again").WithHint("restart it")
	}
	if next, err = c.options.Load(); err != nil {
		return next, nil, err
	}
	changed = []string{}
	now := c.inForce()
	before := now.Values()
	for i, v := range next.Values() {
		if v.Value != before[i].Value {
			changed = append(changed, v.Key)
		}
	}
	if slices.Contains(changed, "data_dir") {
		return next, nil, vpn.Errorf(vpn.Conflict, "data_dir cannot change while the daemon runs: it is %s, and %s would be another installation",
			now.DataDir, next.DataDir).WithHint("put it back, or stop the daemon with its servers, move the directory and start it again; nothing else was changed either")
	}
	return next, changed, nil
}

// Upgrade implements [app.Process].
func (c *control) Upgrade(ctx context.Context) (vpn.Upgrade, error) {
	if !c.acting.TryLock() {
		return vpn.Upgrade{}, busy()
	}
	defer c.acting.Unlock()
	if again := c.startAnew(); again != "" {
		return vpn.Upgrade{}, vpn.Errorf(vpn.Conflict, "somebody has removed the run directory: the program that comes would not find the servers that run").
			WithHint("start them anew first, which ends their connections: %s", again)
	}
	path := c.Executable()
	if path == "" || len(c.options.Args) == 0 {
		return vpn.Upgrade{}, vpn.Errorf(vpn.Unavailable, "the daemon does not know which file it was started from").WithHint("restart it")
	}
	version, err := selfupdate.Inspect(ctx, path)
	if err != nil {
		return vpn.Upgrade{}, err
	}
	if err := selfupdate.Check(ctx, path, append(slices.Clone(c.options.Args), "--check")); err != nil {
		return vpn.Upgrade{}, err
	}
	select {
	case c.goOver <- struct{}{}:
		return vpn.Upgrade{From: c.options.Version, To: version}, nil
	default:
		return vpn.Upgrade{}, busy()
	}
}

func busy() error {
	return vpn.Errorf(vpn.Conflict, "the daemon is being reloaded or upgraded already").WithHint("try again in a moment")
}

// startAnew returns the commands that start anew the servers that no later
// daemon would find; nothing if there is none.
func (c *control) startAnew() string {
	if c.lost == nil {
		return ""
	}
	var commands []string
	for _, id := range c.lost() {
		commands = append(commands, "vpn server restart "+string(id))
	}
	return strings.Join(commands, "; ")
}

// Executable implements [app.Process].
func (c *control) Executable() string { return c.options.Executable }

// Warnings implements [app.Process].
func (c *control) Warnings() []string {
	removed := ""
	if again := c.startAnew(); again != "" {
		removed = "somebody has removed the run directory: a daemon that comes after this one will not find servers that run now. " +
			"Start them anew, which ends their connections: " + again
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc([]string{c.reload, c.upgraded, removed}, func(s string) bool { return s == "" })
}
