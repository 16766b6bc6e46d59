package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"vpn/internal/vpn"
)

// Spawn starts a daemon that outlives this process and its terminal: program
// with args, which logs to a file in dataDir. It returns when answers reports
// that it does, or with what it said if it ends before.
func Spawn(ctx context.Context, program string, args []string, dataDir string, answers func(context.Context) bool) error {
	path := filepath.Join(dataDir, "logs", "daemon.log")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return vpn.Errorf(vpn.Unavailable, "make the log's directory: %w", err)
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return vpn.Errorf(vpn.Unavailable, "open the log: %w", err)
	}
	defer log.Close()
	begin, err := log.Seek(0, 2)
	if err != nil {
		return fmt.Errorf("find the end of the log: %w", err)
	}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = ownSession()
	if err := cmd.Start(); err != nil {
		return vpn.Errorf(vpn.Unavailable, "start the daemon: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			return vpn.Errorf(vpn.Unavailable, "the daemon has ended at once: %w", errors.Join(errors.New(lastLine(log, begin)), err)).
				WithHint("see %s", path)
		case <-ctx.Done():
			return vpn.Errorf(vpn.Unavailable, "the daemon, process %d, does not answer yet", cmd.Process.Pid).WithHint("see %s", path)
		case <-ticker.C:
			if answers(ctx) {
				return nil
			}
		}
	}
}

// lastLine returns the last line of what was written to a log from begin on.
func lastLine(log *os.File, begin int64) string {
	text := make([]byte, 16<<10)
	n, _ := log.ReadAt(text, begin) // less than asked for, mostly
	lines := strings.Split(strings.TrimSpace(string(text[:n])), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], "vpn: ")
}
