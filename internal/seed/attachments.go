package seed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/attachments/store"
	"github.com/taskmed/taskmed/models"
)

const (
	// Of every so many records one has a file, and so many of a clinic's at most: each is
	// written to a store.
	withFile = 40
	mostFile = 100
)

// File is what a seeded attachment's bytes are: they follow from its id, so that who has
// the rows can make the files.
func File(id uuid.UUID) []byte {
	return []byte("Laudo de exemplo, feito pelo taskmed seed.\n" + models.KindAttachment.Global(id) + "\n")
}

// attach gives a record that comes next its files.
func (c *clinic) attach(r *record) []*models.Attachment {
	if n := len(c.records); n%withFile != 3 || n/withFile >= mostFile {
		return nil
	}
	// Nothing is drawn for it: what is seeded besides stays as it is.
	id := uuid.UUID(r.id.Bytes)
	id[15] ^= 0xff
	content := File(id)
	sum := sha256.Sum256(content)
	made := &models.Attachment{
		ID: id, MedicalRecordID: r.id.Bytes, FileName: "laudo.txt", MediaType: "text/plain",
		ByteSize: len(content), Digest: hex.EncodeToString(sum[:]), CreatedAt: r.created,
	}
	c.attachments = append(c.attachments, made)
	return []*models.Attachment{made}
}

// Store puts the files of seeded attachments into a store, where they are not there yet.
// The connection must see all clinics.
func Store(ctx context.Context, conn *pgx.Conn, into store.Store) error {
	rows, err := conn.Query(ctx, "SELECT clinic_id, id, byte_size, digest FROM attachments WHERE file_name = 'laudo.txt' AND byte_size < 200")
	if err != nil {
		return fmt.Errorf("look for seeded attachments: %w", err)
	}
	type attachment struct {
		ClinicID, ID uuid.UUID
		ByteSize     int64
		Digest       string
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[attachment])
	if err != nil {
		return fmt.Errorf("look for seeded attachments: %w", err)
	}
	for _, one := range all {
		content := File(one.ID)
		if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != one.Digest {
			continue // somebody's own
		}
		name := store.Name{Clinic: one.ClinicID, ID: one.ID}
		object, err := into.Open(ctx, name, one.ByteSize)
		switch {
		case err == nil:
			err = object.Close()
		case errors.Is(err, store.ErrAbsent):
			err = into.Put(ctx, name, one.ByteSize, bytes.NewReader(content))
		}
		if err != nil {
			return fmt.Errorf("store a seeded attachment: %w", err)
		}
	}
	return nil
}
