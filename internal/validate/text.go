package validate

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Line is a text as a field of one line holds it: in NFC (UAX #15), without what
// nobody can see, and with one blank where there were blanks, tabs or line breaks.
// Two texts that look the same are the same, and what looks empty is empty. A text
// that is no UTF-8, or holds a control character, stays as it is, for Printable to
// refuse.
func Line(text string) string {
	if !Printable(text) {
		return text
	}
	return strings.Join(strings.Fields(visible(norm.NFC.String(text), isInvisible)), " ")
}

// Lines is a text as a field of several lines holds it: in NFC, with line feeds alone
// between lines, and without what changes how the text around it is read. Joiners
// stay: some scripts are written with them.
func Lines(text string) string {
	if !Printable(text) {
		return text
	}
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n").Replace(norm.NFC.String(text))
	if visible(text, isInvisible) == "" {
		return ""
	}
	return strings.TrimSpace(visible(text, isTrap))
}

func visible(text string, hidden func(rune) bool) string {
	if !strings.ContainsFunc(text, hidden) {
		return text
	}
	return strings.Map(func(r rune) rune {
		if hidden(r) {
			return -1
		}
		return r
	}, text)
}

// isInvisible tells characters that show nothing: formats (Unicode's category Cf, the
// bidirectional controls among them) and the letters that are blank by their name.
func isInvisible(r rune) bool {
	switch r {
	case '\u034f', '\u115f', '\u1160', '\u17b4', '\u17b5', '\u2800', '\u3164', '\uffa0':
		return true
	}
	return unicode.Is(unicode.Cf, r)
}

// isTrap tells invisible characters that have no business in any text: all but
// joiners, and the tags by which flags are written.
func isTrap(r rune) bool {
	joins := r == '\u200c' || r == '\u200d' || r >= '\U000e0020' && r <= '\U000e007f'
	return !joins && isInvisible(r)
}

// Printable tells whether a text is valid UTF-8 without control characters
// other than tab and line breaks. Postgres could not store a NUL.
func Printable(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t'
	})
}
