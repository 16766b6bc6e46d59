package docker

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
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
)

// A journal copies what containers write to where it outlives them.
type journal struct {
	objects
	dir   string // holds the servers' logs
	log   *slog.Logger
	lives *lives
}

// follow copies what the container writes into the server's log, where it
// outlives the container, until that life of it ends.
func (j journal) follow(a *attached) {
	j.lives.tasks.Go(func() {
		for {
			err := j.copyLog(j.lives.ctx, a.server, a.container, true)
			if j.lives.ctx.Err() != nil || a.ended() {
				return
			}
			if err != nil {
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

// copyLog appends to the server's log what the container has written since
// that was written last, and with on what it will write.
func (j journal) copyLog(ctx context.Context, server vpn.ServerID, id string, on bool) error {
	f, since, err := j.openLog(server)
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := j.engine.Client(ctx)
	if err != nil {
		return err
	}
	r, err := c.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: on, Since: since})
	if err != nil {
		return j.engine.Error("read a container's log", err)
	}
	defer r.Close()
	_, err = stdcopy.StdCopy(f, f, r)
	return err
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
