// Command vpn runs VPN servers and manages their users: it is the daemon, the
// servers' workers and the command line in one binary.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"vpn/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(cli.Main(ctx, os.Args[1:], cli.OS()))
}
