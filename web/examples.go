package web

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

//go:embed examples/*.graphql examples/*.json
var exampleFiles embed.FS

// placeholder is {{name}} inside a JSON string of an example's variables.
var placeholder = regexp.MustCompile(`\{\{([a-zA-Z]+)\}\}`)

// ErrUnresolved marks variables with a placeholder that no value was given for.
var ErrUnresolved = errors.New("placeholder without a value")

// Example is one of the operations that the playground opens in a tab.
type Example struct {
	// Name is the file's name without number and extension: "day-view".
	Name string
	// Title is the first line of the leading comment: "Day view".
	Title string
	// Query is the whole document, leading comment included. It holds one operation.
	Query string
	// Variables is a JSON object whose strings may hold placeholders; see Resolve.
	Variables json.RawMessage
}

// Examples returns the playground's operations in the order of its tabs.
func Examples() []Example {
	names, err := fs.Glob(exampleFiles, "examples/*.graphql")
	if err != nil { // Only a malformed pattern fails, and this one is a constant.
		panic(fmt.Sprintf("web: examples: %v", err))
	}
	examples := make([]Example, 0, len(names))
	for _, file := range names {
		base := strings.TrimSuffix(file, ".graphql")
		_, name, _ := strings.Cut(path.Base(base), "-")
		query := mustRead(file)
		title, _, _ := strings.Cut(strings.TrimPrefix(query, "# "), "\n")
		examples = append(examples, Example{
			Name:      name,
			Title:     title,
			Query:     query,
			Variables: json.RawMessage(mustRead(base + ".variables.json")),
		})
	}
	return examples
}

// Subscribes tells that it is a subscription, which is not sent as a plain request.
func (e Example) Subscribes() bool { return strings.Contains(e.Query, "\nsubscription ") }

// Reads tells that it is a query.
func (e Example) Reads() bool { return strings.Contains(e.Query, "\nquery ") }

// Requests are the examples that are plain requests.
func Requests() []Example {
	return slices.DeleteFunc(Examples(), Example.Subscribes)
}

// Resolve replaces each {{name}} in the variables by values[name], as text
// within JSON strings. A name without a value is an error that wraps ErrUnresolved.
// Values fetches what the shipped examples need.
func Resolve(variables json.RawMessage, values map[string]string) (json.RawMessage, error) {
	var missing []string
	resolved := placeholder.ReplaceAllFunc(variables, func(match []byte) []byte {
		name := string(placeholder.FindSubmatch(match)[1])
		value, ok := values[name]
		if !ok {
			missing = append(missing, name)
			return match
		}
		quoted, err := json.Marshal(value)
		if err != nil { // A string always marshals.
			missing = append(missing, name)
			return match
		}
		return quoted[1 : len(quoted)-1]
	})
	if len(missing) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrUnresolved, strings.Join(missing, ", "))
	}
	return resolved, nil
}

// mustRead reads an embedded file; one that is missing is a fault of the build,
// which the package's tests find.
func mustRead(name string) string {
	text, err := exampleFiles.ReadFile(name)
	if err != nil {
		panic(fmt.Sprintf("web: examples: %v", err))
	}
	return string(text)
}
