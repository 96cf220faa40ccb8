package attachments

import (
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/models"
)

// Attachment is a file of a medical record, as it is read.
func Attachment() entity.Declaration {
	made := &links{}
	return entity.Noun[models.Attachment]{
		Kind:    models.KindAttachment,
		Columns: map[string][]string{"url": {"clinic_id", "id"}},
		All:     []entity.All{{Field: "MedicalRecord.attachments", Parent: "medical_record_id", Order: "created_at"}},
		Derive: func(server entity.Server, to entity.Reader, row *models.Attachment) {
			row.URL = made.address(server, to, row)
		},
	}
}

// linkLife is for how long a link is good at least; a minute more at most.
const linkLife = 5 * time.Minute

// links seals what an address says: which file, for whom, until when. A page cannot send
// a bearer token with an image, so the address is the credential; nobody else can make
// one, nor read a subject's name out of it.
type links struct {
	once    sync.Once
	cursors *paging.Cursors
}

// bound keeps these seals apart from those of lists' cursors.
const bound = "attachments' addresses"

// seal is nil where the server has no secret, and so serves nothing.
func (l *links) seal(server entity.Server) *paging.Cursors {
	l.once.Do(func() { l.cursors, _ = paging.NewCursors(server.Secret) })
	return l.cursors
}

func (l *links) address(server entity.Server, to entity.Reader, row *models.Attachment) string {
	seal := l.seal(server)
	if seal == nil || to.Scope == nil {
		return ""
	}
	// The same within a minute: an answer that is asked for again is the same answer.
	until := to.Now.Truncate(time.Minute).Add(linkLife + time.Minute)
	return server.URL + Path + clinicText(to.Scope.ClinicID) +
		seal.Encode(to.Scope.ClinicID, bound, []string{row.ID.String(), to.Scope.Subject, strconv.FormatInt(until.Unix(), 10)})
}

// link is what an address says.
type link struct {
	clinic, attachment uuid.UUID
	subject            string
	until              time.Time
}

// read reads the end of an address; false for what was never given out.
func (l *links) read(server entity.Server, name string) (link, bool) {
	const parts = 3
	clinic, sealed, ok := clinicOf(name)
	seal := l.seal(server)
	if !ok || seal == nil {
		return link{}, false
	}
	said, err := seal.Decode(clinic, bound, sealed, parts)
	if err != nil {
		return link{}, false
	}
	id, errOfID := uuid.Parse(said[0])
	until, errOfTime := strconv.ParseInt(said[2], 10, 64)
	return link{clinic, id, said[1], time.Unix(until, 0)}, errOfID == nil && errOfTime == nil
}
