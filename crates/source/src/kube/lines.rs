//! A response body as lines, which may come in any pieces.

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use kube::client::Body;

use super::cluster::ApiError;

/// Longest line of a watch. An API server stores objects of up to 1.5 MiB, which escapes in JSON
/// can make longer.
const LINE_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Lines of a body.
pub(super) struct Lines {
    body: Body,
    unread: BytesMut,
    /// So many bytes of `unread` hold no line break.
    searched: usize,
}

impl Lines {
    pub(super) fn new(body: Body) -> Self {
        Self {
            body,
            unread: BytesMut::new(),
            searched: 0,
        }
    }

    /// The next line without its break; `None` at the end of the body. A line that the end cut
    /// short is left out. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            if let Some(line) = self.buffered() {
                return Ok(Some(line));
            }
            if self.unread.len() > LINE_MAX_BYTES {
                return Err(ApiError::TooLarge(LINE_MAX_BYTES));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(ApiError::unreachable(error)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.unread.extend_from_slice(&data);
                    }
                }
            }
        }
    }

    /// A line that is already here.
    pub(super) fn buffered(&mut self) -> Option<Bytes> {
        let rest = &self.unread[self.searched..];
        let Some(at) = rest.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.unread.len();
            return None;
        };
        let line = self.unread.split_to(self.searched + at).freeze();
        self.unread.advance(1);
        self.searched = 0;
        Some(line)
    }
}
