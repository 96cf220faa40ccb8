// Package live follows what happens in clinics, for whoever subscribes to it.
//
// Its terms:
//
//   - A change is a row of the table changes: something that happened, at its position
//     (package outbox).
//   - A feed has a clinic's latest changes in memory, gapless up to the last one. A clinic
//     has one per server while somebody follows it, however many they are, and it reads each
//     change once.
//   - A follower is a place in it: a position and what is wanted. It holds nothing else, so
//     that one which is slow costs no more than one which is not. Where its place is no
//     longer in memory it reads pages of the table until it is.
//   - The bell rings when a clinic has new changes: in the leader's process by a call, in
//     others by Redis' pub/sub. It is a hint: each feed looks once a second all the same, and
//     what it is told by is the table alone.
package live
