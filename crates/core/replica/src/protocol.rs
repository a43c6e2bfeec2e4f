//! The protocol core: which entries are committed.
//!
//! A cluster of one voter is Raft's smallest case. The voter elects itself at every start, in a new
//! term; an entry is committed as soon as its own disk has kept it; a read is linearizable once the
//! first entry of its term is applied, since until then it cannot know what it had committed
//! before (Raft §6.4). What surrounds it asks for positions, reports appended and durable entries,
//! and obeys the commit index; it does not know how many voters there are.

use alloc::collections::VecDeque;

use synod_base::{LogIndex, MemberId, Term, Ticket};
use synod_wal::HardState;

/// Where an entry belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) index: LogIndex,
    pub(crate) term: Term,
}

/// The one voter of a cluster of one.
#[derive(Debug)]
pub(crate) struct Protocol {
    term: Term,
    last: LogIndex,
    commit: LogIndex,
    /// The first entry of this term.
    first_of_term: LogIndex,
    /// Appended and not durable, oldest first.
    appended: VecDeque<(LogIndex, Ticket)>,
}

impl Protocol {
    /// Starts a new term from what the disk remembers. The hard state must be appended before any
    /// entry; the first entry must change nothing.
    pub(crate) fn start(
        member: MemberId,
        remembered: HardState,
        last: LogIndex,
    ) -> (Self, HardState) {
        let term = remembered.term.next();
        let first_of_term = last.next();
        let protocol =
            Self { term, last, commit: LogIndex::ZERO, first_of_term, appended: VecDeque::new() };
        (protocol, HardState { term, vote: Some(member) })
    }

    /// Where the next proposal goes.
    pub(crate) fn next_position(&self) -> Position {
        Position { index: self.last.next(), term: self.term }
    }

    /// The entry was appended to the own log.
    pub(crate) fn on_appended(&mut self, position: Position, ticket: Ticket) {
        assert!(position == self.next_position(), "entries are appended in order");
        self.last = position.index;
        self.appended.push_back((position.index, ticket));
    }

    /// Everything up to `ticket` is durable on the own disk.
    pub(crate) fn on_durable(&mut self, ticket: Ticket) {
        while let Some((index, of)) = self.appended.front()
            && *of <= ticket
        {
            self.commit = *index;
            self.appended.pop_front();
        }
    }

    /// The last committed entry.
    pub(crate) fn commit(&self) -> LogIndex {
        self.commit
    }

    /// The entry that must be applied before a linearizable read is answered.
    pub(crate) fn read_index(&self) -> LogIndex {
        self.commit.max(self.first_of_term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_committed_by_its_own_ticket_and_a_read_waits_for_the_term() {
        let remembered = HardState { term: Term::new(4), vote: None };
        let member = MemberId::new(7);
        let (mut protocol, state) = Protocol::start(member, remembered, LogIndex::new(10));
        assert_eq!(state, HardState { term: Term::new(5), vote: Some(member) });
        assert_eq!(protocol.read_index(), LogIndex::new(11));

        for ticket in [1, 1, 2] {
            let position = protocol.next_position();
            protocol.on_appended(position, Ticket::new(ticket));
        }
        protocol.on_durable(Ticket::new(1));
        assert_eq!(protocol.commit(), LogIndex::new(12));
        protocol.on_durable(Ticket::new(2));
        assert_eq!(protocol.commit(), LogIndex::new(13));
        assert_eq!(protocol.read_index(), LogIndex::new(13));
    }
}
