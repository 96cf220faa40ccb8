package testkit

// Spoilt is a text with another character before its last few, whichever stands there: of
// a name or a signature in any of the usual alphabets it makes another one. The last
// characters may hold bits that nobody reads.
func Spoilt(text string) string {
	const fromEnd = 4
	at := len(text) - fromEnd
	other := "b"
	if text[at] == other[0] {
		other = "c"
	}
	return text[:at] + other + text[at+1:]
}
