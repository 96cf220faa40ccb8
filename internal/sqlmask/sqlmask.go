// Package sqlmask takes out of SQL what may be a patient's.
package sqlmask

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// gap stands where a literal was.
	gap = "…"
	// longest bounds a text that is shown, in bytes.
	longest = 4000
)

// Mask is SQL on one line, without comments, and with every string and number
// taken out. Parameters ($1) stay: they tell nothing.
func Mask(sql string) string {
	var text strings.Builder
	blank := false
	for i := 0; i < len(sql) && text.Len() < longest; {
		kind, end := scan(sql, i)
		switch kind {
		case space:
			blank = text.Len() > 0
		case literal:
			put(&text, &blank, gap)
		case word:
			put(&text, &blank, sql[i:end])
		}
		i = end
	}
	if text.Len() >= longest {
		return strings.ToValidUTF8(text.String()[:longest], "") + gap
	}
	return text.String()
}

func put(text *strings.Builder, blank *bool, piece string) {
	if *blank {
		text.WriteByte(' ')
		*blank = false
	}
	text.WriteString(piece)
}

type kind int

const (
	space kind = iota
	literal
	word
)

// scan tells what begins at i, and where it ends.
func scan(sql string, i int) (kind, int) {
	rest := sql[i:]
	switch c := sql[i]; {
	case unicode.IsSpace(rune(c)):
		return space, i + 1
	case strings.HasPrefix(rest, "--"):
		return space, i + until(rest, "\n")
	case strings.HasPrefix(rest, "/*"):
		return space, i + 2 + until(rest[2:], "*/")
	case c == '\'':
		return literal, i + quoted(rest, false)
	case (c == 'E' || c == 'e') && strings.HasPrefix(rest[1:], "'"):
		return literal, i + 1 + quoted(rest[1:], true)
	case (c == 'B' || c == 'b' || c == 'X' || c == 'x' || c == 'N' || c == 'n') && strings.HasPrefix(rest[1:], "'"):
		return literal, i + 1 + quoted(rest[1:], false)
	case strings.HasPrefix(rest, "U&'") || strings.HasPrefix(rest, "u&'"):
		return literal, i + 2 + quoted(rest[2:], false)
	case c == '"':
		return word, i + 1 + until(rest[1:], `"`)
	case c == '$':
		if tag := dollar(rest); tag != "" {
			return literal, i + len(tag) + until(rest[len(tag):], tag)
		}
		return word, i + 1 + letters(rest[1:])
	case c >= '0' && c <= '9':
		return literal, i + number(rest)
	}
	if n := letters(rest); n > 0 {
		return word, i + n
	}
	_, size := utf8.DecodeRuneInString(rest)
	return word, i + size
}

// until is the length of a text up to and with its end, or all of it.
func until(text, end string) int {
	if at := strings.Index(text, end); at >= 0 {
		return at + len(end)
	}
	return len(text)
}

// quoted is the length of a string literal; a doubled quote does not end it,
// nor, where backslashes escape, one behind a backslash.
func quoted(text string, escapes bool) int {
	for i := 1; i < len(text); i++ {
		switch {
		case escapes && text[i] == '\\':
			i++
		case text[i] == '\'' && strings.HasPrefix(text[i+1:], "'"):
			i++
		case text[i] == '\'':
			return i + 1
		}
	}
	return len(text)
}

// dollar is the tag that begins a dollar-quoted string, as "$$" or "$body$".
func dollar(text string) string {
	end := strings.IndexByte(text[1:], '$') + 1
	if end == 0 || end > 1 && text[1] >= '0' && text[1] <= '9' || letters(text[1:end]) != end-1 {
		return ""
	}
	return text[:end+1]
}

// letters is the length of the word that a text begins with.
func letters(text string) int {
	for i := range len(text) {
		c := text[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c < utf8.RuneSelf {
			return i
		}
	}
	return len(text)
}

// number is the length of the number that a text begins with.
func number(text string) int {
	for i := range len(text) {
		c := text[i]
		sign := (c == '+' || c == '-') && i > 0 && (text[i-1] == 'e' || text[i-1] == 'E')
		if !sign && c != '.' && letters(text[i:i+1]) == 0 {
			return i
		}
	}
	return len(text)
}
