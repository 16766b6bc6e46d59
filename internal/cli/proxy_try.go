package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/probe"
	"vpn/internal/vpn"
)

// usualSite is what is fetched through a proxy if no other site is named: it
// answers 204 and nothing else, and is always there.
const usualSite = "https://www.gstatic.com/generate_204"

// proxyTest is the command "proxy test". (A file of that name would be a
// test.)
func proxyTest(p *program) *cobra.Command {
	var (
		user string
		o    = probe.ProxyOptions{URL: usualSite}
	)
	cmd := &cobra.Command{
		Use: "test NAME", Short: "Fetch a page through a proxy, as a user",
		Long: `Fetch a page through a proxy as one of its users, in every way that it serves, and
say how far it came and how long that took. The traffic counts as the user's.`,
		Example: `  vpn proxy test office --user alice
  vpn proxy test office --user alice --url http://www.example.com/
  vpn proxy test office --address 127.0.0.1:8080`,
		Annotations: map[string]string{"doing": "fetching a page through the proxy"},
	}
	fs := cmd.Flags()
	fs.StringVarP(&user, "user", "u", "", "whose password is used, by `NAME`; left out, that of the only active user")
	fs.StringVar(&o.URL, "url", o.URL, "the `PAGE` to fetch")
	fs.StringVar(&o.Address, "address", "", "the `HOST:PORT` to dial instead of the one in the user's link")
	return answers[[]proxyTrial](p, onProxy(p, cmd, func(cmd *cobra.Command, name string) error {
		var links []string
		err := p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
			s, err := aProxy(ctx, c.Servers, name)
			if err != nil {
				return err
			}
			if user == "" {
				if user, err = onlyUser(ctx, c.Users); err != nil {
					return err
				}
			}
			access, err := accessTo(ctx, c.Users, user, s.Name, "")
			if err != nil {
				return err
			}
			links = append([]string{access[0].Link}, access[0].Others...)
			o.Trust, err = certificateOf(s)
			return err
		})
		if err != nil {
			return err
		}
		return tryProxy(cmd.Context(), p.printer(), links, o)
	}))
}

// onlyUser returns the user of whom there is no doubt.
func onlyUser(ctx context.Context, users userLister) (string, error) {
	list, err := users.ListFields(ctx, vpn.UserFilter{}, "name", "status")
	if err != nil {
		return "", err
	}
	var active []string
	for _, u := range list {
		if u.Status == vpn.Active {
			active = append(active, u.Name)
		}
	}
	switch len(active) {
	case 1:
		return active[0], nil
	case 0:
		return "", vpn.Errorf(vpn.NotFound, "there is no active user to try it with").WithHint("make one: vpn users create NAME")
	}
	return "", vpn.Errorf(vpn.Invalid, "there are several active users, and one is needed to try it with").WithHint("name one: --user %s", active[0])
}

// certificateOf returns the certificate that clients of a proxy are told to
// trust, if it has one.
func certificateOf(s vpn.ServerDetail) (string, error) {
	var settings struct {
		Cert string `json:"tls_cert"`
	}
	if err := json.Unmarshal(s.Settings, &settings); err != nil {
		return "", fmt.Errorf("read the proxy's settings: %w", err)
	}
	return settings.Cert, nil
}

// A proxyTrial is how it went in one of the ways that a proxy serves.
type proxyTrial struct {
	Proxy     string  `json:"proxy"` // without the password
	OK        bool    `json:"ok"`
	Status    int     `json:"status,omitempty"`       // of the page
	Connected float64 `json:"connected_ms,omitempty"` // until the proxy took the connection
	Answered  float64 `json:"answered_ms,omitempty"`  // until the page's first byte
	Problem   string  `json:"problem,omitempty"`
}

func tryProxy(ctx context.Context, out *printer, links []string, o probe.ProxyOptions) error {
	var (
		trials []proxyTrial
		first  error
		t      = &table{head: []string{"PROXY", "RESULT", ">STATUS", ">CONNECTED", ">ANSWERED"}}
	)
	for _, link := range links {
		answer, err := probe.Proxy(ctx, link, o)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		trial := proxyTrial{
			Proxy: passwordless(link), OK: err == nil, Status: answer.Status,
			Connected: milliseconds(answer.Connected), Answered: milliseconds(answer.Answered),
		}
		result := "works"
		if err != nil {
			if trial.Problem, result = err.Error(), "fails"; first == nil {
				first = err
			}
		}
		trials = append(trials, trial)
		t.add(trial.Proxy, cell{result, strconv.FormatBool(trial.OK)}, statusCell(trial.Status), tookCell(answer.Connected), tookCell(answer.Answered))
	}
	names := namesOf(trials, func(t proxyTrial) string { return t.Proxy })
	if err := out.show(answer{data: trials, names: names, plain: t, tables: []*table{t}}); err != nil {
		return err
	}
	return first
}

func milliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}

func tookCell(d time.Duration) cell {
	if d == 0 {
		return cell{"-", ""}
	}
	ms := strconv.FormatFloat(milliseconds(d), 'f', 1, 64)
	return cell{ms + " ms", ms}
}

func statusCell(status int) cell {
	if status == 0 {
		return cell{"-", ""}
	}
	return cellOf(strconv.Itoa(status))
}
