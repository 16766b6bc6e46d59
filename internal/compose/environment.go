package compose

import (
	"slices"
	"strings"
	"time"

	"vpn/internal/vpn"
)

// Environment is a use that a project is put to. What differs is in a file of
// its own, laid over the common one.
type Environment string

// The environments.
const (
	Development Environment = "development" // log everything, keep little, see quickly that something is wrong
	Staging     Environment = "staging"     // as in production, with a look at what goes on
	Production  Environment = "production"  // keep logs for longer, and come back whatever happened
)

// Environments returns all of them.
func Environments() []Environment { return []Environment{Development, Staging, Production} }

// ParseEnvironment returns the environment of that name; an error of kind
// [vpn.Invalid] if there is none.
func ParseEnvironment(name string) (Environment, error) {
	if e := Environment(name); slices.Contains(Environments(), e) {
		return e, nil
	}
	known := make([]string, 0, len(Environments()))
	for _, e := range Environments() {
		known = append(known, string(e))
	}
	return "", vpn.Unknown("environment", name, known)
}

// About says what an environment is for, in a few words.
func (e Environment) About() string {
	switch e {
	case Development:
		return "everything is logged, and little of it kept"
	case Staging:
		return "as production, with logs for a few days"
	case Production:
		return "logs for longer, and a start with the machine whatever was before"
	}
	return ""
}

// Override returns what differs in e from the common project p.
func (p Project) Override(e Environment) Project {
	out := Project{Services: make(map[string]Service, len(p.Services))}
	for name, common := range p.Services {
		control := common.Labels[LabelServer] == ""
		var s Service
		switch e {
		case Development:
			s.Logging = &Logging{Options: map[string]string{"max-size": "1m", "max-file": "1"}}
			s.Healthcheck = &Healthcheck{Interval: Duration(5 * time.Second)}
			if control {
				s.Environment = map[string]string{"VPN_LOG_LEVEL": "debug"}
			}
		case Staging:
			s.Logging = &Logging{Options: map[string]string{"max-size": "10m", "max-file": "2"}}
			s.Healthcheck = &Healthcheck{Interval: Duration(10 * time.Second)}
			if control {
				s.Environment = map[string]string{"VPN_LOG_LEVEL": "info"}
			}
		case Production:
			s.Logging = &Logging{Options: map[string]string{"max-size": "20m", "max-file": "5"}}
			s.Restart = "always"
		}
		out.Services[name] = s
	}
	return out
}

// The files of a project's directory.
const (
	CommonFile = "compose.yaml"
	LocalFile  = "compose.local.yaml" // a person's own changes: never written, laid over all others
	EnvFile    = ".env"               // says to every Compose program which files are meant
)

// FileName returns the name of the environment's file.
func (e Environment) FileName() string { return "compose." + string(e) + ".yaml" }

const (
	separator     = "COMPOSE_PATH_SEPARATOR"
	filesVariable = "COMPOSE_FILE"
	nameVariable  = "COMPOSE_PROJECT_NAME"
)

// A Choice is which project a directory holds, and which of its files are in
// force. A Compose program reads it from [EnvFile].
type Choice struct {
	Project     string
	Environment Environment
	Local       bool // there is a [LocalFile]
}

// Files returns the names of the files that are in force, the common one
// first.
func (c Choice) Files() []string {
	out := []string{CommonFile, c.Environment.FileName()}
	if c.Local {
		out = append(out, LocalFile)
	}
	return out
}

// Write returns text, which is that of a [EnvFile] or empty, with the
// choice in it. Other variables stay.
func (c Choice) Write(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), "=")
		if name != separator && name != filesVariable && name != nameVariable {
			kept.WriteString(strings.TrimSuffix(line, "\n") + "\n")
		}
	}
	return kept.String() + nameVariable + "=" + c.Project + "\n" + separator + "=:\n" + filesVariable + "=" + strings.Join(c.Files(), ":") + "\n"
}

// ReadChoice returns the choice that text, of a [EnvFile], holds; an error
// of kind [vpn.Invalid] if it holds none.
func ReadChoice(text string) (Choice, error) {
	var c Choice
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case nameVariable:
			c.Project = value
		case filesVariable:
			for _, file := range strings.Split(value, ":") {
				for _, e := range Environments() {
					if file == e.FileName() {
						c.Environment = e
					}
				}
				c.Local = c.Local || file == LocalFile
			}
		}
	}
	if c.Project == "" || c.Environment == "" {
		return Choice{}, vpn.Errorf(vpn.Invalid, "%s does not name a project and its environment", EnvFile).
			WithHint("write it anew: vpn compose generate")
	}
	return c, nil
}

// ProjectName returns what the project of a store is called.
func ProjectName(store string) string { return "vpn-" + store[:min(8, len(store))] }
