package objects

// What the generated tables put together for each Go type.

// IsNil is Object.Nil for an object that *T stands for.
func IsNil[T any](value any) (null, ok bool) {
	pointer, ok := value.(*T)
	return pointer == nil, ok
}

// Length is Field.Length for a list []E.
func Length[E any](list any) (n int, ok bool) {
	slice, ok := list.([]E)
	if slice == nil {
		return -1, ok
	}
	return len(slice), ok
}

// Elements is Field.Elements, of any list that at and length open.
func Elements(length func(list any) (int, bool), at func(list any, i int) any) func(list any) []any {
	return func(list any) []any {
		n, ok := length(list)
		if !ok || n < 0 {
			return nil
		}
		elements := make([]any, n)
		for i := range elements {
			elements[i] = at(list, i)
		}
		return elements
	}
}

// PointerAt is Field.At for a list []*T.
func PointerAt[T any](list any, i int) any {
	if element := list.([]*T)[i]; element != nil { //nolint:errcheck,forcetypeassert // Length has told
		return element
	}
	return nil
}

// ValueAt is Field.At for a list []T of structs.
func ValueAt[T any](list any, i int) any {
	return &list.([]T)[i] //nolint:errcheck,forcetypeassert // Length has told
}

// InterfaceAt is Field.At for a list []T of interfaces.
func InterfaceAt[T any](list any, i int) any {
	return list.([]T)[i] //nolint:errcheck,forcetypeassert // Length has told
}
