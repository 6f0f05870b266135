//! Which tasks of a pod have their turn, and which wait for a later round.

use std::collections::VecDeque;

/// Turns of one pod in a round, where others are busy too. Whoever comes into the queue of the thread waits
/// for at most so many of every pod that is busy; each round costs a look at what has arrived.
pub(crate) const TURNS: usize = 8;

/// The turns of one pod. `W` is how a task that waits is told.
#[derive(Debug)]
pub(crate) struct Book<W> {
    round: u64,
    /// Turns of that round that were taken or dealt.
    taken: usize,
    /// Those that wait, by their numbers without a gap.
    waiting: VecDeque<W>,
    /// The number of who waits longest; all before have been dealt a turn.
    next: u64,
}

/// The answer to who wants a turn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It has one.
    Now,
    /// It waits under this number.
    Later {
        number: u64,
        /// Nobody of the pod waited before.
        is_first: bool,
    },
}

impl<W> Default for Book<W> {
    fn default() -> Self {
        Self {
            round: 0,
            taken: 0,
            waiting: VecDeque::new(),
            next: 0,
        }
    }
}

impl<W> Book<W> {
    /// A turn in the present round, or a place among those that wait: nobody overtakes.
    ///
    /// A pod that `is_alone` has as many turns as it wants: what many tasks say goes out together.
    pub(crate) fn take(
        &mut self,
        (round, is_alone): (u64, bool),
        waits: impl FnOnce() -> W,
    ) -> Turn {
        if self.round != round {
            self.round = round;
            self.taken = 0;
        }
        if self.waiting.is_empty() && (is_alone || self.taken < TURNS) {
            self.taken += 1;
            return Turn::Now;
        }
        let number = self.next + self.waiting.len() as u64;
        self.waiting.push_back(waits());
        Turn::Later {
            number,
            is_first: number == self.next,
        }
    }

    /// Whoever waits under `number` and has not been dealt a turn yet.
    pub(crate) fn waiting(&mut self, number: u64) -> Option<&mut W> {
        let place = number.checked_sub(self.next)?;
        self.waiting.get_mut(usize::try_from(place).ok()?)
    }

    /// Deals the turns of another round to those that wait longest, who are put into `dealt`; whether
    /// others still wait.
    pub(crate) fn deal(&mut self, round: u64, dealt: &mut Vec<W>) -> bool {
        let now = self.waiting.len().min(TURNS);
        dealt.extend(self.waiting.drain(..now));
        self.next += now as u64;
        self.round = round;
        self.taken = now;
        if self.waiting.is_empty() {
            // Most pods never have as many again.
            self.waiting.shrink_to(TURNS);
        }
        !self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `count` turns in a round; how many had theirs at once.
    fn take(book: &mut Book<u64>, round: u64, count: u64) -> u64 {
        (0..count)
            .filter(|name| book.take((round, false), || round * 1000 + name) == Turn::Now)
            .count() as u64
    }

    fn deal(book: &mut Book<u64>, round: u64) -> (Vec<u64>, bool) {
        let mut dealt = Vec::new();
        let more = book.deal(round, &mut dealt);
        (dealt, more)
    }

    const ALL: u64 = TURNS as u64;

    #[test]
    fn a_round_has_so_many_turns_and_no_more() {
        let mut book = Book::default();
        assert_eq!(take(&mut book, 1, 3), 3, "few have theirs at once");
        assert_eq!(take(&mut book, 1, 1000), ALL - 3, "the others wait");
        let mut seen = Vec::new();
        for round in 2.. {
            let (dealt, more) = deal(&mut book, round);
            assert!(dealt.len() <= TURNS, "round {round}: {} turns", dealt.len());
            seen.extend(dealt);
            if !more {
                break;
            }
        }
        let expected: Vec<u64> = (ALL - 3..1000).map(|name| 1000 + name).collect();
        assert_eq!(seen, expected, "each once, in the order in which they came");
    }

    #[test]
    fn who_is_alone_waits_for_nobody_but_those_who_wait() {
        let mut book = Book::default();
        for _ in 0..1000 {
            assert_eq!(book.take((1, true), || 0), Turn::Now);
        }
        assert_eq!(take(&mut book, 1, 1), 0, "it is not alone any more");
        let (number, is_first) = (1, false);
        let behind = book.take((1, true), || 2);
        assert_eq!(behind, Turn::Later { number, is_first }, "nobody overtakes");
        assert_eq!(deal(&mut book, 2), (vec![1000, 2], false));
    }

    #[test]
    fn a_round_that_begins_by_itself_gives_new_turns() {
        let mut book = Book::default();
        assert_eq!(take(&mut book, 1, ALL), ALL);
        assert_eq!(take(&mut book, 2, ALL), ALL, "the thread has rested");
        assert_eq!(take(&mut book, 2, 1), 0, "once");
    }

    #[test]
    fn nobody_overtakes_who_waits() {
        let mut book = Book::default();
        assert_eq!(take(&mut book, 1, ALL + 1), ALL, "one waits");
        assert_eq!(take(&mut book, 2, 1), 0, "and is before who comes now");
        assert_eq!(deal(&mut book, 3), (vec![1000 + ALL, 2000], false));
        assert_eq!(
            take(&mut book, 3, ALL),
            ALL - 2,
            "what is left of the round"
        );
    }

    #[test]
    fn who_waits_is_found_until_it_has_its_turn() {
        let mut book = Book::default();
        take(&mut book, 1, ALL);
        let first = book.take((1, false), || 7);
        let (number, is_first) = (0, true);
        assert_eq!(first, Turn::Later { number, is_first });
        let second = book.take((1, false), || 8);
        let (number, is_first) = (1, false);
        assert_eq!(second, Turn::Later { number, is_first });
        assert_eq!(book.waiting(1), Some(&mut 8));
        assert_eq!(deal(&mut book, 2), (vec![7, 8], false));
        assert_eq!(book.waiting(0), None);
        assert_eq!(book.waiting(1), None);
        take(&mut book, 3, ALL);
        let third = book.take((3, false), || 9);
        let (number, is_first) = (2, true);
        assert_eq!(third, Turn::Later { number, is_first }, "no number twice");
    }
}
