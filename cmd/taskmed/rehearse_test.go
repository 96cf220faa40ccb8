package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/web"
)

func TestDoctor_PlansWhatRegisteredOperationsSend(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	s.d.Exec(t, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
	s.d.NewClinic(t, "aurora")
	for _, o := range []struct{ name, kind, body string }{
		{"Old", "query", "query Old { noLongerThere }"},
		{"Confirm", "mutation", "mutation Confirm($input: AppointmentStepInput!) { confirmAppointment(input: $input) { userErrors { message } } }"},
	} {
		s.d.Exec(t, `INSERT INTO registered_operations (id, hash, name, kind, body)
			SELECT h, h, $1, $2, $3 FROM encode(sha256(convert_to($3, 'UTF8')), 'hex') AS h`, o.name, o.kind, o.body)
	}
	status, out, complaint := s.run("doctor indexes")
	require.Equal(t, exitOK, status, "%s %s", out, complaint)
	require.Regexp(t, fmt.Sprintf(`plans of \d+ statements \([1-9]\d* of them what %d operations send\)`, len(web.Requests())+1), out)
	require.Contains(t, out, "note: not so: every registered operation can be rehearsed\n  Old\n")
	require.Regexp(t, `every operation that writes can be rehearsed to its end\n  21 of \d+ operations that write\n`, out)
	require.Contains(t, out, "planned only where it has run: Confirm, SetWorkingHours, CreateApiKey, AcceptWaitlistOffer, AppointmentSteps, MoveAppointment, ChangeAppointment, LeaveWaitlist, SignRecord, AmendRecord, DiscardMedicalRecord, WithdrawMedicalRecord, RequestAttachmentUpload, RevokeAccess, CreateInvoice, InvoiceCourse, RecordPayment, StartConversation, SendMessage, AssignConversation, ChannelAccount\n", "the clinic has nothing in its diary, no record, no invoice, no contact with a phone and no service's price, no channel, nobody who makes a key, and hours that are drawn overlap")
}
