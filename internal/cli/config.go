package cli

import (
	"os"

	"vpn/internal/config"
)

// config reads the configuration, in which flags rule.
func (p *program) config() (config.Config, error) {
	s := config.Sources{Getenv: p.Getenv, File: p.global.configFile, Root: os.Geteuid() == 0}
	if p.global.dataDir != "" {
		s.Flags = map[string]string{"data_dir": p.global.dataDir}
	}
	return config.Load(s)
}
