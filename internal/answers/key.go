package answers

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/models"
)

// keyVersion changes whenever the same parts must not find what an older
// program kept.
const keyVersion = "taskmed response 2"

// Key names one answer: SHA-256 over everything that decides what it says.
type Key = coherence.Key

// KeyParts is everything that decides what an answer says, the data and the
// database apart; in Redis a key names that as well. Two
// requests may share an answer only if all of it is equal.
type KeyParts struct {
	// SchemaHash stands for the schema and for how the program answers it.
	SchemaHash string
	Clinic     uuid.UUID
	Role       models.Role
	// Permissions are the rights beyond the role's, in any order.
	Permissions []string
	// PermissionEpoch changes when the rights of roles do.
	PermissionEpoch string
	// Subject is set where the answer is the subject's own (PRIVATE), else empty.
	Subject string
	// SubjectName is what the subject's token or key calls it, or the clinic does,
	// where Subject is set: the answer may tell it.
	SubjectName   string
	OperationName string
	// QueryHash stands for the normalised document.
	QueryHash string
	// Variables are canonical JSON.
	Variables []byte
}

// Key hashes the parts. Each is preceded by its length, so that what ends one
// part cannot begin the next.
func (p KeyParts) Key() Key {
	permissions := p.Permissions
	if !slices.IsSorted(permissions) {
		permissions = slices.Sorted(slices.Values(permissions))
	}
	buffer := make([]byte, 0, 512)
	add := func(part string) {
		buffer = binary.AppendUvarint(buffer, uint64(len(part)))
		buffer = append(buffer, part...)
	}
	add(keyVersion)
	add(p.SchemaHash)
	buffer = append(buffer, p.Clinic[:]...)
	add(string(p.Role))
	buffer = binary.AppendUvarint(buffer, uint64(len(permissions)))
	for _, permission := range permissions {
		add(permission)
	}
	add(p.PermissionEpoch)
	add(p.Subject)
	add(p.SubjectName)
	add(p.OperationName)
	add(p.QueryHash)
	buffer = binary.AppendUvarint(buffer, uint64(len(p.Variables)))
	buffer = append(buffer, p.Variables...)
	return sha256.Sum256(buffer)
}
