package docker

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"vpn/internal/vpn"
)

// What an image holds, for those who make containers of it.
const (
	StateDir = "/var/lib/vpn" // what outlives a container
	RunDir   = "/run/vpn"     // the control socket
	UID      = 65532          // who serves: nobody, by the number that distroless images use

	// ImageLabel is on every image of ours. Its value is the binary's hash.
	ImageLabel = "vpn.image"
	// OwnerLabel is on an image that an installation has for itself. Its value
	// is the store's id.
	OwnerLabel = "vpn.store"
	repository = "vpn"
)

// An Image is a container image that holds one executable and nothing else. It
// is made from the file, byte for byte the same each time, and needs no
// registry. Methods may be called concurrently.
type Image struct {
	executable, version string
	owner               string // the id of a store, or ""

	loading sync.Mutex // one load at a time

	mu   sync.Mutex
	done *measures
}

// measures are what has to be known of the executable before the image can be
// written.
type measures struct {
	binary string // hash of the executable
	layer  string // hash of the layer's tar
	size   int64  // of the layer's tar
}

// NewImage returns the image of a static executable for Linux, which is empty
// for this process's own. It reads nothing yet.
//
// The image is the owner's alone, who is the store of that id: other
// installations have theirs, of which the engine keeps the one layer once, and
// nobody removes or needs another's. Without an owner it is one for people.
func NewImage(executable, version, owner string) *Image {
	if executable == "" {
		executable = "/proc/self/exe" // a newer one may be in its place by now
	}
	return &Image{executable: executable, version: version, owner: owner}
}

// Tag returns the image's name: repository, version, and the beginnings of the
// executable's hash and of the owner's id.
func (i *Image) Tag() (string, error) {
	m, err := i.measure()
	if err != nil {
		return "", err
	}
	version := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, i.version)
	version = strings.Trim(version, "-.")
	if version == "" {
		version = "devel"
	}
	tag := fmt.Sprintf("%s:%.100s-%s", repository, version, m.binary[:12])
	if i.owner != "" {
		tag += fmt.Sprintf("-%.8s", i.owner)
	}
	return tag, nil
}

// WriteTo writes the image as docker save would, for docker load.
func (i *Image) WriteTo(w io.Writer) (int64, error) {
	m, err := i.measure()
	if err != nil {
		return 0, err
	}
	tag, err := i.Tag()
	if err != nil {
		return 0, err
	}
	config, err := json.Marshal(i.config(m))
	if err != nil {
		return 0, err
	}
	sum := sha256.Sum256(config)
	configName, layerName := hex.EncodeToString(sum[:])+".json", m.layer+"/layer.tar"
	manifest, err := json.Marshal([]map[string]any{{"Config": configName, "RepoTags": []string{tag}, "Layers": []string{layerName}}})
	if err != nil {
		return 0, err
	}
	count := &counter{w: w}
	tw := tar.NewWriter(count)
	for _, f := range []struct {
		name string
		size int64
		fill func(io.Writer) error
	}{
		{configName, int64(len(config)), write(config)},
		{layerName, m.size, func(w io.Writer) error { return i.writeLayer(w, nil) }},
		{"manifest.json", int64(len(manifest)), write(manifest)},
	} {
		if err := tw.WriteHeader(header(f.name, tar.TypeReg, 0o644, 0, f.size)); err != nil {
			return count.n, err
		}
		if err := f.fill(tw); err != nil {
			return count.n, fmt.Errorf("write the image: %w", err)
		}
	}
	return count.n, tw.Close()
}

// config is the image's configuration, see the OCI image specification.
func (i *Image) config(m *measures) map[string]any {
	second := int(time.Second)
	labels := map[string]string{
		ImageLabel:                         m.binary,
		"org.opencontainers.image.title":   "vpn",
		"org.opencontainers.image.version": i.version,
	}
	if i.owner != "" {
		labels[OwnerLabel] = i.owner
	}
	return map[string]any{
		"created": "1970-01-01T00:00:00Z", "os": "linux", "architecture": runtime.GOARCH,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + m.layer}},
		"history": []map[string]any{
			{"created": "1970-01-01T00:00:00Z", "created_by": "vpn " + i.version, "comment": "one static binary"},
		},
		"config": map[string]any{
			"User":       fmt.Sprintf("%d:%[1]d", UID),
			"Entrypoint": []string{"/vpn"},
			"Cmd":        []string{"help"},
			"WorkingDir": "/",
			"Labels":     labels,
			"Healthcheck": map[string]any{
				"Test":     []string{"CMD", "/vpn", "container", "health"},
				"Interval": 15 * second, "Timeout": 5 * second, "StartPeriod": 5 * second, "Retries": 3,
			},
		},
	}
}

