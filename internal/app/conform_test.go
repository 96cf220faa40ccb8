package app_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit/conform"
)

// TestConform_EveryNounKeepsWhatNounsPromise checks each noun that the clinic's
// packages declare: a new one is in by being declared.
func TestConform_EveryNounKeepsWhatNounsPromise(t *testing.T) {
	t.Parallel()
	suite := conform.New(t)
	nouns := suite.Nouns()
	require.Subset(t, nouns, []string{"Appointment", "Contact", "Invoice"})
	for _, noun := range nouns {
		t.Run(noun, func(t *testing.T) { suite.Conform(t, noun) }) //nolint:paralleltest // they share one clinic, and the last aspect writes
	}
}
