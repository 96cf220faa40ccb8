// Package dialling connects to hosts that others have named, and to nobody who cannot be
// reached from outside anyway: the server stands in a network whose other machines take
// it for one of their own.
package dialling
