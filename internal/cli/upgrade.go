package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vpn/internal/selfupdate"
	"vpn/internal/vpn"
)

func upgradeCommand(p *program) *cobra.Command {
	var back bool
	cmd := &cobra.Command{
		Use: "upgrade [FILE]", Short: "Go over to another version, without a break", Args: exactly("[FILE]"),
		Long: `Put the program FILE in the place of the installed one, and make the daemon go
over to it. No connection drops: servers go on, and with the program that they
were started with until they are restarted. Without FILE the daemon goes over
to what is installed now, by a package for example.

FILE is looked at first: it must be this product, built for this machine, and
it must say that it can take over. If it fails nevertheless, the program before
comes back. That one is kept beside the new one, with .old after its name.`,
		Example: `  vpn upgrade ./vpn-2.0
  vpn upgrade ./vpn-2.0 --dry-run            see whether it could take over
  vpn upgrade --back                         go back to the version before
  vpn upgrade                                after a package has brought another version`,
		RunE: func(cmd *cobra.Command, args []string) error {
			file := strings.Join(args, "")
			if back && file != "" {
				return vpn.Errorf(vpn.Invalid, "--back goes back to the program before, and %s is another", file).WithHint("%s", usage(cmd))
			}
			return runUpgrade(cmd.Context(), p, file, back)
		},
	}
	cmd.Flags().BoolVar(&back, "back", false, "go back to the program before")
	return changes[vpn.Upgrade](p, cmd)
}

func runUpgrade(ctx context.Context, p *program, file string, back bool) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	u := &upgrade{program: p, target: startedFrom()}
	c, err := p.running(ctx, cfg)
	switch {
	case err == nil:
		if u.before, err = c.System.Status(ctx); err != nil {
			return err
		}
		u.system = c.System
		if u.before.Executable != "" {
			u.target = u.before.Executable
		}
	case vpn.KindOf(err) != vpn.Unavailable:
		return err
	}
	if back {
		if file, err = oldProgram(u.target); err != nil {
			return err
		}
	}
	switch {
	case file == "" && p.global.dryRun && u.system != nil:
		file = u.target
	case file == "":
		return u.installed(ctx)
	}
	return u.replace(ctx, file)
}

// oldProgram returns the file of the program before.
func oldProgram(target string) (string, error) {
	real, err := filepath.EvalSymlinks(target)
	if err != nil {
		return "", vpn.Errorf(vpn.Unavailable, "the program %s cannot be found: %w", target, err)
	}
	old := real + selfupdate.OldSuffix
	if _, err := os.Stat(old); errors.Is(err, fs.ErrNotExist) {
		return "", vpn.Errorf(vpn.NotFound, "there is no program before: no %s", old).WithHint("name one: vpn upgrade FILE")
	}
	return old, nil
}

type upgrader interface {
	statusShower
	Upgrade(ctx context.Context) (vpn.Upgrade, error)
}

// upgrade is one run of the command.
type upgrade struct {
	*program
	system upgrader   // the daemon; nil: none runs
	before vpn.Status // of the daemon
	target string     // the installed program
}

// installed makes the daemon go over to what is installed.
func (u *upgrade) installed(ctx context.Context) error {
	if u.system == nil {
		return vpn.Errorf(vpn.Unavailable, "no daemon is running that could go over to %s", u.target).
			WithHint("start it: vpn up; as a service: sudo vpn service install; to install another version: vpn upgrade FILE")
	}
	result, err := u.system.Upgrade(ctx)
	if err != nil {
		return err
	}
	after, err := u.await(ctx)
	if err == nil {
		err = u.judge(after, result.To)
	}
	if err != nil {
		return err
	}
	return u.report(result, after)
}

