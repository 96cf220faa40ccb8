package main

import (
	"io"
	"log"
	"testing"

	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"
)

// bound is this repository's schema with an addition, bound to its models.
func bound(t *testing.T, addition string) (*config.Config, schema) {
	t.Helper()
	log.SetOutput(io.Discard)
	cfg, err := config.LoadConfigFromDefaultLocations()
	require.NoError(t, err)
	cfg.Sources = append(cfg.Sources, &ast.Source{Name: "addition.graphqls", Input: addition})
	for name, goType := range map[string]string{"LonelyConnection": "ContactConnection", "LonelyEdge": "ContactEdge"} {
		cfg.Models.Add(name, "github.com/taskmed/taskmed/models."+goType)
	}
	require.NoError(t, cfg.LoadSchema())
	require.NoError(t, cfg.Init())
	require.NoError(t, tables{}.MutateConfig(cfg))
	data, err := codegen.BuildData(cfg)
	require.NoError(t, err)
	byHand, err := answered("resolvers")
	require.NoError(t, err)
	return cfg, schema{data, byHand}
}

func TestPlugin_BindsTheSchema(t *testing.T) {
	t.Chdir("../../..")
	_, s := bound(t, "")
	require.Empty(t, s.problems())
	require.NotEmpty(t, s.Connections())
	require.NotEmpty(t, s.Relations())
	require.NotEmpty(t, s.Reads())
}

func TestPlugin_NamesWhatItCannotBind(t *testing.T) {
	t.Chdir("../../..")
	_, s := bound(t, `
extend type Contact {
  shoeSize: Int
  nameKey: Money
  friends: [[Contact!]!]
  partner: Contact
}
type LonelyConnection { edges: [LonelyEdge!]! pageInfo: PageInfo! totalCount: Int! }
type LonelyEdge { cursor: String! }
`)
	var named []string
	for _, problem := range s.problems() {
		named = append(named, problem.Error())
	}
	const contact = "github.com/taskmed/taskmed/models.Contact"
	require.ElementsMatch(t, []string{
		"Contact.shoeSize: no field or method of " + contact + " gives it as Int; add one (ShoeSize or GetShoeSize)",
		"Contact.nameKey: " + contact + ".NameKey gives no Money",
		"Contact.friends: lists of lists of objects are not served",
		"LonelyConnection: there is no type Lonely",
	}, named)
}

func TestPlugin_MakesOmittableWhatAChangeMayLeaveOut(t *testing.T) {
	t.Chdir("../../..")
	cfg, _ := bound(t, `
extend input UpdateContactInput { reason: String, always: Int!, usual: Int = 1, shoeSize: Int }
`)
	says := func(input, field string) bool {
		omittable := cfg.Models[input].Fields[field].Omittable
		return omittable != nil && *omittable
	}
	for field, want := range map[string]bool{
		"id": false, "expectedVersion": false, "reason": false, "always": false, "usual": false,
		"name": true, "tags": true, "shoeSize": true,
	} {
		require.Equal(t, want, says("UpdateContactInput", field), field)
	}
	require.True(t, says("AmendMedicalRecordInput", "codes"))
	require.False(t, says("AmendMedicalRecordInput", "body"))
	require.False(t, says("CreateContactInput", "email"))
	require.False(t, says("ContactFilter", "tag"))
}
