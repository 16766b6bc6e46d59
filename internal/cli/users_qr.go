package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/qr"
	"vpn/internal/vpn"
)

func usersQR(p *program) *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use: "qr NAME", Short: "Show a user's link as a QR code, for a phone to scan",
		Example: `  vpn users qr alice
  vpn users qr alice --server main`,
	}
	cmd.Flags().StringVar(&server, "server", "", "for the server `NAME`")
	return answers[[]vpn.Access](p, onUser(p, cmd, func(cmd *cobra.Command, name string) error {
		return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
			return showQR(ctx, p, c.Users, name, server)
		})
	}))
}

func showQR(ctx context.Context, p *program, users accessShower, user, server string) error {
	access, err := accessTo(ctx, users, user, server)
	if err != nil {
		return err
	}
	if len(access) > 1 {
		return vpn.Errorf(vpn.Invalid, "user %q has %d links", user, len(access)).
			WithHint("choose one with --server: %s", strings.Join(servers(access), ", "))
	}
	out := p.printer()
	if !out.forPeople() {
		return out.show(answer{data: access, names: servers(access), plain: accessTable(access)})
	}
	code, err := p.qrCode(access[0].Link)
	if err != nil {
		return err
	}
	return out.print(code)
}

// qrCode draws text. A code that is wider than the terminal could not be
// scanned, and is refused.
func (p *program) qrCode(text string) (string, error) {
	columns, _, err := qr.Size(text)
	if err != nil {
		return "", fmt.Errorf("make QR code: %w", err)
	}
	if p.Width > 0 && columns > p.Width {
		return "", vpn.Errorf(vpn.Invalid, "the terminal is too narrow for the QR code, which takes %d columns", columns).
			WithHint("make it wider, or print the link: vpn users link NAME")
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
