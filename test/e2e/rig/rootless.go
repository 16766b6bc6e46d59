//go:build linux

package rig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// rootless runs an engine as a user who is not root, in namespaces that the
// user may make: with user ids of its own, a network of its own, and a device
// for that which everybody may open, as systems have it. It is given that
// user's id, the engine's directory and dockerd's flags.
const rootless = `set -e
user=$0 dir=$1; shift
mount --make-rprivate /
for f in subuid subgid; do
	echo "$(id -nu "$user"):300000:65536" >"$dir/$f"
	mount --bind "$dir/$f" "/etc/$f"
done
mkdir "$dir/dev"
mount -t tmpfs -o mode=755 tmpfs "$dir/dev"
mknod -m 666 "$dir/dev/tun" c 10 200
mount --bind "$dir/dev/tun" /dev/net/tun
export XDG_RUNTIME_DIR="$dir/run" DOCKERD_ROOTLESS_ROOTLESSKIT_FLAGS="--state-dir=$dir/kit"
exec setpriv --reuid="$user" --regid="$user" --clear-groups /usr/share/docker.io/contrib/dockerd-rootless.sh "$@"`

// DockerWithoutRoot runs an engine on the host as that user, until the test
// ends. It cannot be stopped and started again.
func DockerWithoutRoot(t testing.TB, h *Host, user int) *Engine {
	t.Helper()
	for _, part := range append(dockerParts, [2]string{"rootlesskit", "rootlesskit"}, [2]string{"slirp4netns", "slirp4netns"}, [2]string{"newuidmap", "uidmap"}) {
		if _, err := exec.LookPath(part[0]); err != nil {
			t.Fatalf("a Docker engine without root needs %s: install %s, or run: make deps", part[0], part[1])
		}
	}
	dir, err := os.MkdirTemp("", "dk")
	if err != nil {
		t.Fatal(err)
	}
	run := filepath.Join(dir, "run")
	err = errors.Join(os.Chmod(dir, 0o711), os.Mkdir(run, 0o700), os.Chown(run, user, user), os.Chown(dir, user, user))
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{Dir: dir, Host: "unix://" + dir + "/docker.sock", start: h.Start}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the Docker engine said:\n%s", lastLines(e.Output(), 40))
		}
		if err := e.Remove(); err != nil {
			t.Error(err)
		}
	})
	e.daemon, err = e.run("unshare", "--mount", "sh", "-c", rootless, fmt.Sprint(user), dir, "-H", e.Host, "--data-root", dir+"/data")
	if err == nil {
		err = e.await(e.daemon, "dockerd", e.answers)
	}
	if err != nil {
		t.Fatal(err)
	}
	return e
}
