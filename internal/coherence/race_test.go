//go:build race

package coherence_test

// raceDetector tells whether the tests are built with it.
const raceDetector = true
