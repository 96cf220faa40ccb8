package attachments

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/gabriel-vasile/mimetype"

	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// kinds are the types that are taken, and by what their first bytes may show beside the
// type itself. None of them runs in a browser.
func kinds() map[string][]string {
	return map[string][]string{
		"application/pdf": nil, "application/dicom": nil,
		"image/jpeg": nil, "image/png": {"image/vnd.mozilla.apng"}, "image/webp": nil, "image/gif": nil, "image/tiff": nil, "image/heic": {"image/heif"},
		"text/plain": {"text/csv", "text/tab-separated-values"}, "text/csv": {"text/plain", "text/tab-separated-values"},
		"audio/mpeg": nil, "video/mp4": nil,
	}
}

func mediaType(in *validate.Input, name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if _, taken := kinds()[name]; !taken {
		in.Add(models.UserErrorCodeInvalid, "mediaType", "files of this type are not taken: a PDF, an image, DICOM, a text, audio/mpeg and video/mp4 are")
	}
	return name
}

// fits tells whether a content that begins so may be of a type.
func fits(head []byte, mediaType string) bool {
	found := mimetype.Detect(head)
	others, taken := kinds()[mediaType]
	if !taken {
		return false
	}
	// Not its ancestors: to those a page is a text, too.
	return slices.ContainsFunc(append([]string{mediaType}, others...), found.Is)
}

// headBytes is how much of a content its type is told by.
const headBytes = 3072

// content gives the bytes of a file that is what was announced. The last one is given
// when all of them have been checked, so that what keeps nothing but whole objects never
// keeps another.
type content struct {
	from *bufio.Reader
	size int64
	want string
	done int64
	sum  hash.Hash
}

// newContent looks at the first bytes; ErrType if they are of another type.
func newContent(from io.Reader, size int, digest, mediaType string) (*content, error) {
	c := &content{from: bufio.NewReaderSize(from, 32<<10), size: int64(size), want: digest, sum: sha256.New()}
	head, err := c.from.Peek(headBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, broken(err)
	}
	if len(head) < min(size, headBytes) {
		return nil, ErrTooShort
	}
	if len(head) > size {
		return nil, ErrTooLong
	}
	if !fits(head, mediaType) {
		return nil, ErrType
	}
	return c, nil
}

func broken(err error) error { return fmt.Errorf("%w: %w", ErrBroken, err) }

// Read implements io.Reader.
func (c *content) Read(p []byte) (int, error) {
	switch {
	case c.done == c.size:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	case c.done == c.size-1:
		return c.last(p)
	}
	n, err := c.from.Read(p[:min(int64(len(p)), c.size-1-c.done)])
	c.sum.Write(p[:n])
	c.done += int64(n)
	switch {
	case errors.Is(err, io.EOF):
		return n, ErrTooShort
	case err != nil:
		return n, broken(err)
	}
	return n, nil
}

// last gives the last byte, if it is the last and all are what was announced.
func (c *content) last(p []byte) (int, error) {
	one, err := c.from.ReadByte()
	switch {
	case errors.Is(err, io.EOF):
		return 0, ErrTooShort
	case err != nil:
		return 0, broken(err)
	}
	switch _, err := c.from.ReadByte(); {
	case err == nil:
		return 0, ErrTooLong
	case !errors.Is(err, io.EOF):
		return 0, broken(err)
	}
	c.sum.Write([]byte{one})
	if hex.EncodeToString(c.sum.Sum(nil)) != c.want {
		return 0, ErrDigest
	}
	p[0] = one
	c.done++
	return 1, nil
}
