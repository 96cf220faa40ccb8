//go:build !race

package gqlserver_test

const slowness = 1
