//go:build !race

package e2e_test

// raceDetector tells whether the tests are built with it.
const raceDetector = false
