package scheduling

// WithoutLock makes bookings of the same practitioner no longer wait for each
// other: what a race test must catch.
func (d *Diary) WithoutLock() { d.lock = "KEY SHARE" }
