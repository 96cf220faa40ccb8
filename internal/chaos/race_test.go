//go:build race

package chaos_test

// raceDetector tells whether the tests are built with it.
const raceDetector = true
