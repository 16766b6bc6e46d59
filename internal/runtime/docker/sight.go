package docker

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	engine "vpn/internal/docker"
	"vpn/internal/vpn"
)

// A sight is whether an engine sees the control plane's directories. One that
// does not may run in a machine or a container of its own, or this process in
// one.
type sight struct {
	helpers
	turn sync.Mutex
	at   time.Time // when the engine was looked at that has it
	seen bool
}

// sees reports whether what the engine mounts of a directory is the same here, as it is seen through a container that was made just now.
func (s *sight) sees(ctx context.Context, dir string, facts engine.Facts) (bool, error) {
	if facts.Apart {
		return false, nil // whatever it may copy over: nobody there can be called here
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	if !facts.Asked.IsZero() && s.at.Equal(facts.Asked) {
		return s.seen, nil
	}
	sign := filepath.Join(dir, "seen-"+rand.Text())
	if err := os.WriteFile(sign, nil, 0o600); err != nil {
		return false, fmt.Errorf("make a file for the Docker engine to see: %w", err)
	}
	defer os.Remove(sign)
	err := s.helped(ctx, mount.Mount{Type: mount.TypeBind, Source: dir, Target: engine.RunDir}, func(id string) error {
		_, err := engine.Call(ctx, s.engine, engine.Slow, "look into a container", func(ctx context.Context, c *client.Client) (client.ContainerStatPathResult, error) {
			return c.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: path.Join(engine.RunDir, filepath.Base(sign))})
		})
		return err
	})
	unseen := err != nil && (vpn.KindOf(err) == vpn.NotFound || strings.Contains(err.Error(), "bind source path does not exist"))
	if err != nil && !unseen {
		return false, err
	}
	s.at, s.seen = facts.Asked, !unseen
	if unseen {
		s.log.Info("the Docker engine does not see this machine's directories: servers are reached through processes in their containers")
	}
	return !unseen, nil
}
