package users

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"vpn/internal/vpn"
)

// tagsOf are the tags that some of users have.
func tagsOf(users []vpn.UserInfo) []string {
	var tags []string
	for _, u := range users {
		for _, tag := range u.Tags {
			if at, has := slices.BinarySearch(tags, tag); !has {
				tags = slices.Insert(tags, at, tag)
			}
		}
	}
	return tags
}

// removable says which tags there are to take away.
func removable(had []string) string {
	if len(had) == 0 {
		return "none of them has a tag"
	}
	const most = 8
	text := "some of them have: " + strings.Join(had[:min(len(had), most)], " ")
	if more := len(had) - most; more > 0 {
		text += " and " + strconv.Itoa(more) + " more"
	}
	return text
}

// checkRemoved returns what checks the tags that go.
func checkRemoved(s *fields) func(v string) error {
	return func(v string) error {
		add := listed(s.form.Value("add-tag"))
		for _, tag := range listed(v) {
			switch {
			case slices.Contains(add, tag):
				return errors.New(tag + " is added above: it cannot be both")
			case !slices.Contains(s.had, tag):
				return errors.New("none of them has the tag " + tag)
			}
		}
		return nil
	}
}
