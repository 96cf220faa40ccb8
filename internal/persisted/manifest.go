package persisted

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// largestManifest bounds a manifest, in bytes.
const largestManifest = 64 << 20

// Read reads the operations of a folder's .graphql and .gql files (one
// operation a file, its fragments with it), of a manifest of
// @apollo/generate-persisted-query-manifest, or of Relay's persisted_queries.json.
// It reports every fault at once. That documents fit the schema is not checked.
func Read(path string) ([]*Operation, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	var found []*Operation
	if info.IsDir() {
		found, err = readFolder(path)
	} else {
		found, err = readManifest(path, info.Size())
	}
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s has no operation", path)
	}
	var faults []error
	seen := map[string]*Operation{}
	for _, operation := range found {
		if err := operation.complete(); err != nil {
			faults = append(faults, err)
			continue
		}
		if other := seen[operation.ID]; other != nil && other.Body != operation.Body {
			faults = append(faults, fmt.Errorf("%s and %s are both called %s", other.Name, operation.Name, operation.ID))
		}
		seen[operation.ID] = operation
	}
	return found, errors.Join(faults...)
}

func readFolder(folder string) ([]*Operation, error) {
	var found []*Operation
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".graphql" && filepath.Ext(path) != ".gql" {
			return err
		}
		text, err := os.ReadFile(path) //nolint:gosec // in the folder that the operator names
		if err != nil {
			return err
		}
		found = append(found, &Operation{ID: Hash(string(text)), Name: path, Body: string(text)})
		return nil
	})
	return found, err
}

func readManifest(path string, size int64) ([]*Operation, error) {
	if size > largestManifest {
		return nil, fmt.Errorf("%s has more than %d bytes", path, largestManifest)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the file that the operator names
	if err != nil {
		return nil, err
	}
	var apollo struct {
		Format     string `json:"format"`
		Version    int    `json:"version"`
		Operations []struct {
			ID   string `json:"id"`
			Name string `json:"name"`
			Body string `json:"body"`
		} `json:"operations"`
	}
	var relay map[string]string
	if json.Unmarshal(text, &relay) == nil {
		var found []*Operation
		for _, id := range slices.Sorted(maps.Keys(relay)) {
			found = append(found, &Operation{ID: id, Name: id, Body: relay[id]})
		}
		return found, nil
	}
	if err := json.Unmarshal(text, &apollo); err != nil {
		return nil, fmt.Errorf("%s is neither a manifest of Apollo's nor of Relay's: %w", path, err)
	}
	if apollo.Format != "apollo-persisted-query-manifest" || apollo.Version != 1 {
		return nil, fmt.Errorf("%s is neither an apollo-persisted-query-manifest of version 1 nor Relay's object of texts by id", path)
	}
	var found []*Operation
	for _, entry := range apollo.Operations {
		found = append(found, &Operation{ID: entry.ID, Name: entry.Name, Body: entry.Body})
	}
	return found, nil
}

// complete checks an operation as far as that goes without a schema, and takes
// its name and kind from its document.
func (o *Operation) complete() error {
	const longestID = 200
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%s: %s", o.Name, fmt.Sprintf(format, args...))
	}
	switch {
	case o.ID == "" || len(o.ID) > longestID || strings.ContainsFunc(o.ID, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fail("an id is 1 to %d characters of ASCII without blanks", longestID)
	case len(o.Body) > LongestText:
		return fail("the document has %d bytes; %d at most", len(o.Body), LongestText)
	case isHash(o.ID) && o.ID != Hash(o.Body):
		return fail("the id is not the SHA-256 of the document")
	}
	document, err := parser.ParseQuery(&ast.Source{Name: o.Name, Input: o.Body})
	if err != nil {
		return fmt.Errorf("%s: %w", o.Name, err)
	}
	if len(document.Operations) != 1 || document.Operations[0].Name == "" {
		return fail("a document that is published has one operation, and it has a name")
	}
	o.Name, o.Kind = document.Operations[0].Name, string(document.Operations[0].Operation)
	return nil
}
