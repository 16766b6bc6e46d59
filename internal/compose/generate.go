package compose

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"vpn/internal/vpn"
)

// Input is what a project is made of.
type Input struct {
	Store   string // the id of the store
	DataDir string // absolute; the project uses it where it is
	Image   string // the tag of this version's image, which no registry has

	UID, GID int               // who owns the data directory, and so runs the control plane
	Settings map[string]string // of the configuration: what differs from the defaults, by variable
	Servers  []vpn.Server      // those that are meant to run have a service
}

// Where things are in containers, and below the data directory.
const (
	Binary    = "/vpn"
	runAt     = "/run/vpn"
	stateAt   = "/var/lib/vpn"
	filesIn   = "compose" // all that is of Compose, below the data directory
	workersIn = "workers"
	socketsIn = "sockets"
)

// Control is the name of the control plane's service, unless a server has it.
const Control = "control"

// Containers drop every capability. These are given back where it says so.
const (
	setUID     = "SETUID"
	setGID     = "SETGID"
	bindLow    = "NET_BIND_SERVICE"
	readOthers = "DAC_OVERRIDE"
)

const (
	memoryLimit   = 512 << 20
	pidsLimit     = 512 // threads count
	imageUID      = 65532
	firstFreePort = 1024
	maxSocket     = 107 // of a path
	controlSocket = "control.sock"
)

// WorkerDirs are the directories of one server's container, below the data
// directory.
type WorkerDirs struct {
	Run   string // holds its control socket: /run/vpn in the container
	State string // what it keeps over its own restarts: /var/lib/vpn
}

// Dirs returns where the server's container has its directories. Each has its
// own: a worker that is broken into reaches neither another one nor the API.
func Dirs(dataDir string, id vpn.ServerID) WorkerDirs {
	at := path.Join(Workers(dataDir), string(id))
	return WorkerDirs{Run: path.Join(at, "run"), State: path.Join(at, "state")}
}

// Workers is the directory that holds one for each server's container.
func Workers(dataDir string) string { return path.Join(dataDir, filesIn, workersIn) }

// Dir is where a project's files are, if nobody named another place.
func Dir(dataDir string) string { return path.Join(dataDir, filesIn) }

// Sockets is the directory below which the control plane of a project has its
// run directory: in the data directory, so that it is at the same path inside
// the container and outside, and commands of the host find the API there.
func Sockets(dataDir string) string { return path.Join(dataDir, filesIn, socketsIn) }

// APISocket is where the control plane of a project answers.
func APISocket(dataDir, store string) string {
	return path.Join(Sockets(dataDir), store, "api.sock")
}

// WorkerUser returns who a server's container becomes once it has opened what
// it needs: the data directory's owner, or nobody in particular if that is
// root.
func (in Input) WorkerUser() (uid, gid int) {
	if in.UID == 0 {
		return imageUID, imageUID
	}
	return in.UID, in.GID
}

// New makes a project. The error, of kind [vpn.Invalid] or [vpn.Conflict],
// says what cannot run so.
func New(in Input) (Project, error) {
	if err := in.check(); err != nil {
		return Project{}, err
	}
	names := in.names()
	control := names[""]
	p := Project{Services: map[string]Service{control: in.control()}}
	for _, s := range in.running() {
		p.Services[names[s.ID]] = in.worker(s, control)
	}
	return p, nil
}

func (in Input) running() []vpn.Server {
	return slices.DeleteFunc(slices.Clone(in.Servers), func(s vpn.Server) bool { return !s.Enabled })
}

func (in Input) check() error {
	if strings.ContainsAny(in.DataDir, ":\n") {
		return vpn.Errorf(vpn.Invalid, "the data directory %q cannot be mounted: its path has a colon or a line break", in.DataDir).
			WithHint("move it to another path")
	}
	longest := max(len(APISocket(in.DataDir, in.Store)), len(path.Join(Dirs(in.DataDir, vpn.ServerID(in.Store)).Run, controlSocket)))
	if longest > maxSocket {
		return vpn.Errorf(vpn.Invalid, "the path of the data directory is %d bytes too long for sockets in it: %s", longest-maxSocket, in.DataDir).
			WithHint("move it to a shorter path")
	}
	for _, s := range in.running() {
		if s.Runtime != "" && s.Runtime != vpn.RuntimeProcess {
			return vpn.Errorf(vpn.Conflict, "server %s runs with the runtime %s, and Compose would run it a second time", s.Name, s.Runtime).
				WithHint("let one of them have it: vpn server stop %s && vpn server update %s --runtime %s && vpn server start %s",
					s.Name, s.Name, vpn.RuntimeProcess, s.Name)
		}
	}
	return nil
}

