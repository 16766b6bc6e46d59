package daemon

import (
	"net"
	"os"
)

// notify tells the service manager, if one asked to be told (sd_notify(3)).
// It is a courtesy: that nobody listens is no error.
func notify(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	c, err := net.Dial("unixgram", path)
	if err != nil {
		return
	}
	_, _ = c.Write([]byte(state))
	_ = c.Close()
}
