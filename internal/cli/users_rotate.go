package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersRotate(p *program) *cobra.Command {
	var in vpn.Rotation
	cmd := &cobra.Command{
		Use: "rotate NAME", Short: "Make a user's keys anew, and print the new links",
		Long: `Make a user's keys and passwords anew: all of them, or those of one server or
one device. The links that were handed out end at once, and so do the
connections that were made with them. With --keep-old they work beside the new
ones for some time, and nothing is cut. "vpn users show" lists such old keys;
they end when it comes, at the next rotation without --keep-old, or now with
--end-old, which makes nothing anew.`,
		Example: `  vpn users rotate alice
  vpn users rotate alice --server main --keep-old 7d
  vpn users rotate alice --device phone
  vpn users rotate alice --end-old           only those that were kept`,
	}
	cmd.Flags().StringVar(&in.Server, "server", "", "only for the server `NAME`")
	cmd.Flags().StringVar(&in.Device, "device", "", "only for the `DEVICE`")
	cmd.Flags().Var(whenValue(&in.OldEnds, p.Now), "keep-old", "when the old links end: 24h, 7d, 2026-12-31")
	cmd.Flags().BoolVar(&in.EndOld, "end-old", false, "end the old links that were kept, and make nothing anew")
	return changes[vpn.UserChange](p, onUser(p, cmd, func(cmd *cobra.Command, name string) error {
		if cmd.Flags().Changed("keep-old") && in.OldEnds.IsZero() {
			return vpn.Errorf(vpn.Invalid, "the old links have to end some day").WithHint("write it like --keep-old 7d")
		}
		if in.EndOld && cmd.Flags().Changed("keep-old") {
			return vpn.Errorf(vpn.Invalid, "--keep-old and --end-old exclude each other").WithHint("leave one of them out")
		}
		if err := confirmRotate(cmd.Context(), p, name, in); err != nil {
			return err
		}
		return p.change(cmd.Context(), ofStore, func(ctx context.Context, c *client.Client) (bool, error) {
			return rotateUser(ctx, p.printer(), c.Devices, name, in)
		})
	}))
}

// confirmRotate asks before links end that somebody may be using.
func confirmRotate(ctx context.Context, p *program, name string, in vpn.Rotation) error {
	if !in.OldEnds.IsZero() {
		return nil
	}
	which := "links"
	if in.EndOld {
		which = "old links"
	}
	if in.Server != "" {
		which += " to server " + printable(in.Server)
	}
	if in.Device != "" {
		which += " for device " + printable(in.Device)
	}
	return p.confirm(ctx, fmt.Sprintf("End the %s that user %s has, and the connections made with them?", which, printable(name)))
}

type userRotator interface {
	Rotate(context.Context, string, vpn.Rotation) (vpn.UserChange, error)
}

func rotateUser(ctx context.Context, out *printer, users userRotator, name string, in vpn.Rotation) (bool, error) {
	change, err := users.Rotate(ctx, name, in)
	if err != nil {
		return false, err
	}
	if in.EndOld {
		return change.Synced, out.show(answer{
			data: change, names: []string{change.User.Name}, plain: userTable(change.User),
			done: did(change.DryRun, "end", "ended", "the old links of user %s", change.User.Name) + closing(change.DryRun, change.Connections),
		})
	}
	done := did(change.DryRun, "make", "made", "%s of user %s anew", many(len(change.Access), "link"), change.User.Name)
	if !in.OldEnds.IsZero() {
		done += "; the old ones end at " + formatTime(in.OldEnds)
	}
	done += closing(change.DryRun, change.Connections)
	return change.Synced, out.show(answer{
		data: change, names: []string{change.User.Name}, plain: accessTable(change.Access), done: done,
		lines: linesOf(change.Access), quiet: links(change.Access),
	})
}
