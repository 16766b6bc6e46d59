package vpn

import (
	"slices"
	"strings"
)

// Unknown returns an [Invalid] error about a word that should have been one
// of known, with the nearest of them, or all, in its hint. What is the noun:
// "setting", "key".
func Unknown(what, word string, known []string) *Error {
	err := Errorf(Invalid, "unknown %s %s", what, quoted(word))
	if best, ok := Nearest(word, known); ok {
		return err.WithHint("did you mean %s?", best)
	}
	return err.WithHint("there is: %s", strings.Join(known, ", "))
}

// Nearest returns which of known somebody may have meant who wrote word: the
// only one that begins so, or the one that is the fewest letters off, if it is
// near enough. Of a path with dots, such as "worker.pid", its last part may be
// all that was written.
func Nearest(word string, known []string) (string, bool) {
	word = strings.ToLower(word)
	if word == "" {
		return "", false
	}
	for _, k := range known {
		if strings.HasSuffix(strings.ToLower(k), "."+word) && !slices.Contains(known, word) {
			return k, true
		}
	}
	if best, ok := nearest(word, known); ok {
		return best, true
	}
	last := map[string]string{} // the first path of each last part
	var parts []string
	for _, k := range known {
		if part := k[strings.LastIndexByte(k, '.')+1:]; part != k && last[part] == "" {
			last[part], parts = k, append(parts, part)
		}
	}
	part, ok := nearest(word, parts)
	return last[part], ok
}

func nearest(word string, known []string) (string, bool) {
	var begins []string
	best, at := "", min(3, 1+len(word)/3, len(word)/2)
	for _, k := range known {
		lower := strings.ToLower(k)
		if strings.HasPrefix(lower, word) {
			begins = append(begins, k)
		}
		if d := distance(word, lower, at); d <= at && (best == "" || d < at) {
			best, at = k, d
		}
	}
	if len(begins) == 1 {
		return begins[0], true
	}
	return best, best != ""
}

// distance returns how many letters must be put in, left out or replaced to
// make b of a, or some number above most if there are more than most.
func distance(a, b string, most int) int {
	if len(a)-len(b) > most || len(b)-len(a) > most {
		return most + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