// replace puts file in the place of the installed program.
func (u *upgrade) replace(ctx context.Context, file string) (err error) {
	c, err := selfupdate.Stage(file, u.target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Discard()) }()
	version, err := c.Inspect(ctx)
	if err != nil {
		return err
	}
	check := append(u.global.serveArgs(), "--check")
	if err := c.Check(ctx, check); err != nil {
		return err
	}
	if u.global.dryRun {
		from := u.before.Version
		if u.system == nil {
			from = buildInfo().Version
		}
		return u.report(vpn.Upgrade{From: from, To: version, DryRun: true}, vpn.Status{})
	}
	if err := c.Install(); err != nil {
		return err
	}
	if u.system == nil {
		u.printer().note("no daemon is running; the next one is of version %s", version)
		return errors.Join(c.Keep(), u.report(vpn.Upgrade{From: buildInfo().Version, To: version}, vpn.Status{}))
	}
	// From here on it is done or undone, whoever loses patience.
	ctx = context.WithoutCancel(ctx)
	result, err := u.system.Upgrade(ctx)
	switch {
	case err == nil:
	case cutOff(err): // it may have been done: who answers next will tell
		result = vpn.Upgrade{From: u.before.Version, To: version}
	default:
		return errors.Join(err, c.Undo())
	}
	after, err := u.await(ctx)
	if err == nil {
		if err = u.judge(after, version); err != nil {
			return errors.Join(err, c.Undo()) // the daemon has gone back already
		}
		return errors.Join(c.Keep(), u.report(result, after))
	}
	if old := c.CheckOld(ctx, check); old != nil {
		return errors.Join(vpn.Errorf(vpn.Unavailable, "version %s does not come to work, and version %s cannot come back: %w", version, u.before.Version, old).
			WithHint("see the daemon's log; the store as it was is beside it, with .before- in its name, and the program in %s", c.Target()+selfupdate.OldSuffix), c.Keep())
	}
	if err := c.Undo(); err != nil {
		return err
	}
	if _, err := u.await(ctx); err != nil {
		return vpn.Errorf(vpn.Unavailable, "version %s has ended at its start; version %s is installed again, and no daemon is running", version, u.before.Version).
			WithHint("start it: vpn serve; as a service: sudo vpn service install; servers that were running go on")
	}
	return vpn.Errorf(vpn.Unavailable, "version %s has ended at its start; version %s is back", version, u.before.Version).
		WithHint("read why in the daemon's log: journalctl -u vpn")
}

// cutOff reports that err is not the daemon's answer, but tells that there was
// none: causes do not travel over the network.
func cutOff(err error) bool {
	e, ok := errors.AsType[*vpn.Error](err)
	return ok && e.Err != nil
}

const (
	upgradeWait = time.Minute     // for the next program to answer: it may have to migrate a large store
	deadAfter   = 5 * time.Second // of nobody listening: from one program to the next somebody always does
	upgradePoll = 50 * time.Millisecond
)

// await waits until another program answers than the one before.
func (u *upgrade) await(ctx context.Context) (vpn.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, upgradeWait)
	defer cancel()
	tick := time.NewTicker(upgradePoll)
	defer tick.Stop()
	var deaf time.Time // since when nobody listens
	for {
		s, err := u.system.Status(ctx)
		switch {
		case err == nil && !s.Since.Equal(u.before.Since):
			return s, nil
		case err == nil:
			deaf = time.Time{}
		case deaf.IsZero():
			deaf = u.Now()
		case u.Now().Sub(deaf) > deadAfter:
			return s, err
		}
		select {
		case <-ctx.Done():
			return s, vpn.Errorf(vpn.Unavailable, "the daemon does not answer after %s", upgradeWait).WithHint("see its log: journalctl -u vpn")
		case <-tick.C:
		}
	}
}

// judge returns an error if what answers is not the version that was meant.
func (u *upgrade) judge(after vpn.Status, want string) error {
	if after.Version == want {
		return nil
	}
	reason := "version " + after.Version + " answers"
	for _, w := range after.Warnings {
		if strings.Contains(w, "upgrade") {
			reason = w
		}
	}
	return vpn.Errorf(vpn.Unavailable, "the daemon has not gone over to version %s: %s", want, reason).
		WithHint("see its log: journalctl -u vpn")
}

func (u *upgrade) report(r vpn.Upgrade, after vpn.Status) error {
	plain := &table{}
	plain.add(r.From, r.To)
	said := did(r.DryRun, "upgrade", "upgraded", "from %s to %s", r.From, r.To)
	return u.printer().show(answer{
		data: r, names: []string{r.To}, plain: plain, warnings: after.Warnings, lines: []string{said}, quiet: []string{r.To},
	})
}
