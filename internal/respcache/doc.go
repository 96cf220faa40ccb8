// Package respcache keeps whole answers in the process and in Redis, and never
// gives one that a write has overtaken. docs/cache.md has the protocol and why it
// is right.
package respcache
