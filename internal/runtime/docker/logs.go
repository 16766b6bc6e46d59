package docker

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"vpn/internal/vpn"
)

const (
	// maxLog is how large a log may be before a new one is begun.
	maxLog = 10 << 20
	// followRetry is how long a log that broke off is not asked for.
	followRetry = time.Second
	// followRest is how long a log may go on whose writer has ended.
	followRest = 2 * time.Second
)

// A journal copies what containers write to where it outlives them. Each line
// once: whoever copies a server's is alone in that, and the log's own time is
// that of the last line in it and a nanosecond.
type journal struct {
	objects
	dir   string // holds the servers' logs
	log   *slog.Logger
	lives *lives

	mu      *sync.Mutex
	copying map[vpn.ServerID]*sync.Mutex // held by whoever copies that server's
}

// follow copies what the container writes into the server's log, where it
// outlives the container, until that life of it ends.
func (j journal) follow(a *attached) {
	j.lives.tasks.Go(func() {
		ctx, cancel := context.WithCancel(j.lives.ctx)
		defer cancel()
		go func() {
			select {
			case <-ctx.Done():
				return
			case <-a.done:
			}
			time.AfterFunc(followRest, cancel)
		}()
		for {
			err := j.copyLog(ctx, a.server, a.container, true)
			if err != nil && j.lives.ctx.Err() == nil && !a.ended() {
				j.log.Debug("a container's log broke off", slog.String("server", string(a.server)), slog.Any("err", err))
			}
			select {
			case <-j.lives.ctx.Done():
				return
			case <-a.done:
				// What it wrote last.
				_ = j.copyLog(j.lives.ctx, a.server, a.container, false)
				return
			case <-time.After(followRetry):
			}
		}
	})
}

// turn returns what is held by whoever copies the server's log.
func (j journal) turn(server vpn.ServerID) *sync.Mutex {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.copying[server] == nil {
		j.copying[server] = &sync.Mutex{}
	}
	return j.copying[server]
}

// copyLog appends to the server's log what the container has written since
// that was written last, and with on what it will write.
func (j journal) copyLog(ctx context.Context, server vpn.ServerID, id string, on bool) error {
	turn := j.turn(server)
	turn.Lock()
	defer turn.Unlock()
	f, since, err := j.openLog(server)
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := j.engine.Client(ctx)
	if err != nil {
		return err
	}
	r, err := c.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: on, Since: since, Timestamps: true})
	if err != nil {
		return j.engine.Error("read a container's log", err)
	}
	defer r.Close()
	lines := &dated{f}
	_, err = stdcopy.StdCopy(lines, lines, r)
	return err
}

// A dated is a log to which lines are written that begin with when they were
// written, as engines tell it: one with each call. It keeps that of the last
// as its own time.
type dated struct{ f *os.File }

// Write appends a line, without its date.
func (d *dated) Write(p []byte) (int, error) {
	date, line, _ := bytes.Cut(p, []byte(" "))
	at, err := time.Parse(time.RFC3339Nano, string(date))
	if err != nil {
		return d.f.Write(p)
	}
	if _, err := d.f.Write(line); err != nil {
		return 0, err
	}
	at = at.Add(1)
	return len(p), os.Chtimes(d.f.Name(), at, at)
}

// openLog opens a server's log to append to, and says when it was last
// written, in the engine's form.
func (j journal) openLog(server vpn.ServerID) (_ *os.File, since string, err error) {
	path := filepath.Join(j.dir, string(server)+".log")
	if st, err := os.Stat(path); err == nil {
		since = fmt.Sprintf("%d.%09d", st.ModTime().Unix(), st.ModTime().Nanosecond())
		if st.Size() > maxLog {
			if err := os.Rename(path, path+".1"); err != nil {
				return nil, "", fmt.Errorf("begin a new worker log: %w", err)
			}
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, "", fmt.Errorf("open a worker's log: %w", err)
	}
	return f, since, nil
}
