//! How much a peer may send on each stream of a connection before somebody has read it.
//!
//! A stream needs a large window for bulk. Hundreds of streams whose readers hardly read are tens of
//! megabytes with large windows, and it is us who hold them. So the streams that hold bytes share one
//! budget: the more of them there are, the smaller is the window of each, down to what still keeps a reader
//! busy over the round trip of a data centre. Streams that wait for bytes hold none and do not count: pooled
//! connections that nobody uses must not slow down the one that is used. Nothing is taken back by it: a
//! stream whose window shrinks may send again when what it has sent was read (RFC 9113 section 6.9.2).

use h2::Error;

use crate::wire::{LEAST_STREAM_WINDOW, STREAM_WINDOW, UNREAD_BYTES};

/// The window of the streams of one connection.
#[derive(Debug)]
pub(crate) struct Window {
    /// What the peer was told last, in bytes.
    told: u32,
}

impl Default for Window {
    /// As a connection begins.
    fn default() -> Self {
        Self {
            told: STREAM_WINDOW,
        }
    }
}

impl Window {
    /// Tells the peer what fits `streams` that hold bytes, if it is something else than before. `tell` fails while the
    /// peer has not acknowledged the last change, and is asked again the next time.
    pub(crate) fn fit(&mut self, streams: usize, tell: impl FnOnce(u32) -> Result<(), Error>) {
        let fits = fitting(streams, self.told);
        if fits == self.told {
            return;
        }
        match tell(fits) {
            Ok(()) => self.told = fits,
            Err(error) => tracing::trace!(%error, "a window is changed later"),
        }
    }
}

/// The window of each of `streams`, in bytes: a power of two, within the budget as far as the least window
/// allows. It shrinks as soon as it must, and grows again when there would be room for twice as many, so
/// that one stream more and less changes nothing.
fn fitting(streams: usize, told: u32) -> u32 {
    let must = share(streams);
    if must < told {
        return must;
    }
    told.max(share(streams.saturating_mul(2)))
}

/// The budget in as many parts.
fn share(streams: usize) -> u32 {
    let parts = u32::try_from(streams.max(1).next_power_of_two()).unwrap_or(u32::MAX);
    (UNREAD_BYTES / parts).clamp(LEAST_STREAM_WINDOW, STREAM_WINDOW)
}

#[cfg(test)]
mod tests {
    use h2::Reason;

    use super::*;

    const KIB: u32 = 1024;

    #[test]
    fn the_more_streams_the_smaller_their_windows() {
        let rows = [
            (0, 256),
            (1, 256),
            (4, 256),
            (5, 128),
            (8, 128),
            (9, 64),
            (17, 32),
            (100, 32),
            (200, 32),
            (usize::MAX / 2, 32),
        ];
        for (streams, kib) in rows {
            assert_eq!(share(streams), kib * KIB, "{streams} streams");
        }
    }

    #[test]
    fn a_window_grows_later_than_it_shrinks() {
        let rows = [
            ("few", 4, 256, 256),
            ("one too many", 5, 256, 128),
            ("and that one gone", 4, 128, 128),
            ("room for twice as many", 2, 128, 256),
            ("a crowd at once", 100, 256, 32),
            ("some of it left", 9, 32, 32),
            ("half of those", 4, 32, 128),
            ("all gone", 0, 32, 256),
        ];
        for (row, streams, told, kib) in rows {
            assert_eq!(fitting(streams, told * KIB), kib * KIB, "{row}");
        }
    }

    #[test]
    fn a_peer_is_told_once_and_again_if_it_could_not_be() {
        let mut window = Window::default();
        let mut told = Vec::new();
        for (streams, works) in [(1, true), (10, false), (10, true), (10, true), (1, true)] {
            window.fit(streams, |bytes| {
                told.push((bytes / KIB, works));
                works.then_some(()).ok_or_else(|| Reason::NO_ERROR.into())
            });
        }
        assert_eq!(told, [(64, false), (64, true), (256, true)]);
    }
}
