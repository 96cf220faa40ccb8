package scheduling

import "time"

// WithoutLock makes bookings of the same practitioner no longer wait for each
// other: what a race test must catch.
func (d *Diary) WithoutLock() { d.lock = "KEY SHARE" }

// OffersLast makes offers hold their slots for so long.
func (w *Waitlist) OffersLast(period time.Duration) { w.offered = period }
