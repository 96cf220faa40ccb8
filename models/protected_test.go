package models_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/graph/generated"
	"github.com/taskmed/taskmed/models"
)

// TestProtectedIDs_KnowsWhatTheSchemaMarks compares the types that are known to
// be protected with those that the schema says are.
func TestProtectedIDs_KnowsWhatTheSchemaMarks(t *testing.T) {
	t.Parallel()
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	id := models.NewID()
	type sample struct {
		one  models.Node
		list any
		none any
	}
	samples := map[string]sample{
		"Clinic":        {one: &models.Clinic{ID: id}, list: []*models.Clinic{{ID: id}}, none: (*models.Clinic)(nil)},
		"Practitioner":  {one: &models.Practitioner{ID: id}, list: []*models.Practitioner{{ID: id}}, none: (*models.Practitioner)(nil)},
		"Service":       {one: &models.Service{ID: id}, list: []*models.Service{{ID: id}}, none: (*models.Service)(nil)},
		"Contact":       {one: &models.Contact{ID: id}, list: []*models.Contact{nil, {ID: id}}, none: (*models.Contact)(nil)},
		"Appointment":   {one: &models.Appointment{ID: id}, list: []*models.Appointment{nil, {ID: id}}, none: (*models.Appointment)(nil)},
		"MedicalRecord": {one: &models.MedicalRecord{ID: id}, list: []*models.MedicalRecord{nil, {ID: id}}, none: (*models.MedicalRecord)(nil)},
	}
	marked := 0
	for name, definition := range schema.Types {
		for _, field := range definition.Fields {
			require.Nil(t, field.Directives.ForName("phi"), "%s.%s: protected entities are told by their type", name, field.Name)
		}
		protected := definition.Directives.ForName("phi") != nil
		if protected {
			marked++
			require.Contains(t, samples, name, "what is protected is known by its Go type")
		}
		sample, known := samples[name]
		if !known {
			continue
		}
		var want []string
		if protected {
			want = []string{sample.one.(interface{ GetID() string }).GetID()}
		}
		require.ElementsMatch(t, want, models.ProtectedIDs(sample.one), name)
		require.ElementsMatch(t, want, models.ProtectedIDs(sample.list), "[%s]", name)
		require.ElementsMatch(t, want, models.ProtectedIDs([]models.Node{nil, sample.one}), "[Node] of %s", name)
		require.Empty(t, models.ProtectedIDs(sample.none), "no %s", name)
	}
	require.Positive(t, marked)
	require.Empty(t, models.ProtectedIDs(nil))
	require.Empty(t, models.ProtectedIDs("text"))
}
