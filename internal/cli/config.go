package cli

import (
	"os"

	"vpn/internal/config"
)

// startedByRoot is in the environment of a daemon that root started and that
// acts as the data directory's owner since: when it reads its configuration
// again, or executes another version, that is still the system's.
const startedByRoot = "VPN_STARTED_BY_ROOT"

// config reads the configuration, in which flags rule.
func (p *program) config() (config.Config, error) {
	s := config.Sources{Getenv: p.Getenv, File: p.global.configFile, Root: os.Geteuid() == 0 || p.Getenv(startedByRoot) != ""}
	if p.global.dataDir != "" {
		s.Flags = map[string]string{"data_dir": p.global.dataDir}
	}
	return config.Load(s)
}
