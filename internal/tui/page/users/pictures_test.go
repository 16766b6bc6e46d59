package users_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/golden"

	"vpn/internal/tui"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/page/users"
	"vpn/internal/tui/tuitest"
	"vpn/internal/vpn"
)

func pictures(t *testing.T, f func() *plane, keys ...string) {
	t.Helper()
	tuitest.Pictures(t, append([]string{"2"}, keys...), func(o tui.Options) tea.Model { return made(o, f(), users.Options{}) })
}

func fleet() *plane { return newPlane(1000) }

func TestPictureOfTheList(t *testing.T)    { pictures(t, fleet, "j", "space", "j", "space") }
func TestPictureOfTheDetails(t *testing.T) { pictures(t, fleet, "j", "enter") }
func TestPictureOfNoUsers(t *testing.T)    { pictures(t, func() *plane { return newPlane(0) }) }
func TestPictureOfTheForm(t *testing.T)    { pictures(t, fleet, "n") }
func TestPictureOfDelete(t *testing.T)     { pictures(t, fleet, "j", "d") }
func TestPictureOfTheMenu(t *testing.T)    { pictures(t, fleet, "x") }
func TestPictureOfLinks(t *testing.T)      { pictures(t, fleet, "l", "enter") }
func TestPictureOfQR(t *testing.T)         { pictures(t, fleet, "r", "enter") }

func TestPictureOfAFilterThatCannotBeRead(t *testing.T) {
	pictures(t, fleet, "/", "a", "l", "i", "space", "i", "s", ":", "x")
}

func TestPictureOfEdit(t *testing.T)       { pictures(t, fleet, "j", "e") }
func TestPictureOfManyEdited(t *testing.T) { pictures(t, fleet, "space", "space", "e") }
func TestPictureOfDevices(t *testing.T)    { pictures(t, fleet, "D") }

func TestPictureOfAFormThatIsWrong(t *testing.T) {
	pictures(t, fleet, "n", "A", "tab", "5", "x", "tab", "tab", "9", "enter")
}

func TestPictureOfManyDeleted(t *testing.T) {
	pictures(t, fleet, "j", "j", "j", "j", "space", "j", "j", "space", "space", "d")
}

func TestPictureOfUsersThatAreStillToCome(t *testing.T) {
	for _, size := range tuitest.Sizes() {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			var p page.Page
			o, _ := tuitest.Options(t)
			f := newPlane(3)
			o.Source = f
			a := tuitest.Alone(o, key.Users, func(fr page.Frame) page.Page {
				p = users.New(fr, f.api(), users.Options{After: atOnce})
				return p
			})
			tuitest.Drive(t, a, size[0], size[1]) // the dashboard asks for no users
			golden.RequireEqual(t, ansi.Strip(strings.Join(p.Render(size[0], size[1]-2), "\n"))+"\n")
		})
	}
}

// without is a control plane that is well but for its list of users.
type without struct {
	*tuitest.Fleet
	err error
}

func (w without) Users(context.Context) ([]vpn.UserInfo, error)  { return nil, w.err }
func (w without) Online(context.Context) ([]vpn.UserInfo, error) { return nil, w.err }

func TestPictureOfUsersThatCannotBeHad(t *testing.T) {
	tuitest.Pictures(t, []string{"2"}, func(o tui.Options) tea.Model {
		f := newPlane(3)
		o.Source = without{f.Fleet, vpn.Errorf(vpn.Unavailable, "the daemon does not answer")}
		return alone(o, f, users.Options{After: atOnce})
	})
}

func TestASCII(t *testing.T) {
	tuitest.ASCII(t, func(o tui.Options) tea.Model { return made(o, fleet(), users.Options{}) },
		[]string{"2", "space"}, []string{"2", "j", "enter"}, []string{"2", "x"}, []string{"2", "n"}, []string{"2", "e"}, []string{"2", "d"}, []string{"2", "D"}, []string{"2", "l", "enter"}, []string{"2", "/", "i", "s", ":"}, []string{"2", "o"}, []string{"2", "space", "G", "v", "d"}, []string{"2", "space", "G", "v", "e", "5", "G", "B"})
}

// Before the daemon has answered, the places of rows are shown.
func TestLoading(t *testing.T) {
	tuitest.Loading(t, []string{"2"}, func(o tui.Options) *tui.App { return made(o, newPlane(12), users.Options{}) })
}
