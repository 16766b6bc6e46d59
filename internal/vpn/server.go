package vpn

import (
	"encoding/json"
	"net/netip"
	"time"
)

// Protocol names what a client speaks on the wire, such as "vless".
type Protocol string

// Where a server's worker lives.
const (
	RuntimeProcess = "process" // a process of this machine
	RuntimeDocker  = "docker"  // a container of the local engine
	RuntimeCompose = "compose" // a service of a Compose project, whatever the store says
)

// A Server is one listening endpoint, run by one worker.
type Server struct {
	ID         ServerID        `json:"id"`
	Name       string          `json:"name"` // unique among the living; see [ValidName]
	Protocol   Protocol        `json:"protocol"`
	Runtime    string          `json:"runtime"`               // where its worker lives, such as [RuntimeProcess]
	Container  *Container      `json:"container,omitempty"`   // what that gets of the machine, if it lives in one
	Listen     netip.Addr      `json:"listen"`                // the address to bind; :: is every one, IPv4 too
	Port       uint16          `json:"port"`                  //
	PublicHost string          `json:"public_host,omitempty"` // what clients dial; empty: the address of the default route
	Enabled    bool            `json:"enabled"`               // it is meant to run
	Allow      []netip.Prefix  `json:"allow,omitempty"`       // forbidden destinations that its users may reach all the same
	Settings   json.RawMessage `json:"settings"`              // the protocol's own; nobody else reads them
	Private    Secret          `json:"-"`                     // the protocol's keys
	Slot       uint32          `json:"-"`                     // the lowest number free among the living; picks the worker's uid
	CreatedAt  time.Time       `json:"created_at"`
	UpdatedAt  time.Time       `json:"updated_at"`
	DeletedAt  time.Time       `json:"deleted_at,omitzero"`
}

// NewServer is what a caller says when it asks for a server. What is left
// open is chosen.
type NewServer struct {
	Name       string          `json:"name"`
	Protocol   Protocol        `json:"protocol,omitempty"`
	Runtime    string          `json:"runtime,omitempty" doc:"where its worker lives: process or docker; left out: as configured"`
	Container  *Container      `json:"container,omitempty" doc:"with docker: what the container gets"`
	Listen     netip.Addr      `json:"listen,omitzero"`
	Port       uint16          `json:"port,omitempty"` // 0: one that is usual for the protocol and free
	PublicHost string          `json:"public_host,omitempty"`
	Allow      []netip.Prefix  `json:"allow,omitempty"`
	Settings   json.RawMessage `json:"settings,omitempty"`
	NoCheck    bool            `json:"no_check,omitempty"` // take the settings without a check over the network
}

// ServerPatch changes the fields that are set.
type ServerPatch struct {
	Name       *string         `json:"name,omitempty"`
	Runtime    *string         `json:"runtime,omitempty" doc:"process or docker; changes only while the server is stopped"`
	Container  *ContainerPatch `json:"container,omitempty" doc:"with docker: what the container gets"`
	Listen     *netip.Addr     `json:"listen,omitempty"`
	Port       *uint16         `json:"port,omitempty"`
	PublicHost *string         `json:"public_host,omitempty"` // empty: the address of the default route
	Allow      *[]netip.Prefix `json:"allow,omitempty"`       // all of them
	Settings   json.RawMessage `json:"settings,omitempty"`    // those that are to change; null: chosen anew
	NoCheck    bool            `json:"no_check,omitempty"`    // take the settings without a check over the network
}

// LinksAfter says what a server's change means to the links that clients
// have.
type LinksAfter string

// What becomes of links.
const (
	LinksSame     LinksAfter = "same"
	LinksChanged  LinksAfter = "changed"  // those that were handed out work on
	LinksReplaced LinksAfter = "replaced" // those that were handed out work no more
)

// ServerEffects is what a server's change means to its users.
type ServerEffects struct {
	Links LinksAfter `json:"links"`
	Drops bool       `json:"drops" doc:"live connections end"`
}

// ServerState is what a server's worker is doing.
type ServerState string

