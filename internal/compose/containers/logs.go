package containers

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"vpn/internal/docker"
	"vpn/internal/logging"
	"vpn/internal/vpn"
)

// Query says which lines of a log are meant.
type Query struct {
	Tail   int // the last lines; below 0: all
	Since  time.Time
	Level  vpn.LogLevel // what weighs as much at least; "": all
	Follow bool
}

// lookAgain is how long a container that ends may be away before its next
// lines are looked for.
const lookAgain = 500 * time.Millisecond

// Logs calls yield for each line of the services' logs (of all, if none is
// named), by time. Following, it goes on until ctx ends, also over restarts of
// containers. It returns the first error of yield.
func (c *Containers) Logs(ctx context.Context, q Query, yield func(vpn.LogLine) error, services ...string) error {
	all, err := c.List(ctx)
	if err != nil {
		return err
	}
	list, err := Of(all, services...)
	if err != nil {
		return err
	}
	now := time.Now()
	lines, err := c.past(ctx, list, q, now)
	if err != nil {
		return err
	}
	for _, l := range lines {
		if err := yield(l); err != nil {
			return err
		}
	}
	if !q.Follow {
		return nil
	}
	return c.follow(ctx, list, q, now, yield)
}

// past returns what was logged until now, by time.
func (c *Containers) past(ctx context.Context, list []Container, q Query, now time.Time) ([]vpn.LogLine, error) {
	if q.Tail == 0 {
		return nil, nil
	}
	var out []vpn.LogLine
	for _, one := range list {
		o := client.ContainerLogsOptions{Until: stamp(now), Since: stamp(q.Since)}
		if q.Tail > 0 && q.Level == "" {
			o.Tail = strconv.Itoa(q.Tail)
		}
		_, err := docker.Call(ctx, c.engine, docker.Long, "read the log of "+one.Service, func(ctx context.Context, e *client.Client) (any, error) {
			return nil, read(ctx, e, one, o, func(l vpn.LogLine, _ time.Time) error {
				if q.Level == "" || l.Level.AtLeast(q.Level) {
					out = append(out, l)
				}
				if twice := 2 * q.Tail; q.Level != "" && q.Tail > 0 && len(out) > 10_000+twice {
					out = slices.Delete(out, 0, len(out)-twice) // no more than needed, without moving them for each
				}
				return nil
			})
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(out, func(a, b vpn.LogLine) int { return a.At.Compare(b.At) })
	if q.Tail > 0 && len(out) > q.Tail {
		out = out[len(out)-q.Tail:]
	}
	return out, nil
}

// follow yields what is logged from a time on.
func (c *Containers) follow(ctx context.Context, list []Container, q Query, from time.Time, yield func(vpn.LogLine) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines, ended := make(chan vpn.LogLine), make(chan error, len(list))
	for _, one := range list {
		go func() { ended <- c.followOne(ctx, one, q.Level, from, lines) }()
	}
	for left := len(list); left > 0; {
		select {
		case l := <-lines:
			if err := yield(l); err != nil {
				return err
			}
		case err := <-ended:
			if left--; err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// followOne reads a container's log until ctx ends or the container is no
// more. The engine ends a log with each end of the container.
func (c *Containers) followOne(ctx context.Context, one Container, level vpn.LogLevel, from time.Time, lines chan<- vpn.LogLine) error {
	for {
		e, err := c.engine.Client(ctx)
		if err == nil {
			o := client.ContainerLogsOptions{Since: stamp(from), Follow: true}
			err = read(ctx, e, one, o, func(l vpn.LogLine, at time.Time) error {
				from = at.Add(time.Nanosecond)
				if level != "" && !l.Level.AtLeast(level) {
					return nil
				}
				select {
				case lines <- l:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
			err = c.engine.Error("read the log of "+one.Service, err)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case vpn.KindOf(err) == vpn.NotFound:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(lookAgain):
		}
	}
}

// read calls yield for each line of one container's log.
func read(ctx context.Context, e *client.Client, one Container, o client.ContainerLogsOptions, yield func(vpn.LogLine, time.Time) error) error {
	o.ShowStdout, o.ShowStderr, o.Timestamps = true, true, true
	from, err := e.ContainerLogs(ctx, one.ID, o)
	if err != nil {
		return err
	}
	defer from.Close()
	plain, to := io.Pipe()
	go func() {
		_, err := stdcopy.StdCopy(to, to, from)
		_ = to.CloseWithError(err)
	}()
	defer plain.Close()
	reader := logging.Reader{Source: one.Service}
	in := bufio.NewReaderSize(plain, 64<<10)
	for {
		text, err := in.ReadString('\n')
		if text != "" {
			stamp, rest, _ := strings.Cut(strings.TrimRight(text, "\n"), " ")
			at, notATime := time.Parse(time.RFC3339Nano, stamp)
			if notATime != nil {
				rest = text
			}
			reader.Began = at.UTC()
			if l, ok := reader.Line([]byte(rest)); ok {
				if err := yield(l, at); err != nil {
					return err
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// stamp is a time as the engine's API has it; that of no time is empty.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
