package compose

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"vpn/internal/vpn"
)

const head = `# Made by "vpn compose generate", which writes it anew.
# What you want otherwise belongs into ` + LocalFile + `, which it leaves alone.
`

// A File is one of a project's.
type File struct {
	Name string // without a directory
	Text []byte
}

// Files returns the project's files: the common one, and one for each
// environment.
func (p Project) Files() ([]File, error) {
	text, err := p.Text()
	if err != nil {
		return nil, err
	}
	files := []File{{CommonFile, append([]byte(head), text...)}}
	for _, e := range Environments() {
		text, err := p.Override(e).Text()
		if err != nil {
			return nil, err
		}
		about := "# " + string(e) + ": " + e.About() + ".\n"
		files = append(files, File{e.FileName(), append([]byte(head+about), text...)})
	}
	return files, nil
}

// Ours reports whether text is a file that this package has written.
func Ours(text []byte) bool {
	first, _, _ := strings.Cut(head, "\n")
	return bytes.HasPrefix(text, []byte(first))
}

// Text returns the project as YAML.
func (p Project) Text() ([]byte, error) {
	var root yaml.Node
	if err := root.Encode(p); err != nil {
		return nil, fmt.Errorf("write a Compose project: %w", err)
	}
	each(&root, func(n *yaml.Node) { n.Value = strings.ReplaceAll(n.Value, "$", "$$") })
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(&root), e.Close()); err != nil {
		return nil, fmt.Errorf("write a Compose project: %w", err)
	}
	return out.Bytes(), nil
}

// Load reads files as Compose does, each laid over those before it. What this
// package does not know, it refuses with kind [vpn.Invalid]: to leave it out
// would be to run something else.
func Load(files ...File) (Project, error) {
	out := Project{Services: map[string]Service{}}
	for _, f := range files {
		p, err := parse(f)
		if err != nil {
			return Project{}, err
		}
		for name, s := range p.Services {
			out.Services[name] = out.Services[name].under(s)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(out.Services)) {
		s := out.Services[name]
		if s.Image == "" {
			return Project{}, vpn.Errorf(vpn.Invalid, "service %q has no image", name).
				WithHint("a file speaks of a service that %s does not have; is it of a server that was deleted?", CommonFile)
		}
		for _, on := range s.DependsOn {
			if _, ok := out.Services[on]; !ok {
				return Project{}, vpn.Errorf(vpn.Invalid, "service %q depends on %q, which is none", name, on)
			}
		}
	}
	return out, nil
}

func parse(f File) (Project, error) {
	var p Project
	strict := yaml.NewDecoder(bytes.NewReader(f.Text))
	strict.KnownFields(true)
	if err := strict.Decode(&p); errors.Is(err, io.EOF) {
		return p, nil
	} else if err != nil {
		return p, refused(f.Name, err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(f.Text, &root); err != nil {
		return p, refused(f.Name, err)
	}
	var problem error
	each(&root, func(n *yaml.Node) {
		plain := strings.ReplaceAll(n.Value, "$$", "")
		if strings.Contains(plain, "$") && problem == nil {
			problem = refused(f.Name, fmt.Errorf("line %d: it has a variable", n.Line))
		}
		n.Value = strings.ReplaceAll(n.Value, "$$", "$")
	})
	if problem != nil {
		return p, problem
	}
	p = Project{}
	if err := root.Decode(&p); err != nil {
		return p, refused(f.Name, err)
	}
	return p, nil
}

func refused(name string, err error) error {
	why := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "yaml: "), "unmarshal errors:\n  ", "")
	why, _, _ = strings.Cut(why, "\n")
	why = strings.ReplaceAll(why, "not found in type compose.", "is none that vpn knows of a ")
	return vpn.Errorf(vpn.Invalid, "%s: %s", name, why).
		WithHint("Compose itself may know it: install docker compose, or docker-compose")
}

// each calls f for every value below n.
func each(n *yaml.Node, f func(*yaml.Node)) {
	if n.Kind == yaml.ScalarNode {
		f(n)
	}
	for _, c := range n.Content {
		each(c, f)
	}
}
