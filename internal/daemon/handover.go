package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// handoverVar tells a program that this process executes what it finds open.
const handoverVar = "VPN_HANDOVER"

// handoverNote is its value, in JSON.
type handoverNote struct {
	PID  int    `json:"pid"`  // whom it is for: a process that only has the variable is not meant
	From string `json:"from"` // the version that hands over
	Path string `json:"path"` // the file that the daemon was started from

	// Descriptors; -1 is none.
	Lock    int `json:"lock"`     // of the data directory
	RunLock int `json:"run_lock"` // of the run directory
	API     int `json:"api"`      // the listening socket
	Program int `json:"program"`  // what runs now, to go back to

	Failed string `json:"failed,omitempty"` // why From gives back what it was given
}

// A Handover is what a process keeps when it executes another program: the
// locks, so that nobody takes the directories in between, and the listening
// socket, so that nobody finds it closed. Until it is settled the program
// that was there before can be had back.
type Handover struct {
	note                       handoverNote
	lock, runLock, api, before *os.File
}

// TakeOver returns what the program that this process ran before has left
// open, or nil if this is a process's first program. It comes before anything
// that starts processes.
func TakeOver(environ func(string) string) *Handover {
	text := environ(handoverVar)
	if text == "" {
		return nil
	}
	_ = os.Unsetenv(handoverVar)
	h := &Handover{}
	if err := json.Unmarshal([]byte(text), &h.note); err != nil || h.note.PID != os.Getpid() {
		return nil
	}
	bury()
	for fd, to := range map[int]**os.File{
		h.note.Lock: &h.lock, h.note.RunLock: &h.runLock, h.note.API: &h.api, h.note.Program: &h.before,
	} {
		if fd < 3 {
			continue
		}
		if keepOpen(uintptr(fd), false) == nil {
			*to = os.NewFile(uintptr(fd), "handed over")
		}
	}
	return h
}

// Path returns the file that the daemon was started from.
func (h *Handover) Path() string { return h.note.Path }

// Open reports whether the program before can still be had back. It is safe
// on a nil Handover.
func (h *Handover) Open() bool { return h != nil && h.before != nil }

// settle lets go of what was handed over, which is in use by now.
func (h *Handover) settle() {
	for _, f := range []*os.File{h.lock, h.runLock, h.api, h.before} {
		if f != nil {
			_ = f.Close()
		}
	}
	h.lock, h.runLock, h.api, h.before = nil, nil, nil, nil
}

// Back executes the program before, which finds everything as it left it, and
// is told why. It returns only if that cannot be done.
func (h *Handover) Back(version string, cause error) error {
	note := h.note
	note.From, note.Failed, note.Program = version, cause.Error(), -1
	program := "/proc/self/fd/" + strconv.Itoa(int(h.before.Fd()))
	return fmt.Errorf("go back to version %s: %w", h.note.From, execute(program, os.Args, note, h.lock, h.runLock, h.api))
}

// hand is what a control plane that is no longer at work leaves open.
type hand struct {
	note               handoverNote
	lock, runLock, api *os.File
}

// execute makes program this process's, with its locks and its socket. If it
// cannot be executed, what runs now is, and is told so.
func (h hand) execute(program string, args []string) error {
	before, err := os.Open("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("keep the program that runs: %w", err)
	}
	defer before.Close()
	h.note.PID = os.Getpid()
	h.note.Program = int(before.Fd())
	err = execute(program, args, h.note, h.lock, h.runLock, h.api, before)
	h.note.Program, h.note.Failed = -1, fmt.Sprintf("it cannot be executed: %v", err)
	return errors.Join(err, execute("/proc/self/exe", args, h.note, h.lock, h.runLock, h.api))
}

// execute returns only if it fails, and then no descriptor is left open to
// children.
func execute(program string, args []string, note handoverNote, open ...*os.File) error {
	numbers := []*int{&note.Lock, &note.RunLock, &note.API}
	for i, n := range numbers {
		*n = -1
		if open[i] != nil {
			*n = int(open[i].Fd())
		}
	}
	text, err := json.Marshal(note)
	if err != nil {
		return fmt.Errorf("encode what is handed over: %w", err)
	}
	env := slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, handoverVar+"=") })
	// Until the next program has its handlers, these would end it.
	signal.Ignore(syscall.SIGHUP, UpgradeSignal)
	defer lockFork()() // a child that is born now would keep them open
	for _, f := range open {
		if f != nil {
			err = keepOpen(f.Fd(), true)
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		err = become(program, args, append(env, handoverVar+"="+string(text)))
	}
	for _, f := range open {
		if f != nil {
			_ = keepOpen(f.Fd(), false)
		}
	}
	return err
}
