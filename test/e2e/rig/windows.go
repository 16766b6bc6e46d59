//go:build linux

package rig

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What Debian's package wine64 brings.
const (
	wineLoader = "/usr/lib/wine/wine64"
	wineServer = "/usr/lib/wine/wineserver64"
	wineDLLs   = "/usr/lib/x86_64-linux-gnu/wine/x86_64-windows"
)

// Windows is a host as programs for Windows see it, which Wine runs: with a
// registry and a drive C of the test's own, drive Z, which is / of the host,
// and no display.
type Windows struct {
	Env []string // is added to the environment of the programs that are started from then on

	host   *Host
	t      testing.TB
	dir    string // for the following, and Wine's own sockets
	prefix string // the registry and drive C
	bin    string // the PATH
	relays sync.WaitGroup
	busy   atomic.Int32 // how many programs run in the place of others; see Offer
}

// Windows returns the host as one that runs programs for Windows until the
// test ends.
func (h *Host) Windows(t testing.TB) *Windows {
	t.Helper()
	dir, err := os.MkdirTemp("", "vpn-e2e-windows-")
	if err != nil {
		t.Fatal(err)
	}
	w := &Windows{host: h, t: t, dir: dir, prefix: filepath.Join(dir, "wine"), bin: filepath.Join(dir, "bin")}
	t.Cleanup(func() {
		w.relays.Wait() // Wine has ended, and so nobody is relayed
		os.RemoveAll(dir)
	})
	if err := w.install(); err != nil {
		t.Fatalf("prepare Wine: %v\nhint: test/deps installs it", err)
	}
	// Its server is started here, and not by the first program: as a child of this
	// process, it ends with it. On an interrupt it ends all programs first.
	server := exec.Command(wineServer, "--foreground", "--persistent")
	server.Env, server.SysProcAttr = w.environ(), &unix.SysProcAttr{Setsid: true, Pdeathsig: unix.SIGINT}
	if err := h.Start(server); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = server.Wait()
		close(ended)
	}()
	t.Cleanup(func() { w.end(server, ended) })
	Until(t, 20*time.Second, func() error {
		if sockets, _ := filepath.Glob(filepath.Join(dir, "wine-*/server-*/socket")); len(sockets) != 1 {
			return errors.New("the server of Wine does not listen")
		}
		return nil
	})
	return w
}

// install makes what Wine's own wineboot makes, but for the 700 MB that it
// copies: links are as good, if nobody can write to what they lead to.
func (w *Windows) install() error {
	system := filepath.Join(w.prefix, "drive_c/windows/system32")
	for _, dir := range []string{w.bin, filepath.Join(w.prefix, "dosdevices"), filepath.Join(system, "drivers"), w.Drive("windows/temp")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	err := w.host.do(func() error {
		return errors.Join(
			unix.Mount(wineDLLs, wineDLLs, "", unix.MS_BIND, ""),
			unix.Mount("", wineDLLs, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	})
	if err != nil {
		return fmt.Errorf("have %s for reading only: %w", wineDLLs, err)
	}
	files, err := os.ReadDir(wineDLLs)
	if err != nil {
		return err
	}
	links := map[string]string{
		filepath.Join(w.prefix, "dosdevices/c:"): "../drive_c",
		filepath.Join(w.prefix, "dosdevices/z:"): "/",
	}
	for _, f := range files {
		dir := system
		if filepath.Ext(f.Name()) == ".sys" {
			dir = filepath.Join(system, "drivers")
		}
		links[filepath.Join(dir, f.Name())] = filepath.Join(wineDLLs, f.Name())
	}
	for link, to := range links {
		if err := os.Symlink(to, link); err != nil {
			return err
		}
	}
	// Go asks this DLL for randomness, and Wine 8 has not got it. The function
	// that it calls takes the same, and answers the same.
	const missing = "bcryptprimitives"
	dll, err := forwarder(missing+".dll", "ProcessPrng", "advapi32.SystemFunction036")
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(system, missing+".dll"), dll, 0o600),
		os.WriteFile(filepath.Join(w.prefix, ".update-timestamp"), []byte("disable\n"), 0o600))
}

// environ is what Wine and its programs get. Wine keeps PATH and HOME from
// them: they have their own.
func (w *Windows) environ() []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "TMPDIR=" + w.dir,
		"WINEPREFIX=" + w.prefix, "WINEPATH=" + w.Path(w.bin), "WINEDEBUG=-all",
		"WINEDLLOVERRIDES=mscoree,mshtml,winemenubuilder.exe=", // it would ask whether to download them
	}, w.Env...)
}

