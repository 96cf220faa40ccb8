package gqlserver

// fixedHeaders are values of headers that every answer has, made once. A header
// whose value is one of them is replaced or added to, never written into.
type fixedHeaders struct {
	nosniff, noStore, revalidate, vary, hit, json, response []string
}

func newFixedHeaders() fixedHeaders {
	return fixedHeaders{
		nosniff: []string{"nosniff"}, noStore: []string{"no-store"}, revalidate: []string{"private, no-cache"},
		vary: []string{"Authorization, X-Clinic-Id, Accept, Origin"},
		hit:  []string{(&note{CacheAnswer: CacheAnswer{Hit: true}}).status()},
		json: []string{jsonType.header()}, response: []string{responseType.header()},
	}
}

func (f *fixedHeaders) mediaType(media mediaType) []string {
	if media == responseType {
		return f.response
	}
	return f.json
}