// writeLayer writes the only layer's tar, and the executable to also, too.
func (i *Image) writeLayer(w io.Writer, also hash.Hash) error {
	f, err := os.Open(i.executable)
	if err != nil {
		return fmt.Errorf("open the program: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("look at the program: %w", err)
	}
	tw := tar.NewWriter(w)
	for _, d := range []struct {
		name string
		mode int64
		uid  int
	}{
		{"run/", 0o755, 0}, {"run/vpn/", 0o700, UID}, {"var/", 0o755, 0}, {"var/lib/", 0o755, 0}, {"var/lib/vpn/", 0o700, UID},
	} {
		if err := tw.WriteHeader(header(d.name, tar.TypeDir, d.mode, d.uid, 0)); err != nil {
			return err
		}
	}
	if err := tw.WriteHeader(header("vpn", tar.TypeReg, 0o755, 0, st.Size())); err != nil {
		return err
	}
	from := io.LimitReader(f, st.Size())
	if also != nil {
		from = io.TeeReader(from, also)
	}
	if _, err := io.Copy(tw, from); err != nil {
		return fmt.Errorf("read the program: %w", err)
	}
	return tw.Close()
}

// measure reads the executable once, and knows then.
func (i *Image) measure() (*measures, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.done != nil {
		return i.done, nil
	}
	if runtime.GOOS != "linux" {
		return nil, vpn.Errorf(vpn.Unavailable, "this program is for %s, and an image holds one for Linux", runtime.GOOS).
			WithHint("make the image on the Linux machine that is to run it")
	}
	layer, binary := sha256.New(), sha256.New()
	count := &counter{w: layer}
	if err := i.writeLayer(count, binary); err != nil {
		return nil, err
	}
	i.done = &measures{
		binary: hex.EncodeToString(binary.Sum(nil)), layer: hex.EncodeToString(layer.Sum(nil)), size: count.n,
	}
	return i.done, nil
}

// Ensure returns the image's name once the engine has it, and loads it into
// the engine if it does not. It refuses an engine of another architecture.
func (i *Image) Ensure(ctx context.Context, e *Engine) (string, error) {
	facts, err := e.Facts(ctx)
	if err != nil {
		return "", err
	}
	if facts.Architecture != runtime.GOARCH {
		return "", vpn.Errorf(vpn.Unavailable, "the Docker engine runs programs for %s, and this one is for %s", orNone(facts.Architecture), runtime.GOARCH).
			WithHint("use the vpn program that was built for the engine's machine")
	}
	tag, err := i.Tag()
	if err != nil {
		return "", err
	}
	i.loading.Lock()
	defer i.loading.Unlock()
	has, err := i.in(ctx, e, tag)
	if has || err != nil {
		return tag, err
	}
	if err := i.load(ctx, e); err != nil {
		return "", err
	}
	if has, err = i.in(ctx, e, tag); err == nil && !has {
		err = vpn.Errorf(vpn.Unavailable, "the Docker engine took the image %s and does not have it", tag)
	}
	return tag, err
}

// in reports whether the engine has the image by that name.
func (i *Image) in(ctx context.Context, e *Engine, tag string) (bool, error) {
	image, err := Call(ctx, e, Quick, "look at the image "+tag, func(ctx context.Context, c *client.Client) (client.ImageInspectResult, error) {
		return c.ImageInspect(ctx, tag)
	})
	if vpn.KindOf(err) == vpn.NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	m, err := i.measure()
	if err != nil {
		return false, err
	}
	// Somebody may have given the name to another one.
	return image.Config != nil && image.Config.Labels[ImageLabel] == m.binary && image.Config.Labels[OwnerLabel] == i.owner, nil
}

func (i *Image) load(ctx context.Context, e *Engine) error {
	_, err := Call(ctx, e, Long, "load the image", func(ctx context.Context, c *client.Client) (struct{}, error) {
		r, w := io.Pipe()
		go func() {
			_, err := i.WriteTo(w)
			w.CloseWithError(err)
		}()
		defer r.Close()
		answer, err := c.ImageLoad(ctx, r, client.ImageLoadWithQuiet(true))
		if err != nil {
			return struct{}{}, err
		}
		defer answer.Close()
		return struct{}{}, loaded(answer)
	})
	return err
}

// loaded reads what the engine says while it loads: what goes wrong by then
// is a line of it.
func loaded(answer io.Reader) error {
	for d := json.NewDecoder(answer); ; {
		var line struct {
			Error string `json:"error"`
		}
		err := d.Decode(&line)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read the engine's answer: %w", err)
		case line.Error != "":
			return errors.New(line.Error)
		}
	}
}

// RemoveImages removes the images of an owner that no container uses, whoever's
// that is, but for those named by keep. It returns the names of what is gone.
func RemoveImages(ctx context.Context, e *Engine, owner string, keep ...string) ([]string, error) {
	images, err := Call(ctx, e, Quick, "list the images", func(ctx context.Context, c *client.Client) (client.ImageListResult, error) {
		filters := make(client.Filters).Add("label", ImageLabel).Add("label", OwnerLabel+"="+owner)
		return c.ImageList(ctx, client.ImageListOptions{Filters: filters})
	})
	if err != nil {
		return nil, err
	}
	if len(images.Items) == 0 {
		return nil, nil
	}
	containers, err := Call(ctx, e, Quick, "list the containers", func(ctx context.Context, c *client.Client) (client.ContainerListResult, error) {
		return c.ContainerList(ctx, client.ContainerListOptions{All: true})
	})
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, c := range containers.Items {
		used[c.ImageID] = true
	}
	var gone []string
	for _, image := range images.Items {
		if used[image.ID] {
			continue // the engine would take its name away, if it has another one
		}
		for _, tag := range image.RepoTags {
			if !strings.HasPrefix(tag, repository+":") || slices.Contains(keep, tag) {
				continue // a name that somebody else has given, or that is needed
			}
			_, err := Call(ctx, e, Slow, "remove the image "+tag, func(ctx context.Context, c *client.Client) (client.ImageRemoveResult, error) {
				return c.ImageRemove(ctx, tag, client.ImageRemoveOptions{PruneChildren: true})
			})
			switch vpn.KindOf(err) {
			case vpn.NotFound, vpn.Conflict: // gone, or in use
			default:
				if err != nil {
					return gone, err
				}
				gone = append(gone, tag)
			}
		}
	}
	return gone, nil
}

func header(name string, kind byte, mode int64, owner int, size int64) *tar.Header {
	return &tar.Header{
		Name: name, Typeflag: kind, Mode: mode, Uid: owner, Gid: owner, Size: size,
		ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
	}
}

func write(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
