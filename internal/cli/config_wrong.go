package cli

import (
	"bytes"
	"context"
	"errors"
	"os"

	"vpn/internal/config"
	"vpn/internal/vpn"
)

// This file is what a command that asks a daemon does when the configuration
// is wrong. The daemon goes on with what it read before, and whoever
// administers it has to get at it: a user may have to be cut off now.

// despite returns a connection to the system's daemon although the
// configuration file is wrong, for which the caller has the reason. It never
// opens a data directory: where no daemon answers, or it is not certain that
// it is the one that the file would have led to, it returns wrong, with a hint
// how to go on.
func (p *program) despite(ctx context.Context, wrong error) (*connection, error) {
	without := sources(p)
	path := config.File(without)
	usual := path == config.DefaultFile(without)
	without.File = os.DevNull
	cfg, err := config.Load(without)
	e, ok := errors.AsType[*vpn.Error](wrong)
	if err != nil || !ok || !exists(path) {
		return nil, wrong // the mistake is not what is in the file
	}
	dir, err := cfg.Get("data_dir")
	moves := err != nil || dir.Origin.Layer == "default" && mayMove(path)
	if usual && !moves && cfg.DataDir == config.SystemDataDir {
		if c, err := p.running(ctx, cfg); err == nil {
			p.printer().warn("the daemon goes on with what it read before, for the configuration is wrong: " + wrong.Error())
			return c, nil
		}
	}
	again := "--config " + os.DevNull
	if moves {
		again += " --data-dir DIR"
	}
	hint := "a daemon that runs goes on with what it read before, and is reached with " + again
	if e.Hint != "" {
		hint = e.Hint + "; " + hint
	}
	return nil, vpn.Errorf(e.Kind, "%w", wrong).WithHint("%s", hint)
}

// mayMove reports whether a file that cannot be understood may name a data
// directory.
func mayMove(path string) bool {
	const most = 1 << 20 // of a configuration
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() > most {
		return true
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return true
	}
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if !bytes.HasPrefix(line, []byte("#")) && bytes.Contains(line, []byte("data_dir")) {
			return true
		}
	}
	return false
}
