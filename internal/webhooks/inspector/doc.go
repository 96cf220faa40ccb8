// Package inspector is a developer's own receiver of webhooks, which `taskmed dev` alone
// runs: it listens on loopback, verifies what comes for the demo clinics as any receiver
// should, prints a line of each and keeps the last ones for a page (web.Inspector).
//
// It knows of the sender nothing but what every receiver is told: endpoints are made by
// the API (register.go), signatures checked by what the API showed (verify.go).
package inspector
