package metrics

import (
	"slices"
	"strings"
	"unicode"
)

// maxShape bounds a shape, in bytes.
const maxShape = 600

func isPools(name string, words []string) bool {
	switch name {
	case "begin", "commit", "rollback", "savepoint", "release":
		return true
	}
	return isSetting(words)
}

func isSetting(words []string) bool {
	return len(words) > 1 && strings.EqualFold(words[1], "set_config")
}

// scan splits SQL into words and signs. Literals become "?": no value is kept,
// should one ever stand in a text.
func scan(sql string) []string {
	var words []string
	for i := 0; i < len(sql); {
		c := sql[i]
		end := i + 1
		switch {
		case unicode.IsSpace(rune(c)):
			i++
			continue
		case strings.HasPrefix(sql[i:], "--"):
			if end = strings.IndexByte(sql[i:], '\n') + i; end < i {
				end = len(sql)
			}
			i = end
			continue
		case c == '\'':
			for end < len(sql) && sql[end] != '\'' {
				end++
			}
			words, i = append(words, "?"), end+1
			continue
		case c == '"':
			for end < len(sql) && sql[end] != '"' {
				end++
			}
			words, i = append(words, sql[i+1:end]), end+1
			continue
		case isWord(c) || c == '$' || c == '@':
			for end < len(sql) && (isWord(sql[end]) || sql[end] == '.') {
				end++
			}
			if word := sql[i:end]; c >= '0' && c <= '9' || c == '$' || c == '@' {
				words = append(words, "?")
			} else {
				words = append(words, word)
			}
			i = end
			continue
		case c == ':' && end < len(sql) && sql[end] == ':':
			end++
		}
		words, i = append(words, sql[i:end]), end
	}
	return words
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// familyOf names what a statement does and to which tables, as "select
// appointments, contacts": three at most, in their order.
func familyOf(words []string) string {
	if len(words) == 0 {
		return Other
	}
	verb := strings.ToLower(words[0])
	if verb == "select" && isSetting(words) {
		return "set"
	}
	// What WITH names is no table.
	named := ""
	if verb == "with" && len(words) > 1 {
		named = lower(words, 1)
	}
	var tables []string
	for i, word := range words {
		switch strings.ToLower(word) {
		case "insert", "delete":
			if verb == "with" {
				verb = strings.ToLower(word)
			}
			continue
		case "update":
			// FOR UPDATE, NO KEY UPDATE and DO UPDATE change nothing more.
			if i > 0 && (lower(words, i-1) == "for" || lower(words, i-1) == "key" || lower(words, i-1) == "do") {
				continue
			}
			if verb == "with" {
				verb = "update"
			}
		case "from", "join", "into":
		default:
			continue
		}
		if table := tableAt(words, i+1); table != "" && table != named && len(tables) < 3 && !slices.Contains(tables, table) {
			tables = append(tables, table)
		}
	}
	if verb == "with" {
		verb = "select"
	}
	if len(tables) == 0 {
		return verb
	}
	return verb + " " + strings.Join(tables, ", ")
}

func tableAt(words []string, i int) string {
	for i < len(words) && (lower(words, i) == "only" || lower(words, i) == "lateral") {
		i++
	}
	if i >= len(words) {
		return ""
	}
	table := lower(words, i)
	// Neither a sub-select nor a list of ids is a table.
	if !isWord(table[0]) || table == "select" || table == "unnest" {
		return ""
	}
	return strings.TrimPrefix(table, "public.")
}

func lower(words []string, i int) string { return strings.ToLower(words[i]) }

// shapeOf puts a statement together again, on one line, with "…" in place of
// the columns that it selects or returns.
func shapeOf(words []string) string {
	var shape strings.Builder
	depth, from, hide := 0, 0, false
	// Without a table there is nothing else to tell it by.
	columns := slices.ContainsFunc(words, func(word string) bool { return strings.EqualFold(word, "from") })
	for i, word := range words {
		switch {
		case word == "(":
			depth++
		case word == ")":
			if depth--; hide && depth < from {
				hide = false
			}
		case hide && depth == from && lower(words, i) == "from":
			hide = false
		}
		if hide {
			continue
		}
		if shape.Len() > 0 && !tight(words, i) {
			shape.WriteByte(' ')
		}
		shape.WriteString(word)
		if verb := lower(words, i); verb == "select" && columns || verb == "returning" {
			shape.WriteString(" …")
			hide, from = true, depth
		}
		if shape.Len() > maxShape {
			return strings.ToValidUTF8(shape.String()[:maxShape], "") + "…"
		}
	}
	return shape.String()
}

// tight tells where no space is wanted.
func tight(words []string, i int) bool {
	switch words[i] {
	case ")", ",", "::", "]", "[", ";":
		return true
	case "(":
		switch lower(words, i-1) {
		case "in", "and", "or", "where", "as", "from", "values", "lateral", "join", "on", "by", "=", "(", ",", "exists":
			return words[i-1] == "("
		}
		return true
	}
	return words[i-1] == "(" || words[i-1] == "::" || words[i-1] == "["
}
