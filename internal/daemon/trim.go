package daemon

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

const (
	trimPeriod   = time.Minute
	maxWorkerLog = 10 << 20 // bytes; with the one before it, twice that
)

// keepSmall trims the logs of workers until ctx ends.
func (l logs) keepSmall(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(trimPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := l.trim(maxWorkerLog); err != nil {
				log.Warn("a worker's log cannot be trimmed", slog.Any("err", err))
			}
		}
	}
}

// trim moves what is in logs of more than limit bytes to a file beside them. A
// worker holds its log open and may open none itself, so the content moves and
// the file stays; a line that is written between the two is lost.
func (l logs) trim(limit int64) error {
	paths, err := filepath.Glob(filepath.Join(l.dir, "*.log"))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range paths {
		if filepath.Base(path) == ownLogFile { // it sees to itself
			continue
		}
		if st, err := os.Lstat(path); err == nil && st.Mode().IsRegular() && st.Size() > limit {
			errs = append(errs, moveContent(path, path+".1"))
		}
	}
	return errors.Join(errs...)
}

// moveContent leaves the file at path empty. Where there is no room for what
// was in it, that is gone: a full disk is worse.
func moveContent(path, to string) error {
	from, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer from.Close()
	part := to + ".part"
	kept, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fs.FileMode(0o600))
	if err == nil {
		_, err = io.Copy(kept, from)
		err = errors.Join(err, kept.Close())
	}
	if err == nil {
		err = os.Rename(part, to)
	}
	if err != nil {
		_ = os.Remove(part)
	}
	return errors.Join(err, from.Truncate(0))
}
