package vpn

import "time"

// Host is the machine that the control plane runs on, as it is at one moment.
// What its system does not tell is left out.
type Host struct {
	At      time.Time    `json:"at"`
	Name    string       `json:"name"`
	System  string       `json:"system" doc:"what it calls itself, such as Debian GNU/Linux 12 (bookworm)"`
	Kernel  string       `json:"kernel,omitempty"`
	Uptime  Seconds      `json:"uptime,omitempty" doc:"seconds since it was started"`
	CPU     *HostCPU     `json:"cpu,omitempty"`
	Load    *HostLoad    `json:"load,omitempty"`
	Memory  *Room        `json:"memory,omitempty"`
	Swap    *Room        `json:"swap,omitempty"`
	Disk    *HostDisk    `json:"disk,omitempty"`
	Network *HostNetwork `json:"network,omitempty"`
}

// HostCPU is how busy all cores together were in the last second.
type HostCPU struct {
	Percent float64 `json:"percent" doc:"of all cores together, in the last second"`
	Cores   int     `json:"cores"`
}

// HostLoad is how many processes ran or waited to run, averaged over so many
// minutes.
type HostLoad struct {
	One     float64 `json:"one"`
	Five    float64 `json:"five"`
	Fifteen float64 `json:"fifteen"`
}

// Room is bytes of something that fills up.
type Room struct {
	Total uint64 `json:"total" doc:"bytes"`
	Used  uint64 `json:"used" doc:"bytes that nothing else can have"`
	Free  uint64 `json:"free" doc:"bytes that can still be had"`
}

// HostDisk is the file system that a directory is on.
type HostDisk struct {
	Path string `json:"path"`
	Room
}

// HostNetwork is what passes the interfaces that lead out of the host: not
// those to itself, and none that is made of software alone, whose packets
// pass another one too.
type HostNetwork struct {
	In         uint64   `json:"in" doc:"bytes per second, in the last second"`
	Out        uint64   `json:"out" doc:"bytes per second, in the last second"`
	TotalIn    uint64   `json:"total_in" doc:"bytes since the start of the host"`
	TotalOut   uint64   `json:"total_out" doc:"bytes since the start of the host"`
	Interfaces []string `json:"interfaces"`
}
