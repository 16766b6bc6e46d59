package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	engine "vpn/internal/docker"
	"vpn/internal/vpn"
	"vpn/internal/worker"
)

// A kept is what the workers of one server keep that outlives their
// containers: in a directory, or in a volume if the engine does not see the
// control plane's directories. The files of a volume are read and written
// through a container that has it, be that alive or not, or through one that
// is made for that.
type kept struct {
	helpers
	server vpn.ServerID
	dir    string // the server's
}

func (w *Workers) kept(id vpn.ServerID) kept { return kept{w.helpers, id, w.dir(id)} }

// state is the directory.
func (k kept) state() string { return filepath.Join(k.dir, "state") }

// note is the file that holds the volume's name. It is there before the volume
// is, and as long: whoever has none need not ask the engine.
func (k kept) note() string { return filepath.Join(k.dir, "volume") }

// name returns the volume's, or "" if there is none.
func (k kept) name() (string, error) {
	b, err := os.ReadFile(k.note())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("see which volume a server has: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// ensure makes the volume, by that name unless it has one, and returns its
// name.
func (k kept) ensure(ctx context.Context, s vpn.Server, name string) (string, error) {
	noted, err := k.name()
	if err != nil {
		return "", err
	}
	if noted != "" {
		name = noted
	} else if err := os.WriteFile(k.note(), []byte(name+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("note which volume a server has: %w", err)
	}
	labels := map[string]string{labelStore: k.store, labelServer: string(k.server), labelName: s.Name}
	made, err := engine.Call(ctx, k.engine, engine.Slow, "make a volume for server "+s.Name, func(ctx context.Context, c *client.Client) (client.VolumeCreateResult, error) {
		return c.VolumeCreate(ctx, client.VolumeCreateOptions{Name: name, Labels: labels})
	})
	if err != nil {
		return "", err
	}
	// The engine returns one that is there, whosever it is.
	if l := made.Volume.Labels; l[labelStore] != k.store || l[labelServer] != string(k.server) {
		return "", vpn.Errorf(vpn.Conflict, "the name %s is taken by a volume that is not of this installation", name).
			WithHint("see: docker volume inspect %s", name)
	}
	return name, nil
}

// mount is how a container has the volume.
func mountVolume(name string) mount.Mount {
	return mount.Mount{Type: mount.TypeVolume, Source: name, Target: engine.StateDir}
}

// through calls f with a container that has the volume; not at all if there is
// no volume.
func (k kept) through(ctx context.Context, f func(id string) error) error {
	name, err := k.name()
	if name == "" || err != nil {
		return err
	}
	_, err = engine.Call(ctx, k.engine, engine.Quick, "look at a volume", func(ctx context.Context, c *client.Client) (client.VolumeInspectResult, error) {
		return c.VolumeInspect(ctx, name, client.VolumeInspectOptions{})
	})
	if vpn.KindOf(err) == vpn.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	all, err := k.list(ctx, k.server)
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].Labels[labelKept] == keptInVolume {
			if err := f(all[i].ID); vpn.KindOf(err) != vpn.NotFound {
				return err
			}
		}
	}
	return k.helped(ctx, mountVolume(name), f)
}

// finals returns the final counters that are left.
func (k kept) finals(ctx context.Context) ([]vpn.Counters, error) {
	out, err := worker.Finals(k.state())
	if err != nil {
		return nil, err
	}
	err = k.through(ctx, func(id string) error {
		found, err := engine.Call(ctx, k.engine, engine.Slow, "read what a worker has left", func(ctx context.Context, c *client.Client) ([]vpn.Counters, error) {
			r, err := c.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: engine.StateDir})
			if err != nil {
				return nil, err
			}
			defer r.Content.Close()
			return readFinals(r.Content)
		})
		out = append(out, found...)
		return err
	})
	return out, err
}

// readFinals reads them from an archive of the directory. What cannot be read
// of a file is left out: it is a worker's own doing.
func readFinals(r io.Reader) ([]vpn.Counters, error) {
	var out []vpn.Counters
	for files := tar.NewReader(r); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if dir, name := path.Split(path.Clean(h.Name)); h.Typeflag == tar.TypeReg && strings.Count(dir, "/") == 1 {
			if cs, err := worker.ReadFinal(name, files); err == nil {
				out = append(out, cs)
			}
		}
	}
}

// discard removes the counters of those epochs.
func (k kept) discard(ctx context.Context, epochs ...string) error {
	if err := worker.DiscardFinals(k.state(), epochs...); err != nil {
		return err
	}
	files := worker.FinalFiles(epochs...)
	if len(files) == 0 {
		return nil
	}
	return k.through(ctx, func(id string) error { return k.empty(ctx, id, files...) })
}

// empty makes files of the volume empty ones, by a container that has it. The
// engine cannot remove any.
func (k kept) empty(ctx context.Context, id string, files ...string) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, name := range files {
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Uid: engine.UID, Gid: engine.UID}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	_, err := engine.Call(ctx, k.engine, engine.Slow, "write into a server's volume", func(ctx context.Context, c *client.Client) (client.CopyToContainerResult, error) {
		return c.CopyToContainer(ctx, id, client.CopyToContainerOptions{DestinationPath: engine.StateDir, Content: &archive})
	})
	return err
}

// remove removes the volume, which no container has any more.
func (k kept) remove(ctx context.Context) error {
	if name, err := k.name(); name == "" || err != nil {
		return err
	}
	return k.removeVolumes(ctx, k.ours(k.server))
}
