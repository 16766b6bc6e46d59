package cli

import (
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"vpn/internal/config"
)

// startedByRoot is in the environment of a daemon that root started and that
// acts as the data directory's owner since: when it reads its configuration
// again, or executes another version, that is still the system's.
const startedByRoot = "VPN_STARTED_BY_ROOT"

func configCommand(p *program) *cobra.Command {
	return group("config", "Show and change the configuration file", `  vpn config show --origin
  vpn config set public_host vpn.example.org`,
		configShow(p), configGet(p), configSet(p), configUnset(p), configValidate(p), configPath(p),
	)
}

// config reads the configuration, in which flags rule. It is read once: root
// may have become the data directory's owner since, and would be told another.
func (p *program) config() (config.Config, error) {
	if p.loaded != nil {
		return *p.loaded, nil
	}
	c, err := config.Load(sources(p))
	if err == nil {
		p.loaded = &c
	}
	return c, err
}

// sources returns where the configuration comes from.
func sources(p *program) config.Sources {
	s := config.Sources{Getenv: p.Getenv, File: p.global.configFile, Root: os.Geteuid() == 0 || p.Getenv(startedByRoot) != ""}
	if servesHere() != nil {
		s.Root = true // a file is for another machine, where most are the system's
	}
	if p.global.dataDir != "" {
		s.Flags = map[string]string{"data_dir": p.global.dataDir}
	}
	return s
}

// configKey returns the KEY of a command, which a person chooses if it is
// missing.
func configKey(p *program, cmd *cobra.Command, args []string) (string, error) {
	var keys []option
	for _, v := range (config.Config{}).Values() {
		keys = append(keys, option{v.Key, v.Help})
	}
	return oneOf(p, cmd, args, "KEY", noun{one: "key", many: "keys"}, keys)
}

// configNewValue returns the VALUE for a key, which a person is asked for if
// it is missing.
func configNewValue(p *program, cmd *cobra.Command, args []string, key string) (string, error) {
	if len(args) > 1 {
		return args[1], nil
	}
	if _, err := (config.Config{}).Get(key); err != nil {
		return "", err
	}
	if few := config.Choices(key); len(few) > 0 {
		return oneOf(p, cmd, nil, "VALUE", noun{one: "value", many: "values"}, words(few))
	}
	ask := p.prompter()
	if !ask.able {
		return "", missing(cmd, "VALUE")
	}
	value, err := ask.line(cmd.Context(), "The value of "+key+":")
	if err == nil && value == "" {
		err = missing(cmd, "VALUE")
	}
	return value, err
}

// configEdit is what a change of the configuration file says as JSON.
type configEdit struct {
	Key     string `json:"key"`
	Value   string `json:"value,omitempty"`
	File    string `json:"file"`
	Changed bool   `json:"changed"`
	DryRun  bool   `json:"dry_run,omitempty"`
}

// editConfig changes the configuration file by edit, which is given its path
// and text. A dry run does all but write.
func editConfig(p *program, edit func(path string, data []byte) ([]byte, error)) (path string, changed bool, err error) {
	if err := hasConfigFile(p); err != nil {
		return "", false, err
	}
	path, err = config.FileToChange(sources(p))
	if err != nil {
		return "", false, err
	}
	data, err := config.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", false, fileProblem("read", path, err)
	}
	edited, err := edit(path, data)
	if err != nil || string(edited) == string(data) {
		return path, false, err
	}
	if p.global.dryRun {
		return path, true, nil
	}
	return path, true, replaceConfig(path, edited)
}

// replaceConfig puts a configuration file in place. There are no secrets in
// it.
func replaceConfig(path string, data []byte) error { return replaceFile(path, data, 0o644) }
