package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// S3Config says where a bucket is.
type S3Config struct {
	// Endpoint is http://host:port or https://host.
	Endpoint string
	Bucket   string
	// Region may be empty.
	Region      string
	Key, Secret string
	// Transport is what it is reached by; nil is a plain one.
	Transport http.RoundTripper
}

// S3 keeps objects in a bucket, each by one request: S3 keeps what came whole and nothing
// else, so that a content of which the last byte is withheld never is.
type S3 struct {
	client *minio.Core
	bucket string
}

// answers bounds how long a store may take before it begins to answer.
const answers = 30 * time.Second

// NewS3 keeps objects in a bucket, which must be there.
func NewS3(config S3Config) (*S3, error) {
	at, err := url.Parse(config.Endpoint)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" || at.Path != "" && at.Path != "/" {
		return nil, errors.New("store: the endpoint is no URL of the form https://s3.example.com")
	}
	if config.Transport == nil {
		usual, ok := http.DefaultTransport.(*http.Transport)
		if !ok {
			return nil, errors.New("store: the program has another transport for HTTP")
		}
		transport := usual.Clone()
		transport.ResponseHeaderTimeout = answers
		transport.DisableCompression = true
		config.Transport = transport
	}
	client, err := minio.NewCore(at.Host, &minio.Options{
		Creds: credentials.NewStaticV4(config.Key, config.Secret, ""), Secure: at.Scheme == "https", Region: config.Region,
		BucketLookup: minio.BucketLookupPath, Transport: config.Transport, MaxRetries: 3,
	})
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return &S3{client, config.Bucket}, nil
}

func key(name Name) string { return name.Clinic.String() + "/" + name.ID.String() }

// Put implements Store.
func (s *S3) Put(ctx context.Context, name Name, size int64, content io.Reader) error {
	read := &remembering{Reader: content}
	_, err := s.client.Client.PutObject(ctx, s.bucket, key(name), onlyReader{read}, size, minio.PutObjectOptions{
		// The bytes are not to be taken for a page by who opens the bucket to the web.
		ContentType: "application/octet-stream",
		// In one request and one stream, whatever the size: parts would be held in memory.
		DisableMultipart: true,
	})
	switch {
	case read.err != nil:
		return read.err // the reader's own reason, not what the client makes of it
	case err == nil:
		return nil
	}
	if code := minio.ToErrorResponse(err).Code; code == "XMinioStorageFull" || code == "QuotaExceeded" || code == "InsufficientStorage" {
		return errors.Join(ErrFull, err)
	}
	return fmt.Errorf("store: keep an object: %w", err)
}

// onlyReader has nothing but Read: what can be sought would be read again.
type onlyReader struct{ io.Reader }

// remembering keeps the error that reading ended with.
type remembering struct {
	io.Reader

	err error
}

func (r *remembering) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// Open implements Store.
func (s *S3) Open(ctx context.Context, name Name, size int64) (io.ReadSeekCloser, error) {
	info, err := s.client.StatObject(ctx, s.bucket, key(name), minio.StatObjectOptions{})
	switch {
	case absent(err):
		return nil, ErrAbsent
	case err != nil:
		return nil, fmt.Errorf("store: read an object: %w", err)
	case info.Size != size:
		return nil, errors.New("store: an object is not as long as it was")
	}
	return &ranged{ctx: ctx, store: s, key: key(name), size: size}, nil
}

func absent(err error) bool {
	code := minio.ToErrorResponse(err).Code
	return err != nil && (code == minio.NoSuchKey || code == "NotFound")
}

// ranged reads an object from where it was sought to.
type ranged struct {
	ctx   context.Context //nolint:containedctx // io.Reader has none, and it is one request's
	store *S3
	key   string
	size  int64

	at   int64
	body io.ReadCloser
}

func (r *ranged) Read(p []byte) (int, error) {
	if r.at >= r.size {
		return 0, io.EOF
	}
	if r.body == nil {
		var options minio.GetObjectOptions
		if err := options.SetRange(r.at, r.size-1); err != nil {
			return 0, err
		}
		body, _, _, err := r.store.client.GetObject(r.ctx, r.store.bucket, r.key, options)
		if err != nil {
			return 0, fmt.Errorf("store: read an object: %w", err)
		}
		r.body = body
	}
	n, err := r.body.Read(p)
	r.at += int64(n)
	if errors.Is(err, io.EOF) && r.at < r.size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (r *ranged) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errors.New("store: sought to before the beginning")
	}
	if offset != r.at {
		r.at = offset
		return offset, r.Close()
	}
	return offset, nil
}

func (r *ranged) Close() error {
	if r.body == nil {
		return nil
	}
	body := r.body
	r.body = nil
	return body.Close()
}

// Remove implements Store.
func (s *S3) Remove(ctx context.Context, name Name) error {
	if err := s.client.RemoveObject(ctx, s.bucket, key(name), minio.RemoveObjectOptions{}); err != nil && !absent(err) {
		return fmt.Errorf("store: remove an object: %w", err)
	}
	return nil
}

// Check implements Store.
func (s *S3) Check(ctx context.Context) error {
	there, err := s.client.BucketExists(ctx, s.bucket)
	if err != nil {
		if status := minio.ToErrorResponse(err).StatusCode; status == http.StatusForbidden || status == http.StatusUnauthorized {
			return fmt.Errorf("%w: the key may not use the bucket %q: %w", ErrUnfit, s.bucket, err)
		}
		return fmt.Errorf("store: look for the bucket: %w", err)
	}
	if !there {
		return fmt.Errorf("%w: there is no bucket %q", ErrUnfit, s.bucket)
	}
	return nil
}

// Tidy implements Store: one request leaves nothing behind.
func (s *S3) Tidy(context.Context) error { return nil }
