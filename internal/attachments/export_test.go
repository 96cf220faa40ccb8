package attachments

import "io"

// Checked is what a store is handed of an upload.
func Checked(from io.Reader, size int, digest, mediaType string) (io.Reader, error) {
	return newContent(from, size, digest, mediaType)
}
