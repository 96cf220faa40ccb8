package models

// ProtectedIDs are the global ids of the protected entities that a field's value
// consists of: one of them, or a list. These are the types that the schema marks
// with @phi; a test compares both lists.
func ProtectedIDs(value any) []string {
	switch v := value.(type) {
	case *Contact:
		return protected(v)
	case *Appointment:
		return protected(v)
	case *MedicalRecord:
		return protected(v)
	case []*Contact:
		return protected(v...)
	case []*Appointment:
		return protected(v...)
	case []*MedicalRecord:
		return protected(v...)
	case []Node:
		var ids []string
		for _, node := range v {
			ids = append(ids, ProtectedIDs(node)...)
		}
		return ids
	default:
		return nil
	}
}

func protected[E any, P interface {
	*E
	GetID() string
}](entities ...P) []string {
	ids := make([]string, 0, len(entities))
	for _, entity := range entities {
		if entity != nil {
			ids = append(ids, entity.GetID())
		}
	}
	return ids
}