// names returns what services are called: as their servers, or like them where
// Compose would not have the name or it is taken. The control plane's is that
// of no server.
func (in Input) names() map[vpn.ServerID]string {
	out := map[vpn.ServerID]string{"": Control}
	taken := map[string]bool{Control: true}
	for _, s := range in.running() {
		name := strings.ReplaceAll(s.Name, "@", "_")
		if taken[name] || name != s.Name {
			name += "-" + string(s.ID[:4])
		}
		taken[name], out[s.ID] = true, name
	}
	return out
}

// common is what all services have.
func (in Input) common() Service {
	return Service{
		Image: in.Image, PullPolicy: "never", Restart: "unless-stopped",
		// The host's own network: so source addresses are true. And the host's
		// user ids, for the data directory is the host's too.
		NetworkMode: "host", UsernsMode: "host",
		ReadOnly: true, CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges"},
		PidsLimit: pidsLimit, StopGracePeriod: Duration(20 * time.Second),
		Logging: &Logging{Driver: "json-file", Options: map[string]string{"max-size": "10m", "max-file": "3"}},
		Labels:  map[string]string{LabelStore: in.Store},
	}
}

func user(uid, gid int) string { return strconv.Itoa(uid) + ":" + strconv.Itoa(gid) }

func (in Input) control() Service {
	s := in.common()
	// Its end leaves the servers running: they are containers of their own.
	s.Command = []string{"serve", "--supervised"}
	s.User, s.MemLimit = user(in.UID, in.GID), memoryLimit
	if in.UID == 0 {
		s.CapAdd = []string{readOthers} // sockets and counters of its servers, which run as somebody else
	}
	s.Environment = map[string]string{"VPN_DATA_DIR": in.DataDir, "VPN_RUNTIME": vpn.RuntimeCompose}
	for name, value := range in.Settings {
		s.Environment[name] = value
	}
	s.Volumes = []string{in.DataDir + ":" + in.DataDir}
	s.Tmpfs = []string{"/tmp", runAt}
	// Named, so that it asks the control plane or nobody.
	s.Healthcheck = healthcheck("status", "--quiet", "--socket", APISocket(in.DataDir, in.Store))
	return s
}

func (in Input) worker(v vpn.Server, control string) Service {
	s := in.common()
	uid, gid := in.WorkerUser()
	s.Command = workerCommand(v)
	s.User, s.MemLimit = user(uid, gid), memoryLimit
	if v.Port < firstFreePort {
		// Docker gives capabilities to root only: it opens the port with
		// them, and goes on as that user.
		s.User = user(0, 0)
		s.CapAdd = []string{bindLow, setGID, setUID}
	}
	if c := v.Container; c != nil {
		if c.Memory > 0 {
			s.MemLimit = Bytes(c.Memory)
		}
		if c.PIDs > 0 {
			s.PidsLimit = int64(c.PIDs)
		}
	}
	s.DependsOn = []string{control} // so they end before it, and it hears of all that they counted
	dirs := Dirs(in.DataDir, v.ID)
	s.Volumes = []string{dirs.Run + ":" + runAt, dirs.State + ":" + stateAt}
	s.Healthcheck = healthcheck("container", "health")
	s.Labels[LabelServer], s.Labels[LabelName] = string(v.ID), v.Name
	return s
}

func healthcheck(args ...string) *Healthcheck {
	return &Healthcheck{
		Test:     append([]string{"CMD", Binary}, args...),
		Interval: Duration(30 * time.Second), Timeout: Duration(5 * time.Second), Retries: 3, StartPeriod: Duration(10 * time.Second),
	}
}

// workerCommand makes the binary the entry of the server's container.
func workerCommand(v vpn.Server) []string { return []string{"container", "run", v.Name} }
