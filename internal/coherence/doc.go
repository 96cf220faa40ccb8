// Package coherence is the first of the cache's three rooms: who wrote what, and in
// which order. Whether something that is kept may still be served is decided here
// and nowhere else, so the proof in docs/cache.md is about this package. It knows
// nothing of what is kept (package answers) nor of whether a write can have been
// missed (package trust); both import it.
//
// Its terms:
//
//   - A tag names something that an answer depends on and a write changes
//     (touched.Tag).
//   - The sequence of a clinic is a number that every step of a write moves on; the
//     journal (journal.go) has it, and which tags changed at which step: in Redis for
//     all instances (Shared and the Lua scripts), in the process for one (Local).
//   - To raise is to tell, before a commit, what it is about to change; to settle is
//     to say afterwards that it was committed or rolled back (writer.go).
//   - A fence stands from the raise until the settling: nothing with its tags is
//     stored. The fence of a writer who died runs out, once nobody can store any more
//     what was read before his commit.
//   - A mark is up to which step something that is kept is known to hold; a view is an
//     instance's copy of a clinic's latest steps, by which it moves marks on (view.go).
//   - Heads are the sequences that readers ask for at each hit, many in one question
//     (heads.go).
//   - The barrier is what a clinic waits for that a journal has just come to know:
//     until every transaction from before has ended, since it may have raised where
//     that was forgotten. Then the clinic is open, and values are stored (barrier.go).
//   - An epoch is a part of what is kept in Redis; who may have missed a write begins
//     a new one, and nobody looks at an earlier one's (epoch.go).
//   - A link leads to one run of one Redis server, and never to another (link.go).
package coherence
