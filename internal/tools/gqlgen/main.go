// Command gqlgen writes the generated Go code of the schema: gqlgen's own, and
// what this repository's plugin adds to it. `make generate` runs it at the root,
// where gqlgen.yml is.
package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/99designs/gqlgen/api"
	"github.com/99designs/gqlgen/codegen/config"
)

func main() { os.Exit(run(os.Stderr)) }

func run(stderr io.Writer) int {
	log.SetFlags(0)
	log.SetOutput(quiet{stderr})
	if err := generate(); err != nil {
		_, _ = fmt.Fprintln(stderr, "gqlgen:", err)
		return 1
	}
	return 0
}

func generate() error {
	// gqlgen binds the package that this file is of, so it comes first.
	if err := writeKinds(); err != nil {
		return err
	}
	cfg, err := config.LoadConfigFromDefaultLocations()
	if err != nil {
		return err
	}
	// It comes first, since gqlgen's plugin for models reads what it says of inputs.
	return api.Generate(cfg, api.PrependPlugin(tables{}))
}

// quiet drops what gqlgen says of every relation: that no field of the Go value
// matches it and so it gets a resolver. A field that ought to match is an error
// of the plugin.
type quiet struct{ to io.Writer }

func (q quiet) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("nothing matched")) {
		return len(line), nil
	}
	return q.to.Write(line)
}
