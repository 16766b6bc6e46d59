package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const preface = `THIRD-PARTY NOTICES

vpn is under the MIT licence. The program links the code below, unchanged, under
licences of its own. Made from the module graph by "go run ./test/notices"; do
not edit. "vpn version --licenses" prints it.

`

const rule = "--------------------------------------------------------------------------------\n"

// A body is a licence text that components share, without copyright lines.
type body struct {
	text string
	by   []string // whose it is
}

// render returns the notices: each component with its licences, copyright
// lines and the numbers of its texts, then each text once.
func render(components []component) string {
	var b strings.Builder
	b.WriteString(preface)
	var bodies []*body
	number := map[string]int{} // by plain text
	for _, c := range components {
		fmt.Fprintf(&b, "%s\n", strings.TrimSpace(c.path+" "+c.version))
		fmt.Fprintf(&b, "    licence: %s\n", strings.Join(c.licences, ", "))
		if slices.Contains(c.licences, "MPL-2.0") {
			fmt.Fprintf(&b, "    source:  https://%s, %s\n", c.path, revision(c.version))
		}
		for _, line := range c.copyright {
			fmt.Fprintf(&b, "    %s\n", line)
		}
		var texts []string
		for _, name := range slices.Sorted(maps.Keys(c.files)) {
			text := c.files[name]
			if !further.MatchString(name) {
				text = withoutCopyright(text)
			}
			key := plain(text)
			if number[key] == 0 {
				bodies = append(bodies, &body{text: text})
				number[key] = len(bodies)
			}
			at := bodies[number[key]-1]
			if !slices.Contains(at.by, c.path) {
				at.by = append(at.by, c.path)
				texts = append(texts, fmt.Sprint("text ", number[key]))
			}
		}
		fmt.Fprintf(&b, "    see:     %s\n\n", strings.Join(texts, ", "))
	}
	for k, at := range bodies {
		fmt.Fprintf(&b, "%stext %d: %s\n%s\n%s\n\n", rule, k+1, strings.Join(at.by, ", "), rule, strings.TrimSpace(at.text))
	}
	return b.String()
}

var (
	heading  = regexp.MustCompile(`(?im)^[ \t#*]*(the )?(mit|bsd 3-clause|bsd) license( \(mit\))?[ \t:]*$`)
	reserved = regexp.MustCompile(`(?im)^[ \t]*all rights reserved\.?[ \t]*$`)
	trailing = regexp.MustCompile(`(?m)[ \t]+$`)
	gap      = regexp.MustCompile(`\n{3,}`)
)

// withoutCopyright returns a licence text without what differs from one owner
// to the next; those lines stand beside the component.
func withoutCopyright(text string) string {
	for _, r := range []*regexp.Regexp{copyright, heading, reserved, trailing} {
		text = r.ReplaceAllString(text, "")
	}
	return gap.ReplaceAllString(text, "\n\n")
}

var pseudo = regexp.MustCompile(`-(?:0\.)?[0-9]{14}-([0-9a-f]{12})$`)

// revision says where in a repository a module's version is.
func revision(version string) string {
	if m := pseudo.FindStringSubmatch(version); m != nil {
		return "commit " + m[1]
	}
	return "tag " + version
}
