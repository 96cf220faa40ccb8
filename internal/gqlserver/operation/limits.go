// Package operation decides whether a GraphQL operation may run, before any of
// it does: how it is written, what it would cost, what its role may select and
// whether its variables are of their types. It knows nothing of HTTP.
//
// The order matters. Parsing is bounded by tokens; the shape of the document
// (depth, aliases, duplicates, fragments) is checked in one linear walk before
// validation, whose rules grow faster than their input; only then is the
// operation's cost taken, with each fragment walked once. Documents that pass
// are kept, so that a known one costs a look-up.
package operation

// Limits bound an operation. The zero value of a field means its default.
type Limits struct {
	// TextBytes bounds the document's text. Long values belong in variables.
	TextBytes int
	// Tokens bounds what the parser reads, comments included.
	Tokens int
	// Depth bounds how deep fields nest, through fragments: 1 is a root field.
	Depth int
	// Aliases, Directives, InlineFragments, Spreads and Fragments bound how often
	// each occurs in the document.
	Aliases, Directives, InlineFragments, Spreads, Fragments int
	// Duplicates bounds how often a response key is selected again in its own
	// selection set; comparing them is quadratic at least.
	Duplicates int
	// Operations bounds the operations of one document, Variables those of one operation.
	Operations, Variables int
	// RootFields and RootMutations bound what one operation selects at its root.
	RootFields, RootMutations int
	// Work bounds what validation visits: the nodes of each definition together
	// with those of every fragment it reaches.
	Work int
	// ValueDepth bounds how deep lists and objects nest in a literal.
	ValueDepth int
	// Cost is the highest cost of an operation, by @cost and @listSize.
	Cost int64
	// Fields is the highest estimated number of fields in an answer.
	Fields int64
	// PageSize is the largest first or last, and the longest list that a read
	// takes, of ids or in a filter, wherever it stands.
	PageSize int64
	// ListSize is the longest list that a mutation takes to write; a use case may
	// take fewer. What is inside a JSON value is bounded by its size alone.
	ListSize int64
	// NoIntrospection refuses __schema and __type.
	NoIntrospection bool
	// CacheBytes is what the kept documents may take, roughly.
	CacheBytes uint64
}

// WithDefaults fills in what is zero.
func (l Limits) WithDefaults() Limits {
	for field, value := range map[*int]int{
		&l.TextBytes: 256 << 10, &l.Tokens: 2000, &l.Depth: 15, &l.Aliases: 100, &l.Directives: 100,
		&l.InlineFragments: 100, &l.Spreads: 200, &l.Fragments: 50, &l.Duplicates: 50, &l.Operations: 20,
		&l.Variables: 100, &l.RootFields: 50, &l.RootMutations: 10, &l.Work: 10_000, &l.ValueDepth: 20,
	} {
		if *field == 0 {
			*field = value
		}
	}
	for field, value := range map[*int64]int64{&l.Cost: 20_000, &l.Fields: 200_000, &l.PageSize: 100, &l.ListSize: 1000} {
		if *field == 0 {
			*field = value
		}
	}
	if l.CacheBytes == 0 {
		l.CacheBytes = 8 << 20
	}
	return l
}
