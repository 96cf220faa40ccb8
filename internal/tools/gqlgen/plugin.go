package main

import (
	_ "embed"
	"errors"
	"path/filepath"
	"strings"

	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"
	"github.com/99designs/gqlgen/codegen/templates"
	"github.com/vektah/gqlparser/v2/ast"
)

// tables is the plugin: it derives by rule what gqlgen.yml would say per noun,
// and writes objects.go and relations.go next to gqlgen's generated.go.
type tables struct{}

// Name implements plugin.Plugin.
func (tables) Name() string { return "tables" }

// MutateConfig implements plugin.ConfigMutator: in a change, absent differs from
// null, so that what a change may leave out is omittable. Subscriptions get no code: each
// of their events is run as a query (internal/gqlserver/live.go).
func (tables) MutateConfig(cfg *config.Config) error { //nolint:unparam // it is gqlgen's interface
	if of := cfg.Schema.Subscription; of != nil {
		delete(cfg.Schema.Types, of.Name)
		cfg.Schema.Subscription = nil
	}
	for name, definition := range cfg.Schema.Types {
		if definition.Kind != ast.InputObject || !isChange(name) {
			continue
		}
		for _, field := range definition.Fields {
			if field.Type.NonNull || field.DefaultValue != nil || field.Name == "expectedVersion" || field.Name == "reason" {
				continue
			}
			omittable(cfg, name, field.Name)
		}
	}
	return nil
}

func isChange(input string) bool {
	return strings.HasPrefix(input, "Update") || strings.HasPrefix(input, "Amend")
}

func omittable(cfg *config.Config, input, field string) {
	entry := cfg.Models[input]
	if entry.Fields == nil {
		entry.Fields = map[string]config.TypeMapField{}
	}
	of := entry.Fields[field]
	if of.Omittable == nil { // gqlgen.yml has the last word
		yes := true
		of.Omittable = &yes
	}
	entry.Fields[field] = of
	cfg.Models[input] = entry
}

//go:embed objects.gotpl
var objectsTemplate string

//go:embed relations.gotpl
var relationsTemplate string

// GenerateCode implements plugin.CodeGenerator.
func (tables) GenerateCode(data *codegen.Data) error {
	byHand, err := answered("resolvers")
	if err != nil {
		return err
	}
	s := schema{data, byHand}
	if problems := s.problems(); len(problems) > 0 {
		return errors.Join(problems...)
	}
	for file, template := range map[string]string{"objects.go": objectsTemplate, "relations.go": relationsTemplate} {
		err := templates.Render(templates.Options{
			PackageName:     data.Config.Exec.Package,
			Filename:        filepath.Join(data.Config.Exec.Dir(), file),
			Template:        template,
			Data:            s,
			Funcs:           s.funcs(),
			GeneratedHeader: true,
			Packages:        data.Config.Packages,
		})
		if err != nil {
			return err
		}
	}
	return writeNouns()
}