// The states of a server.
const (
	Running      ServerState = "running"      // listening, and told the latest truth
	Syncing      ServerState = "syncing"      // listening, and behind the store
	Starting     ServerState = "starting"     // its worker is on its way
	Failed       ServerState = "failed"       // it should run and does not; Problem says why
	Unresponsive ServerState = "unresponsive" // its worker does not answer
	Stopped      ServerState = "stopped"      // it is not meant to run
)

// ServerInfo is a server as the faces show one.
type ServerInfo struct {
	Server
	State    ServerState `json:"state"`
	Since    time.Time   `json:"since,omitzero" doc:"when it came to run, to be out of order, or to be stopped; attempts to start it change nothing. It is known from the start of the daemon on"`
	Problem  string      `json:"problem,omitempty"`
	Endpoint string      `json:"endpoint"` // host:port that clients dial
	Online   int         `json:"online"`   // live connections
	Rate     Rate        `json:"rate"`
	Used     Traffic     `json:"used"`
	Worker   *Worker     `json:"worker,omitempty"`
}

// Worker tells about the process that runs a server.
type Worker struct {
	PID       int       `json:"pid" doc:"in its container, if it has one"`
	Container string    `json:"container,omitempty" doc:"the name of its container"`
	UID       int       `json:"uid"`
	Epoch     string    `json:"epoch"`
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
	CPU       *float64  `json:"cpu,omitempty" doc:"percent of all cores of the host together, in the last second; left out: not known"`
	Memory    uint64    `json:"memory"`   // resident bytes
	Confined  bool      `json:"confined"` // the kernel keeps it from files that it does not need
	Carrier   string    `json:"carrier,omitempty" doc:"the way that packets go, where there are several: tun or userspace"`
	Why       string    `json:"carrier_why,omitempty" doc:"why it is not the way that was asked for"`
	Restarts  int       `json:"restarts"` // since the control plane started
	Before    *End      `json:"before,omitempty" doc:"how the worker before this one ended, if nobody asked it to"`
}

// An End is that of a worker.
type End struct {
	At  time.Time `json:"at"`
	Why string    `json:"why" doc:"for people"`
}

// ServerDetail is one server with its live sessions.
type ServerDetail struct {
	ServerInfo
	Users    int       `json:"users" doc:"who may use it, kept out for another reason or not"`
	Ports    []uint16  `json:"ports,omitempty" doc:"all on which it listens, if its users are at several"`
	Sessions []Session `json:"sessions"`
	Warnings []string  `json:"warnings,omitempty"` // about how it is reached
}

// ServerChange is the answer to a change.
type ServerChange struct {
	Server   ServerInfo     `json:"server"`
	Effects  *ServerEffects `json:"effects,omitempty"` // set by an update
	Warnings []string       `json:"warnings,omitempty"`
	Synced   bool           `json:"synced" doc:"false: stored, and the server does not follow yet"`
	DryRun   bool           `json:"dry_run,omitempty" doc:"nothing was changed: this is what would be"`

	Connections int `json:"connections,omitempty" doc:"live connections that it ends, as far as they could be counted"`
}

// Status is the state of the whole installation.
type Status struct {
	Version     string             `json:"version"`
	Daemon      bool               `json:"daemon"` // false: answered in process, nothing is supervised
	PID         int                `json:"pid"`
	DataDir     string             `json:"data_dir"`
	Since       time.Time          `json:"since"`
	Users       map[UserStatus]int `json:"users"`
	Online      int                `json:"online"`
	UsersOnline int                `json:"users_online" doc:"users who have one of these connections"`
	Expiring    Ending             `json:"expiring" doc:"active users whose time ends within 7 days"`
	NearQuota   Ending             `json:"near_quota" doc:"active users who have used 90 percent of their quota"`
	Rate        Rate               `json:"rate"`
	Synced      bool               `json:"synced"`
	Servers     []ServerInfo       `json:"servers"`
	Warnings    []string           `json:"warnings,omitempty"`

	// Executable is the file of the program from which the daemon would be
	// re-executed; empty without a daemon.
	Executable string `json:"executable,omitempty"`
}