// end ends all programs, and complains about what is left of them.
func (w *Windows) end(server *exec.Cmd, ended <-chan struct{}) {
	const patience = 15 * time.Second
	_ = server.Process.Signal(unix.SIGINT)
	select {
	case <-ended:
	case <-time.After(patience):
		w.t.Error("Wine's server does not end")
		_ = server.Process.Kill()
		<-ended
	}
	defer func() {
		for pid := range w.processes() {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}()
	Until(w.t, patience, func() error {
		if left := w.processes(); len(left) > 0 {
			return fmt.Errorf("processes outlive Wine: %v", left)
		}
		return nil
	})
}

// processes returns the live processes that belong to this Wine, by id.
func (w *Windows) processes() map[int]string {
	found := map[int]string{}
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environs {
		env, err := os.ReadFile(path) // of a zombie, it is empty
		if err == nil && bytes.Contains(env, []byte("WINEPREFIX="+w.prefix+"\x00")) {
			var pid int
			_, _ = fmt.Sscanf(path, "/proc/%d/", &pid)
			name, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "comm"))
			found[pid] = strings.TrimSpace(string(name))
		}
	}
	return found
}

// Drive returns where a file of drive C is, by its path there with slashes.
func (w *Windows) Drive(path string) string { return filepath.Join(w.prefix, "drive_c", path) }

// Path returns the path of a file of the host's as programs for Windows name
// it.
func (w *Windows) Path(path string) string { return "Z:" + strings.ReplaceAll(path, "/", `\`) }

// Run runs the product's command line, in drive C.
func (w *Windows) Run(args ...string) Result {
	w.t.Helper()
	cmd := exec.Command(wineLoader, w.command(args)...)
	cmd.Env, cmd.Dir = w.environ(), w.Drive("")
	// Not pipes: the first program starts Wine's own, which go on and would keep them open.
	out, errs := w.file("out"), w.file("err")
	cmd.Stdout, cmd.Stderr = out, errs
	start := time.Now()
	if err := w.host.Start(cmd); err != nil {
		w.t.Fatalf("start vpn.exe: %v", err)
	}
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	timer.Stop()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		w.t.Fatalf("run vpn.exe: %v", err)
	}
	return Result{w.text(out), w.text(errs), cmd.ProcessState.ExitCode(), time.Since(start)}
}

// Spawn starts the product's command line, which ends with the test at the
// latest.
func (w *Windows) Spawn(args ...string) *Process {
	w.t.Helper()
	return w.host.Spawn(w.t, w.environ(), wineLoader, w.command(args)...)
}

func (w *Windows) command(args []string) []string {
	w.t.Helper()
	return append([]string{windowsProgram(w.t, "vpn", "./cmd/vpn")}, args...)
}

// file opens a new file that a program writes to.
func (w *Windows) file(name string) *os.File {
	w.t.Helper()
	f, err := os.CreateTemp(w.dir, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// text returns what is in such a file, and closes it.
func (w *Windows) text(f *os.File) string {
	w.t.Helper()
	defer f.Close()
	text, err := os.ReadFile(f.Name())
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// windowsProgram builds a package of this repository for Windows, once, and
// returns the program.
func windowsProgram(t testing.TB, name, pkg string) string {
	t.Helper()
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(os.Getenv(envPrograms), name+".exe")
	lock, err := os.Create(program + ".lock")
	if err != nil {
		t.Fatalf("%v\nhint: TestMain calls rig.Main", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err == nil {
		return program
	}
	// As "make cross" does, so that what it has compiled is not compiled again.
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", program, pkg)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOOS=windows", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s for Windows: %v\n%s", pkg, err, out)
	}
	return program
}
