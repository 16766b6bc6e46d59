package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/qr"
	"vpn/internal/vpn"
)

func usersQR(p *program) *cobra.Command {
	var f qrFlags
	cmd := &cobra.Command{
		Use: "qr NAME", Short: "Show a user's link as a QR code, for a phone to scan",
		Long: `Show a user's link as a QR code: in the terminal or, with --png or --svg, as a
file that only you may read. A file that is there already is replaced with
--yes only. The name - stands for standard output.`,
		Example: `  vpn users qr alice
  vpn users qr alice --png alice.png
  vpn users qr alice --svg - > alice.svg`,
	}
	cmd.Flags().StringVar(&f.server, "server", "", "for the server `NAME`")
	cmd.Flags().StringVar(&f.device, "device", "", "for the `DEVICE`; '' is the user's own link")
	cmd.Flags().StringVar(&f.png, "png", "", "write a PNG image to the `FILE`, or to - for standard output")
	cmd.Flags().StringVar(&f.svg, "svg", "", "write an SVG image to the `FILE`, or to -")
	return answers[[]vpn.Access](p, onUser(p, cmd, func(cmd *cobra.Command, name string) error {
		if err := f.check(p); err != nil {
			return err
		}
		f.own = cmd.Flags().Changed("device") && f.device == ""
		return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
			return showQR(ctx, p, c.Users, name, f)
		})
	}))
}

// qrFlags say of which link and where to.
type qrFlags struct {
	server, device, png, svg string
	own                      bool // of no device
}

func (f qrFlags) check(p *program) error {
	switch {
	case f.png != "" && f.svg != "" && f.png == f.svg:
		return vpn.Errorf(vpn.Invalid, "--png and --svg cannot both be %s", f.png).WithHint("name two files, or run the command twice")
	case f.png == "-" && p.OutTerminal:
		return vpn.Errorf(vpn.Invalid, "a PNG image is nothing for a terminal").
			WithHint("name a file: --png alice.png; for the terminal leave --png out")
	}
	return nil
}

// pngScale is how many pixels wide a module is: what a phone reads from any
// screen.
const pngScale = 8

func showQR(ctx context.Context, p *program, users accessShower, user string, f qrFlags) error {
	access, err := accessTo(ctx, users, user, f.server, f.device)
	if err != nil {
		return err
	}
	if f.own {
		if access, err = ownOf(access); err != nil {
			return err
		}
	}
	if len(access) > 1 {
		if access, err = oneAccess(ctx, p, user, access); err != nil {
			return err
		}
	}
	link := scanned(access[0])
	if f.png != "" || f.svg != "" {
		return writeQR(p, link, f)
	}
	out := p.printer()
	if !out.forPeople() {
		return out.show(answer{data: access, names: servers(access), plain: accessTable(access)})
	}
	code, err := p.qrCode(link, user)
	if err != nil {
		return err
	}
	return out.print(code)
}

// oneAccess lets a person choose of which server, and for which device, the
// link is to be.
func oneAccess(ctx context.Context, p *program, user string, access []vpn.Access) ([]vpn.Access, error) {
	ask := p.prompter()
	names := make([]string, 0, len(access))
	options := make([]option, 0, len(access))
	for _, a := range access {
		name := strings.TrimSuffix(a.Server+"/"+a.Device, "/")
		names = append(names, name)
		options = append(options, option{name, string(a.Protocol)})
	}
	if !ask.able {
		return nil, vpn.Errorf(vpn.Invalid, "user %q has %d links", user, len(access)).
			WithHint("choose one with %s: %s", choosingFlags(access), strings.Join(names, ", "))
	}
	chosen, err := ask.choose(ctx, noun{one: "link", many: "links"}, options)
	if err != nil {
		return nil, err
	}
	i := slices.Index(names, chosen)
	return access[i : i+1], nil
}

// choosingFlags says by which flags one of several links can be chosen.
func choosingFlags(access []vpn.Access) string {
	if slices.ContainsFunc(access, func(a vpn.Access) bool { return a.Device != "" }) {
		return "--server and --device ('' is none)"
	}
	return "--server"
}

// writeQR writes the images that were asked for.
func writeQR(p *program, link string, f qrFlags) error {
	for _, image := range []struct {
		path string
		draw func(*bytes.Buffer) error
	}{
		{f.png, func(b *bytes.Buffer) error { return qr.PNG(b, link, pngScale) }},
		{f.svg, func(b *bytes.Buffer) error { return qr.SVG(b, link) }},
	} {
		if image.path == "" {
			continue
		}
		var b bytes.Buffer
		if err := image.draw(&b); err != nil {
			return fmt.Errorf("draw QR code: %w", err)
		}
		if image.path == "-" {
			if _, err := p.Out.Write(b.Bytes()); err != nil {
				return written(err)
			}
			continue
		}
		if err := writeSecretFile(p, image.path, b.Bytes()); err != nil {
			return err
		}
		p.printer().note("wrote %s; it lets whoever has it in", image.path)
	}
	return nil
}

// writeSecretFile writes a file that only its owner may read. One that is
// there is replaced with --yes only, and so is a link, but never what it
// leads to.
func writeSecretFile(p *program, path string, data []byte) error {
	const perm = 0o600
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return createFile(path, data, perm)
	case err != nil:
		return fileProblem("write", path, err)
	case info.IsDir() || info.Mode()&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket) != 0:
		return vpn.Errorf(vpn.Invalid, "%s is not a file", path).WithHint("name a file, or - for standard output")
	case !p.global.yes:
		return fileProblem("write", path, fs.ErrExist)
	}
	owner, err := ownerIn(filepath.Dir(path))
	if err != nil {
		return fileProblem("write", path, err)
	}
	return putFile(path, data, perm, owner)
}

// qrCode draws what user is handed. A code that is wider than the terminal could not be
// scanned, and is refused.
func (p *program) qrCode(text, user string) (string, error) {
	columns, _, err := qr.Size(text)
	if err != nil {
		return "", fmt.Errorf("make QR code: %w", err)
	}
	if p.Width > 0 && columns > p.Width {
		return "", vpn.Errorf(vpn.Invalid, "the terminal is too narrow for the QR code, which takes %d columns", columns).
			WithHint("make it wider, or print the link: vpn users link %s", printable(user))
	}
	style := qr.OnDark
	if p.paints(p.OutTerminal) {
		style = qr.Color
	}
	var b strings.Builder
	if err := qr.Terminal(&b, text, qr.Options{Style: style}); err != nil {
		return "", fmt.Errorf("draw QR code: %w", err)
	}
	return b.String(), nil
}
