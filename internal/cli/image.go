package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"vpn/internal/docker"
	"vpn/internal/vpn"
)

func imageCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use: "image", Short: "The container image, which holds this program and nothing else",
		Long: `Servers in containers run from an image that holds this program and nothing else.
It is made where it is needed, without a registry; these commands are for who
wants it elsewhere.`,
		Example: `  vpn image build                        into the Docker engine of this machine
  vpn image save vpn.tar                 for another: docker load -i vpn.tar`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }, Args: onlyCommands,
	}
	cmd.AddCommand(imageBuild(p), imageSave(p))
	return cmd
}

// builtImage is what the commands answer with.
type builtImage struct {
	Image string `json:"image"`
	File  string `json:"file,omitempty"`
	Bytes int64  `json:"bytes,omitempty"`
}

func imageBuild(p *program) *cobra.Command {
	return answers[builtImage](p, &cobra.Command{
		Use: "build", Aliases: []string{"load"}, Short: "Put the image into this machine's Docker engine", Args: exactly(),
		Long: `Put the image into the Docker engine of this machine, unless it has it. A server
with --runtime docker does that by itself. It is this installation's, and goes
with its last server in a container.`,
		Example: `  vpn image build
  vpn image build -q                     its name only, for scripts`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := imagesHere(); err != nil {
				return err
			}
			engine := docker.New(docker.Options{Getenv: p.Getenv})
			defer func() { err = errors.Join(err, engine.Close()) }()
			cfg, err := p.config()
			if err != nil {
				return err
			}
			owner, err := storeIn(cfg.DataDir)
			if err != nil {
				owner = "" // there is no installation yet that would have it for itself
			}
			tag, err := docker.NewImage("", buildInfo().Version, owner).Ensure(cmd.Context(), engine)
			if err != nil {
				return err
			}
			return p.printer().show(answer{
				data: builtImage{Image: tag}, names: []string{tag}, quiet: []string{tag}, plain: paths([]string{tag}),
				done: "the Docker engine has the image " + tag,
			})
		},
	})
}

func imageSave(p *program) *cobra.Command {
	return answers[builtImage](p, &cobra.Command{
		Use: "save FILE", Short: "Write the image into a file", Args: exactly("FILE"),
		Long: `Write the image into a file that docker load and podman load read. It takes no
engine. Of one program the file is the same each time, byte for byte.`,
		Example: `  vpn image save vpn.tar
  vpn image save - | ssh other docker load`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := imagesHere(); err != nil {
				return err
			}
			image := docker.NewImage("", buildInfo().Version, "")
			tag, err := image.Tag()
			if err != nil {
				return err
			}
			if args[0] == "-" {
				_, err := image.WriteTo(p.Out)
				return err
			}
			n, err := saveImage(cmd.Context(), image, args[0])
			if err != nil {
				return err
			}
			out := builtImage{Image: tag, File: args[0], Bytes: n}
			return p.printer().show(answer{
				data: out, names: []string{tag}, quiet: []string{args[0]}, plain: paths([]string{args[0]}),
				done: "wrote " + args[0] + " (" + vpn.FormatSize(uint64(n)) + "); it is read by: docker load -i " + args[0],
			})
		},
	})
}

// imagesHere returns an error where there is no executable that a container
// could run.
func imagesHere() error {
	if runtime.GOOS == "linux" {
		return nil
	}
	return vpn.Errorf(vpn.Unavailable, "an image is made of the program for Linux, and this is the one for %s", runtime.GOOS).
		WithHint("run this on Linux")
}

// saveImage writes the image beside path, and renames it to that.
func saveImage(ctx context.Context, image io.WriterTo, path string) (n int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return 0, fileProblem("write", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
			err = fileProblem("write", path, err)
		}
	}()
	n, err = image.WriteTo(stoppable{ctx, f})
	if err == nil {
		err = f.Chmod(0o644) // there is no secret in it
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	return n, os.Rename(f.Name(), path)
}

// stoppable is a writer that a person can interrupt.
type stoppable struct {
	ctx context.Context //nolint:containedctx // of one call
	w   io.Writer
}

func (s stoppable) Write(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.w.Write(b)
}
