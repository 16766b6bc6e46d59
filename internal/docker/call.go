package docker

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"vpn/internal/vpn"
)

// How long calls may take. An engine whose disk is slow takes seconds to make
// or to remove something, and an image is several dozen megabytes.
const (
	Quick = 5 * time.Second  // to look at something
	Slow  = 30 * time.Second // to change something
	Long  = 2 * time.Minute  // to move an image
)

// Call lets f ask the engine for something, which may take as long as limit.
// What says what, for errors: "list the containers". An error of the engine's
// is of a kind and has a hint, see [Engine.Error].
func Call[T any](ctx context.Context, e *Engine, limit time.Duration, what string, f func(context.Context, *client.Client) (T, error)) (T, error) {
	var none T
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c, err := e.Client(ctx)
	if err != nil {
		return none, err
	}
	out, err := f(ctx, c)
	if err != nil {
		return none, e.Error(what, err)
	}
	return out, nil
}

// Error returns what an error of the engine's client means for a person: of
// kind [vpn.NotFound] or [vpn.Conflict] where the engine says so,
// [vpn.Denied] if its socket may not be opened, and [vpn.Unavailable] if it
// does not answer or cannot do it. What says what was tried.
func (e *Engine) Error(what string, err error) error {
	if err == nil {
		return nil
	}
	if _, is := errors.AsType[*vpn.Error](err); is {
		return err
	}
	switch {
	case errors.Is(err, context.Canceled):
		return &vpn.Error{Kind: vpn.Unavailable, Message: "the Docker engine was not waited for: " + what, Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		e.forget()
		out := &vpn.Error{Kind: vpn.Unavailable, Message: "the Docker engine does not answer in time: " + what, Err: err}
		return out.WithHint("is it well? see: systemctl status docker, docker info")
	case client.IsErrConnectionFailed(err), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		e.forget()
		return e.unreachable(err)
	}
	says := strings.TrimPrefix(err.Error(), "Error response from daemon: ")
	switch {
	case errdefs.IsNotFound(err):
		return &vpn.Error{Kind: vpn.NotFound, Message: "the Docker engine knows no such thing: " + what + ": " + says, Err: err}
	case errdefs.IsConflict(err):
		return &vpn.Error{Kind: vpn.Conflict, Message: "the Docker engine refuses to " + what + ": " + says, Err: err}
	}
	if NoSpace(err) {
		return e.full(what, says, err)
	}
	out := &vpn.Error{Kind: vpn.Unavailable, Message: "the Docker engine cannot " + what + ": " + says, Err: err}
	return out.WithHint("see: docker info, journalctl -u docker")
}

// NoSpace reports whether it is for want of space that an engine cannot do
// something.
func NoSpace(err error) bool {
	return err != nil && strings.Contains(err.Error(), "no space left on device")
}

// full says which disk it is that has no room for what was tried.
func (e *Engine) full(what, says string, err error) error {
	e.mu.Lock()
	where := ""
	if e.facts != nil {
		where = " on which it keeps its data, " + e.facts.Root + ","
	}
	e.mu.Unlock()
	out := &vpn.Error{Kind: vpn.Unavailable, Message: "the Docker engine cannot " + what + ": the disk" + where + " is full: " + says, Err: err}
	return out.WithHint("make room there: docker system df, docker system prune")
}

// unreachable says why there is no connection.
func (e *Engine) unreachable(err error) error {
	host, herr := e.Host()
	if herr != nil {
		return herr
	}
	// The client tells it in words only.
	why := reach(context.Background(), host)
	switch {
	case errors.Is(why, fs.ErrPermission):
		return vpn.Errorf(vpn.Denied, "the Docker engine at %s may not be used by this user: %w", host, why).
			WithHint("run vpn as root, or as a member of the group docker, who can do all that root can")
	case errors.Is(why, fs.ErrNotExist):
		return vpn.Errorf(vpn.Unavailable, "there is no Docker engine at %s: %w", host, why).
			WithHint("is Docker installed, and running? see: systemctl status docker")
	case why != nil:
		return vpn.Errorf(vpn.Unavailable, "the Docker engine at %s does not run: %w", host, why).
			WithHint("start it: systemctl start docker")
	}
	return vpn.Errorf(vpn.Unavailable, "the Docker engine at %s has hung up: %w", host, err).
		WithHint("is it being restarted? see: systemctl status docker")
}
