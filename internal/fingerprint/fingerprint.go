// Package fingerprint names GraphQL documents by what they say rather than by
// how they are laid out.
package fingerprint

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/lexer"
)

// Fingerprint is the SHA-256 over a document's tokens.
type Fingerprint [sha256.Size]byte

// Of reads a document's tokens: blanks, commas, line ends and comments make no
// difference, anything else does. Whether it is a document is not checked.
func Of(text string) (Fingerprint, error) {
	reader := lexer.New(&ast.Source{Input: text})
	// Every token stands with its kind and its length, so that no two lists of
	// tokens run together into the same bytes.
	var written []byte
	for {
		token, err := reader.ReadToken()
		if err != nil {
			return Fingerprint{}, fmt.Errorf("fingerprint: %w", err)
		}
		switch token.Kind {
		case lexer.EOF:
			return sha256.Sum256(written), nil
		case lexer.Comment:
			continue
		default:
			written = append(written, byte(token.Kind))
			written = binary.AppendUvarint(written, uint64(len(token.Value)))
			written = append(written, token.Value...)
		}
	}
}
